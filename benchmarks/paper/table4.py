"""Table 4: the gains from training on many games first, from token input, and from the token distance loss."""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from benchmarks.common.results import Figures
from benchmarks.paper import scores
from benchmarks.paper.datasets import basic_test, more_random_episodes
from benchmarks.paper.experiment import PaperExperiment, label
from benchmarks.paper.models import FULL, PLAIN, TOKEN_INPUT, guided
from benchmarks.paper.table import PLATFORMERS, Claim, Row, Rows, Table

__all__ = ["TABLE", "lineage", "model"]

PAPER: Rows = {
    "GenieRedux-G-200": {"fid": 22.31, "psnr": 25.11, "ssim": 0.80},
    "GenieRedux-G-50": {"fid": 23.80, "psnr": 26.36, "ssim": 0.84},
    "+ Token Input": {"fid": 22.96, "psnr": 26.65, "ssim": 0.84},
    "+ TDCE Loss": {"fid": 22.95, "psnr": 27.06, "ssim": 0.85},
    "Autoregressive": {"fid": 22.11, "psnr": 28.07, "ssim": 0.88},
}


def lineage(experiment: PaperExperiment) -> str:
    """Return a name of the games that a model was trained on."""
    return label(experiment.games) + (f"-after-{label(experiment.many)}" if experiment.many else "")


def model(experiment: PaperExperiment, variant: str, seed: int) -> Path:
    """Return a model of the games of the table, finetuned from one of many games (-200) if there are many."""
    if not experiment.many:
        return guided(experiment, experiment.games, seed, variant=variant)
    base = guided(experiment, experiment.many, seed, variant=variant)
    datasets = [more_random_episodes(experiment, game) for game in experiment.games]
    name = f"{label(experiment.games)}/models/{variant}-of-{lineage(experiment)}"
    return experiment.finetuned(name, base, datasets, seed, experiment.scale.more_steps)


def measure(experiment: PaperExperiment, seed: int) -> dict[str, Rows]:
    """Return all rows, means over the games."""
    rows: Rows = {}
    if experiment.many:
        rows["GenieRedux-G-200"] = score(
            experiment, guided(experiment, experiment.many, seed, variant=PLAIN), f"many-{PLAIN}-{seed}"
        )
    models = {variant: model(experiment, variant, seed) for variant in (PLAIN, TOKEN_INPUT, FULL)}
    for figures_of, names in (
        (scores.single_pass, ("GenieRedux-G-50", "+ Token Input", "+ TDCE Loss")),
        (
            scores.autoregressive,
            ("GenieRedux-G-50, autoregressive", "+ Token Input, autoregressive", "Autoregressive"),
        ),
    ):
        for name, (variant, checkpoint) in zip(names, models.items(), strict=True):
            rows[name] = score(experiment, checkpoint, f"{variant}-{seed}", figures_of)
    return {label(experiment.games): rows}


def score(
    experiment: PaperExperiment, checkpoint: Path, name: str, figures_of: Callable[[Figures], Row] = scores.single_pass
) -> Row:
    """Return a model's figures on the basic test set, means over the games."""
    rows = []
    for game in experiment.games:
        figures = experiment.score(
            f"{game}/scores/basic/{name}-of-{lineage(experiment)}", checkpoint, basic_test(experiment, game)
        )
        rows.append(figures_of(figures))
    return {metric: float(np.mean([one[metric] for one in rows])) for metric in rows[0]}


TABLE = Table(
    4,
    "Ablation study on improvements in GenieRedux-G",
    "Models are trained on random episodes: without token input and token distance loss, with the former, and with "
    "both; equal steps, one tokenizer. With `--many` they learn those games first (-200) and are finetuned on new "
    "random episodes of the games of the table (-50). Scored on other random episodes of these.",
    PLATFORMERS,
    {"Platformers-50": PAPER},
    (
        Claim("psnr", "GenieRedux-G-50", "GenieRedux-G-200"),
        Claim("psnr", "+ Token Input", "GenieRedux-G-50"),
        Claim("psnr", "+ TDCE Loss", "+ Token Input"),
        Claim("psnr", "Autoregressive", "+ TDCE Loss"),
        Claim("delta_psnr", "+ Token Input", "GenieRedux-G-50"),
        Claim("delta_psnr", "+ TDCE Loss", "+ Token Input"),
        Claim("psnr", "+ Token Input, autoregressive", "GenieRedux-G-50, autoregressive"),
        Claim("psnr", "Autoregressive", "+ Token Input, autoregressive"),
        Claim("delta_psnr", "+ Token Input, autoregressive", "GenieRedux-G-50, autoregressive"),
        Claim("delta_psnr", "Autoregressive", "+ Token Input, autoregressive"),
    ),
    measure,
)
