"""Table 2: tokenizer, LAM, GenieRedux and GenieRedux-G of CoinRun, trained and tested on random episodes."""

from benchmarks.paper import scores
from benchmarks.paper.datasets import basic_test, random_episodes
from benchmarks.paper.experiment import PaperExperiment
from benchmarks.paper.models import guided, latent
from benchmarks.paper.table import COINRUN, Claim, Rows, Table

__all__ = ["TABLE"]

PAPER: Rows = {
    "Tokenizer": {"fid": 18.14, "psnr": 38.25, "ssim": 0.96},
    "LAM": {"fid": 37.01, "psnr": 33.97, "ssim": 0.92},
    "GenieRedux": {"fid": 21.88, "psnr": 25.51, "ssim": 0.77},
    "GenieRedux-G": {"fid": 18.88, "psnr": 33.41, "ssim": 0.92},
}


def measure(experiment: PaperExperiment, seed: int) -> dict[str, Rows]:
    """Return all rows of each game."""
    return {game: rows(experiment, game, seed) for game in experiment.games}


def rows(experiment: PaperExperiment, game: str, seed: int) -> Rows:
    """Return the rows of one game.

    GenieRedux acts by the latent actions that its LAM infers from the test clips, GenieRedux-G by the recorded ones. By
    buttons, GenieRedux acts by the recorded ones too, each mapped to the latent action that it is in the training data.
    """
    test, codes = basic_test(experiment, game), latent(experiment, game, seed)
    with_actions = experiment.score(
        f"{game}/scores/basic/guided-on-random-{seed}", guided(experiment, [game], seed), test
    )
    with_codes = experiment.score(f"{game}/scores/basic/latent-on-random-{seed}", codes, test)
    by_buttons = experiment.score(
        f"{game}/scores/basic/buttons-on-random-{seed}", codes, test, random_episodes(experiment, game)
    )
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
    "Models of one game are trained on random episodes and scored on others. GenieRedux and GenieRedux-G share "
    "tokenizer, data and steps; the former acts by the latent actions that its LAM infers from the test clips, which "
    "tell it something about the very frames it is to predict. By buttons, it acts by the recorded actions, as a "
    "player would, each mapped to the latent action that it is in the training data.",
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
