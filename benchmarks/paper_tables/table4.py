"""Table 4: what training on many games and then on fewer, token input and the token distance loss each bring."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from paper_tables import scores
from paper_tables.lab import Lab, label
from paper_tables.plays import basic_test, more_random_play, random_play
from paper_tables.table import PLATFORMERS, Claim, Row, Rows, Table

__all__ = ["FULL", "TABLE", "lineage", "model"]

PAPER: Rows = {
    "GenieRedux-G-200": {"fid": 22.31, "psnr": 25.11, "ssim": 0.80},
    "GenieRedux-G-50": {"fid": 23.80, "psnr": 26.36, "ssim": 0.84},
    "+ Token Input": {"fid": 22.96, "psnr": 26.65, "ssim": 0.84},
    "+ TDCE Loss": {"fid": 22.95, "psnr": 27.06, "ssim": 0.85},
    "Autoregressive": {"fid": 22.11, "psnr": 28.07, "ssim": 0.88},
}

PLAIN, FULL = "plain", "token-input-tdce"
VARIANTS = {  # of the dynamics; each has what those before it have
    PLAIN: {"token_input": False, "tdce": 0.0},
    "token-input": {"token_input": True, "tdce": 0.0},
    FULL: {"token_input": True, "tdce": 1.0},
}


def lineage(lab: Lab) -> str:
    """Which games a model comes from, for the names of what is made with it."""
    return f"{label(lab.games)}-after-{label(lab.many)}"


def large(lab: Lab, variant: str, seed: int) -> Path:
    """The model of many games (-200); all variants have the same tokenizer."""
    data = lab.merged(f"{label(lab.many)}/play/random", [random_play(lab, game) for game in lab.many])
    like = None if variant == PLAIN else large(lab, PLAIN, seed)
    return lab.fit(f"{label(lab.many)}/fits/many-{variant}", data, seed, like=like, **VARIANTS[variant])


def model(lab: Lab, variant: str, seed: int) -> Path:
    """The one that went on with the games chosen (-50)."""
    base = large(lab, variant, seed)
    play = [more_random_play(lab, game) for game in lab.games]
    return lab.tuned(f"{label(lab.games)}/fits/{variant}-of-{lineage(lab)}", base, play, seed, lab.scale.more_steps)


def measure(lab: Lab, seed: int) -> dict[str, Rows]:
    """All rows, means over the games."""
    plain, token_input, full = (model(lab, variant, seed) for variant in VARIANTS)
    return {
        label(lab.games): {
            "GenieRedux-G-200": score(lab, large(lab, PLAIN, seed), f"many-{PLAIN}-{seed}"),
            "GenieRedux-G-50": score(lab, plain, f"{PLAIN}-{seed}"),
            "+ Token Input": score(lab, token_input, f"token-input-{seed}"),
            "+ TDCE Loss": score(lab, full, f"{FULL}-{seed}"),
            "GenieRedux-G-50, autoregressive": score(lab, plain, f"{PLAIN}-{seed}", scores.autoregressive),
            "+ Token Input, autoregressive": score(lab, token_input, f"token-input-{seed}", scores.autoregressive),
            "Autoregressive": score(lab, full, f"{FULL}-{seed}", scores.autoregressive),
        }
    }


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
    "Models are trained on random play of many games (-200) and go on with new random play of the games chosen (-50): "
    "without token input and token distance loss, with the former, and with both; equal steps, one tokenizer. Scored "
    "on other random play of the games chosen. Without `--many`, both stages have the same games.",
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
