"""Table 5: the gain from episodes of an explorer on the model's uncertainty, beside as many random frames."""

from pathlib import Path
from typing import Any

from benchmarks.common.results import Figures
from benchmarks.paper import scores
from benchmarks.paper.datasets import diverse_test, random_episodes
from benchmarks.paper.experiment import EPSILON, PaperExperiment
from benchmarks.paper.models import FULL
from benchmarks.paper.scales import Scale
from benchmarks.paper.table import PLATFORMERS, Claim, Rows, Table
from benchmarks.paper.table4 import lineage, model

__all__ = ["TABLE", "refitted"]

BASE, RANDOM, EXPLORED = "Random: GenieRedux-G-50", "Random: GenieRedux-G-50-ft", "Exploration: GenieRedux-G-50-ft"
TOKENIZER, SCRATCH = "Exploration: Tokenizer-ft", "Exploration: GenieRedux-G"


def _rows(*figures: tuple[float, float, float, float | None]) -> Rows:
    """Return the paper's rows from their FID, PSNR, SSIM and delta-PSNR, in its order."""
    order = (BASE, RANDOM, TOKENIZER, SCRATCH, EXPLORED, f"{RANDOM}, autoregressive", f"{EXPLORED}, autoregressive")
    names = ("fid", "psnr", "ssim", "delta_psnr")
    return {row: dict(zip(names, values, strict=True)) for row, values in zip(order, figures, strict=True)}


PAPER = {
    "AdventureIslandII-Nes": _rows(
        (41.99, 26.32, 0.81, 0.83),
        (42.34, 27.04, 0.81, 1.19),
        (11.01, 38.95, 0.98, None),
        (11.94, 28.33, 0.88, 0.37),
        (12.77, 30.60, 0.90, 1.47),
        (41.55, 27.82, 0.83, 1.24),
        (11.33, 33.61, 0.94, 2.09),
    ),
    "SuperMarioBros-Nes": _rows(
        (29.83, 34.24, 0.94, 0.56),
        (30.13, 34.54, 0.94, 0.54),
        (8.09, 42.00, 0.99, None),
        (9.56, 34.00, 0.95, 0.09),
        (9.55, 36.13, 0.97, 0.57),
        (30.84, 34.85, 0.95, 0.57),
        (9.33, 37.77, 0.97, 0.76),
    ),
    "Smurfs-Nes": _rows(  # as printed; its model from scratch would be better than the finetuned one
        (79.51, 21.47, 0.69, 0.47),
        (80.61, 21.83, 0.70, 0.65),
        (17.86, 35.61, 0.98, None),
        (20.43, 35.42, 0.80, 0.85),
        (20.01, 27.45, 0.85, 1.55),
        (80.16, 22.16, 0.71, 0.69),
        (18.97, 29.53, 0.90, 2.06),
    ),
}


def refitted(experiment: PaperExperiment, game: str, source: str, seed: int) -> Path:
    """Refit table 4's best model for one round; return the folder of that round.

    Args:
        source: Where the new episodes come from, "random" or "autoexplore".
    """
    base, data = model(experiment, FULL, seed), random_episodes(experiment, game)
    options = refit_options(experiment.scale, source, seed) | {"checkpoint": str(base), "data": data}

    def execute(folder: Path) -> Figures:
        (report,) = experiment.refit(game, folder / "run", explorer=experiment.scale.explorer_config(), **options)
        return {"seconds": report.seconds}

    folder, _ = experiment.run(f"{game}/refits/{source}-of-{lineage(experiment)}-{seed}", execute)
    return folder / "run" / "round-1"


def refit_options(scale: Scale, source: str, seed: int) -> dict[str, Any]:
    """Return the options of a refit; both sources cost as many real frames."""
    return {
        "policy_source": source,
        "explore_steps": scale.explore_steps,
        "frames": scale.frames + (scale.explore_steps if source == "random" else 0),
        "epsilon": EPSILON,
        "num_envs": scale.envs,
        "max_steps": scale.max_steps,
        "decoder_steps": scale.decoder_steps,
        "dynamics_steps": scale.finetune_steps,
        "new_share": 1.0,
        "clips": scale.clips,
        "seed": seed,
    }


def measure(experiment: PaperExperiment, seed: int) -> dict[str, Rows]:
    """Return all rows of each game."""
    return {game: rows_of(experiment, game, seed) for game in experiment.games}


def rows_of(experiment: PaperExperiment, game: str, seed: int) -> Rows:
    """Return the rows of the model before and after refits on either, and of one trained on the explorer's alone."""
    by_random, by_explorer = (refitted(experiment, game, source, seed) for source in ("random", "autoexplore"))
    checkpoints = {
        "before": model(experiment, FULL, seed),
        "random": by_random / "checkpoint",
        "explored": by_explorer / "checkpoint",
        "scratch": experiment.model(f"{game}/models/scratch-of-{lineage(experiment)}", by_explorer / "data", seed),
    }
    test = diverse_test(experiment, game)
    before, random, explored, scratch = (
        experiment.score(f"{game}/scores/diverse/{name}-of-{lineage(experiment)}-{seed}", checkpoint, test)
        for name, checkpoint in checkpoints.items()
    )
    return {
        BASE: scores.single_pass(before),
        RANDOM: scores.single_pass(random),
        TOKENIZER: scores.tokenizer(explored),
        SCRATCH: scores.single_pass(scratch),
        EXPLORED: scores.single_pass(explored),
        f"{BASE}, autoregressive": scores.autoregressive(before),
        f"{RANDOM}, autoregressive": scores.autoregressive(random),
        f"{SCRATCH}, autoregressive": scores.autoregressive(scratch),
        f"{EXPLORED}, autoregressive": scores.autoregressive(explored),
    }


TABLE = Table(
    5,
    "Benefit of the data from the AutoExplore agent",
    "Table 4's best model (-50) is refitted on each game, once on new random episodes and once on as many frames of an "
    "explorer that was rewarded for the model's uncertainty: what it learned from and what was recorded then (decoder, "
    "then dynamics, on the new episodes alone). Another is trained from scratch on what was recorded of the trained "
    "explorer. All are scored on episodes of an agent that PPO trained on the game's own reward.",
    PLATFORMERS,
    PAPER,
    tuple(
        Claim(metric, f"{EXPLORED}{way}", f"{other}{way}")
        for way in ("", ", autoregressive")
        for metric, other in (("psnr", RANDOM), ("delta_psnr", RANDOM), ("psnr", SCRATCH), ("psnr", BASE))
    ),
    measure,
)
