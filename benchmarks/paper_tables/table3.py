"""Table 3: the same models on a trained agent's play, beside those that were trained on such play (-TA)."""

from paper_tables import scores
from paper_tables.lab import Lab
from paper_tables.models import guided, latent
from paper_tables.plays import diverse_test
from paper_tables.table import COINRUN, Claim, Rows, Table

__all__ = ["TABLE"]

PAPER: Rows = {
    "Tokenizer": {"fid": 19.13, "psnr": 35.85, "ssim": 0.94},
    "Tokenizer-TA": {"fid": 11.63, "psnr": 40.62, "ssim": 0.97},
    "GenieRedux": {"fid": 23.97, "psnr": 23.82, "ssim": 0.73},
    "GenieRedux-G": {"fid": 19.51, "psnr": 31.66, "ssim": 0.90, "delta_psnr": 0.70},  # the latter from the text
    "GenieRedux-TA": {"fid": 12.57, "psnr": 31.97, "ssim": 0.90},
    "GenieRedux-G-TA": {"fid": 12.40, "psnr": 34.44, "ssim": 0.92, "delta_psnr": 1.89},
}


def measure(lab: Lab, seed: int) -> dict[str, Rows]:
    """All rows of each game."""
    return {game: rows(lab, game, seed) for game in lab.games}


def rows(lab: Lab, game: str, seed: int) -> Rows:
    """The models of table 2, and those of the trained agent's play."""
    test, found = diverse_test(lab, game), {}
    for play, suffix in (("random", ""), ("agent", "-TA")):
        checkpoints = {"guided": guided(lab, [game], seed, play), "latent": latent(lab, game, seed, play)}
        with_actions, with_codes = (
            lab.score(f"{game}/scores/diverse/{name}-on-{play}-{seed}", checkpoint, test)
            for name, checkpoint in checkpoints.items()
        )
        found |= {
            f"Tokenizer{suffix}": scores.tokenizer(with_actions),
            f"GenieRedux{suffix}": scores.single_pass(with_codes),
            f"GenieRedux-G{suffix}": scores.single_pass(with_actions),
            f"GenieRedux{suffix}, autoregressive": scores.autoregressive(with_codes),
            f"GenieRedux-G{suffix}, autoregressive": scores.autoregressive(with_actions),
        }
    return found


TABLE = Table(
    3,
    "GenieRedux and GenieRedux-G on the diverse test set",
    "Models trained on random play, and on play of an agent that PPO trained on the game's own reward (-TA), are "
    "scored on other play of that agent.",
    COINRUN,
    {"CoinRun-Procgen": PAPER},
    (
        Claim("psnr", "Tokenizer-TA", "Tokenizer"),
        Claim("psnr", "GenieRedux-G", "GenieRedux"),
        Claim("psnr", "GenieRedux-G-TA", "GenieRedux-TA"),
        Claim("psnr", "GenieRedux-G-TA", "GenieRedux-G"),
        Claim("psnr", "GenieRedux-TA", "GenieRedux"),
        Claim("delta_psnr", "GenieRedux-G-TA", "GenieRedux-G"),
        Claim("psnr", "GenieRedux-G-TA, autoregressive", "GenieRedux-G, autoregressive"),
        Claim("delta_psnr", "GenieRedux-G-TA, autoregressive", "GenieRedux-G, autoregressive"),
    ),
    measure,
)
