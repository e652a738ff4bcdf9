"""Table 3: the models of table 2 on a trained agent's episodes, beside models trained on such episodes (-TA)."""

from benchmarks.paper import scores
from benchmarks.paper.datasets import diverse_test
from benchmarks.paper.experiment import PaperExperiment
from benchmarks.paper.models import guided, latent
from benchmarks.paper.table import COINRUN, Claim, Row, Rows, Table

__all__ = ["TABLE"]

PAPER: Rows = {
    "Tokenizer": {"fid": 19.13, "psnr": 35.85, "ssim": 0.94},
    "Tokenizer-TA": {"fid": 11.63, "psnr": 40.62, "ssim": 0.97},
    "GenieRedux": {"fid": 23.97, "psnr": 23.82, "ssim": 0.73},
    "GenieRedux-G": {"fid": 19.51, "psnr": 31.66, "ssim": 0.90, "delta_psnr": 0.70},  # the latter from the text
    "GenieRedux-TA": {"fid": 12.57, "psnr": 31.97, "ssim": 0.90},
    "GenieRedux-G-TA": {"fid": 12.40, "psnr": 34.44, "ssim": 0.92, "delta_psnr": 1.89},
}


def measure(experiment: PaperExperiment, seed: int) -> dict[str, Rows]:
    """Return all rows of each game."""
    return {game: rows_of(experiment, game, seed) for game in experiment.games}


def rows_of(experiment: PaperExperiment, game: str, seed: int) -> Rows:
    """Return the rows of one game: the models of table 2, and those trained on the agent's episodes."""
    test, rows = diverse_test(experiment, game), dict[str, Row]()
    for policy, suffix in (("random", ""), ("agent", "-TA")):
        checkpoints = {
            "guided": guided(experiment, [game], seed, policy),
            "latent": latent(experiment, game, seed, policy),
        }
        with_actions, with_codes = (
            experiment.score(f"{game}/scores/diverse/{name}-on-{policy}-{seed}", checkpoint, test)
            for name, checkpoint in checkpoints.items()
        )
        rows |= {
            f"Tokenizer{suffix}": scores.tokenizer(with_actions),
            f"GenieRedux{suffix}": scores.single_pass(with_codes),
            f"GenieRedux-G{suffix}": scores.single_pass(with_actions),
            f"GenieRedux{suffix}, autoregressive": scores.autoregressive(with_codes),
            f"GenieRedux-G{suffix}, autoregressive": scores.autoregressive(with_actions),
        }
    return rows


TABLE = Table(
    3,
    "GenieRedux and GenieRedux-G on the diverse test set",
    "Models trained on random episodes, and on those of an agent that PPO trained on the game's own reward (-TA), are "
    "scored on other episodes of that agent.",
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
