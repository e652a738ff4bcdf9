"""Table 4: what training on many games and then on fewer, token input and the token distance loss each bring."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from paper_tables import scores
from paper_tables.lab import Lab, label
from paper_tables.models import FULL, PLAIN, TOKEN_INPUT, guided
from paper_tables.plays import basic_test, more_random_play
from paper_tables.table import PLATFORMERS, Claim, Row, Rows, Table

__all__ = ["TABLE", "lineage", "model"]

PAPER: Rows = {
    "GenieRedux-G-200": {"fid": 22.31, "psnr": 25.11, "ssim": 0.80},
    "GenieRedux-G-50": {"fid": 23.80, "psnr": 26.36, "ssim": 0.84},
    "+ Token Input": {"fid": 22.96, "psnr": 26.65, "ssim": 0.84},
    "+ TDCE Loss": {"fid": 22.95, "psnr": 27.06, "ssim": 0.85},
    "Autoregressive": {"fid": 22.11, "psnr": 28.07, "ssim": 0.88},
}


def lineage(lab: Lab) -> str:
    """Which games a model comes from, for the names of what is made with it."""
    return label(lab.games) + (f"-after-{label(lab.many)}" if lab.many else "")


def model(lab: Lab, variant: str, seed: int) -> Path:
    """A model of the games chosen, after one of many games (-200) where there are many."""
    if not lab.many:
        return guided(lab, lab.games, seed, variant=variant)
    base = guided(lab, lab.many, seed, variant=variant)
    play = [more_random_play(lab, game) for game in lab.games]
    return lab.tuned(f"{label(lab.games)}/fits/{variant}-of-{lineage(lab)}", base, play, seed, lab.scale.more_steps)


def measure(lab: Lab, seed: int) -> dict[str, Rows]:
    """All rows, means over the games."""
    rows: Rows = {}
    if lab.many:
        rows["GenieRedux-G-200"] = score(lab, guided(lab, lab.many, seed, variant=PLAIN), f"many-{PLAIN}-{seed}")
    models = {variant: model(lab, variant, seed) for variant in (PLAIN, TOKEN_INPUT, FULL)}
    for figures_of, names in (
        (scores.single_pass, ("GenieRedux-G-50", "+ Token Input", "+ TDCE Loss")),
        (
            scores.autoregressive,
            ("GenieRedux-G-50, autoregressive", "+ Token Input, autoregressive", "Autoregressive"),
        ),
    ):
        for name, (variant, checkpoint) in zip(names, models.items(), strict=True):
            rows[name] = score(lab, checkpoint, f"{variant}-{seed}", figures_of)
    return {label(lab.games): rows}


def score(
    lab: Lab, checkpoint: Path, name: str, figures_of: Callable[[dict[str, Any]], Row] = scores.single_pass
) -> Row:
    """A model's figures on new random play, means over the games."""
    found = []
    for game in lab.games:
        figures = lab.score(f"{game}/scores/basic/{name}-of-{lineage(lab)}", checkpoint, basic_test(lab, game))
        found.append(figures_of(figures))
    return {metric: float(np.mean([one[metric] for one in found])) for metric in found[0]}


TABLE = Table(
    4,
    "Ablation study on improvements in GenieRedux-G",
    "Models are trained on random play: without token input and token distance loss, with the former, and with both; "
    "equal steps, one tokenizer. With `--many` they learn those games first (-200) and go on with new random play of "
    "the games chosen (-50). Scored on other random play of the games chosen.",
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
