"""Table 2: tokenizer, LAM, GenieRedux and GenieRedux-G of CoinRun, trained and tested on random play."""

from paper_tables import scores
from paper_tables.lab import Lab
from paper_tables.models import guided, latent
from paper_tables.plays import basic_test, random_play
from paper_tables.table import COINRUN, Claim, Rows, Table

__all__ = ["TABLE"]

PAPER: Rows = {
    "Tokenizer": {"fid": 18.14, "psnr": 38.25, "ssim": 0.96},
    "LAM": {"fid": 37.01, "psnr": 33.97, "ssim": 0.92},
    "GenieRedux": {"fid": 21.88, "psnr": 25.51, "ssim": 0.77},
    "GenieRedux-G": {"fid": 18.88, "psnr": 33.41, "ssim": 0.92},
}


def measure(lab: Lab, seed: int) -> dict[str, Rows]:
    """All rows of each game."""
    return {game: rows(lab, game, seed) for game in lab.games}


def rows(lab: Lab, game: str, seed: int) -> Rows:
    """GenieRedux acts by the latent actions that its LAM finds in the test clips, GenieRedux-G by the true ones.

    By buttons, GenieRedux acts by the true ones too, each as the latent action that stands for it in training play.
    """
    test, codes = basic_test(lab, game), latent(lab, game, seed)
    with_actions = lab.score(f"{game}/scores/basic/guided-on-random-{seed}", guided(lab, [game], seed), test)
    with_codes = lab.score(f"{game}/scores/basic/latent-on-random-{seed}", codes, test)
    by_buttons = lab.score(f"{game}/scores/basic/buttons-on-random-{seed}", codes, test, random_play(lab, game))
    return {
        "Tokenizer": scores.tokenizer(with_actions),
        "LAM": scores.latent_actions(with_codes),
        "GenieRedux": scores.single_pass(with_codes),
        "GenieRedux, by buttons": scores.single_pass(by_buttons),
        "GenieRedux-G": scores.single_pass(with_actions),
        "GenieRedux, autoregressive": scores.autoregressive(with_codes),
        "GenieRedux, by buttons, autoregressive": scores.autoregressive(by_buttons),
        "GenieRedux-G, autoregressive": scores.autoregressive(with_actions),
    }


TABLE = Table(
    2,
    "GenieRedux and GenieRedux-G on the basic test set",
    "Models of one game are trained on random play and scored on other random play. GenieRedux and GenieRedux-G share "
    "tokenizer, data and steps; the former acts by the latent actions that its LAM finds in the test clips, which tell "
    "it something of the very frames it is to predict. By buttons, it acts by the true actions, as a player would, "
    "each as the latent action that stands for it in the play it was trained on.",
    COINRUN,
    {"CoinRun-Procgen": PAPER},
    (
        Claim("psnr", "Tokenizer", "GenieRedux-G"),
        Claim("psnr", "GenieRedux-G", "GenieRedux"),
        Claim("ssim", "GenieRedux-G", "GenieRedux"),
        Claim("delta_psnr", "GenieRedux-G", "GenieRedux"),
        Claim("psnr", "GenieRedux-G", "GenieRedux, by buttons"),
        Claim("delta_psnr", "GenieRedux-G", "GenieRedux, by buttons"),
        Claim("psnr", "Tokenizer", "GenieRedux-G, autoregressive"),
        Claim("psnr", "GenieRedux-G, autoregressive", "GenieRedux, autoregressive"),
        Claim("delta_psnr", "GenieRedux-G, autoregressive", "GenieRedux, autoregressive"),
        Claim("psnr", "GenieRedux-G, autoregressive", "GenieRedux, by buttons, autoregressive"),
        Claim("delta_psnr", "GenieRedux-G, autoregressive", "GenieRedux, by buttons, autoregressive"),
    ),
    measure,
)
