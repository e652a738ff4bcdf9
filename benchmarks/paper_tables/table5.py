"""Table 5: what play of an explorer on the model's uncertainty brings, beside as much random play."""

from pathlib import Path
from typing import Any

from arms import Stopped

from genie_gym.pipeline.refit import refit
from genie_gym.pipeline.refit_config import RefitConfig
from genie_gym.pipeline.tune import TuneConfig
from paper_tables import scores
from paper_tables.lab import RANDOM_SHARE, Lab
from paper_tables.models import FULL
from paper_tables.plays import diverse_test, random_play
from paper_tables.table import PLATFORMERS, Claim, Rows, Table
from paper_tables.table4 import lineage, model

__all__ = ["TABLE", "refitted"]

BASE, RANDOM, EXPLORED = "Random: GenieRedux-G-50", "Random: GenieRedux-G-50-ft", "Exploration: GenieRedux-G-50-ft"
TOKENIZER, SCRATCH = "Exploration: Tokenizer-ft", "Exploration: GenieRedux-G"


def _rows(*figures: tuple[float, float, float, float | None]) -> Rows:
    """FID, PSNR, SSIM and delta-PSNR of the paper's rows, in its order."""
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
    "Smurfs-Nes": _rows(  # as printed; its model from scratch would be better than the one that is tuned
        (79.51, 21.47, 0.69, 0.47),
        (80.61, 21.83, 0.70, 0.65),
        (17.86, 35.61, 0.98, None),
        (20.43, 35.42, 0.80, 0.85),
        (20.01, 27.45, 0.85, 1.55),
        (80.16, 22.16, 0.71, 0.69),
        (18.97, 29.53, 0.90, 2.06),
    ),
}


def refitted(lab: Lab, game: str, source: str, seed: int) -> Path:
    """One round of a refit of table 4's best model; the folder of the run.

    Args:
        source: where the new play comes from, "random" or "autoexplore".
    """
    base, scale = model(lab, FULL, seed), lab.scale
    # An explorer's refit learns from the play it was trained on as well.
    frames = scale.frames + (scale.explore_steps if source == "random" else 0)

    def make(folder: Path) -> dict[str, Any]:
        from genie_gym.sb3 import ExplorerConfig

        report = refit(
            game,
            config=RefitConfig(
                data_from=source,
                explore_steps=scale.explore_steps,
                frames=frames,
                random_share=RANDOM_SHARE,
                envs=scale.envs,
                max_steps=scale.max_steps,
                tune=TuneConfig(scale.decoder_steps, scale.tune_steps, new_share=1.0),
                clips=scale.clips,
                seed=seed,
            ),
            checkpoint=base,
            data=random_play(lab, game),
            run=folder / "run",
            workers=lab.workers,
            progress=lab.shown,
            explorer=ExplorerConfig(**scale.explorer),
        )
        if report.stopped is not None:
            raise Stopped(report.stopped)
        return report.rounds[0]

    return lab.arm(f"{game}/refits/{source}-of-{lineage(lab)}-{seed}", make)[0] / "run"


def measure(lab: Lab, seed: int) -> dict[str, Rows]:
    """All rows of each game."""
    return {game: rows(lab, game, seed) for game in lab.games}


def rows(lab: Lab, game: str, seed: int) -> Rows:
    """The model before, after new random play and after the explorer's; and one that knows only the latter."""
    by_random, by_explorer = (refitted(lab, game, source, seed) for source in ("random", "autoexplore"))
    found = by_explorer / "round-1"
    checkpoints = {
        "before": model(lab, FULL, seed),
        "random": by_random / "round-1" / "checkpoint",
        "explored": found / "checkpoint",
        "scratch": lab.fit(f"{game}/fits/scratch-of-{lineage(lab)}", found / "data", seed),
    }
    test = diverse_test(lab, game)
    before, random, explored, scratch = (
        lab.score(f"{game}/scores/diverse/{name}-of-{lineage(lab)}-{seed}", checkpoint, test)
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
    "Table 4's best model (-50) is refitted on each game, once on new random play and once on as much play of an "
    "explorer that was paid for the model's uncertainty: what it learned from and what it played then (decoder, then "
    "dynamics, on the new play alone). Another is trained from scratch on what the explorer played when it had "
    "learned. All are scored on play of an agent that PPO trained on the game's own reward.",
    PLATFORMERS,
    PAPER,
    tuple(
        Claim(metric, f"{EXPLORED}{way}", f"{other}{way}")
        for way in ("", ", autoregressive")
        for metric, other in (("psnr", RANDOM), ("delta_psnr", RANDOM), ("psnr", SCRATCH), ("psnr", BASE))
    ),
    measure,
)
