"""What an evaluation shows: figures as JSON values, the main ones as a table, and strips of pictures."""

import math
from pathlib import Path
from typing import Any

import numpy as np
from rich import box
from rich.table import Table

from genie_gym.files import write_aside
from genie_gym.frames import enlarge, strip, to_png
from genie_gym.metrics import Frames

__all__ = ["plain", "summary", "write_strip"]


def plain(value: Any) -> Any:
    """Nested figures as JSON values, rounded to four places; None for what is not a number.

    >>> plain({"psnr": np.float64(38.123456), "moving": [float("nan"), 2]})
    {'psnr': 38.1235, 'moving': [None, 2]}
    """
    if isinstance(value, dict):
        return {str(key): plain(part) for key, part in value.items()}
    if isinstance(value, list):
        return [plain(part) for part in value]
    if isinstance(value, float | np.floating):
        return round(float(value), 4) if math.isfinite(value) else None
    return value


def summary(figures: dict[str, Any]) -> Table:
    """The main figures of `evaluate` as a table for the terminal."""
    prediction, control, sprite = (figures[name] for name in ("prediction", "control", "sprite"))
    table = Table(title=f"{figures['game']}: on held-out play", box=box.SIMPLE_HEAD)
    table.add_column("")
    for name in ("whole frame", "moving pixels"):
        table.add_column(name, justify="right")
    table.add_row("reconstruction, dB", *(_dB(figures["reconstruction"][key]) for key in ("psnr", "moving_psnr")))
    for t in sorted({1, 4, len(prediction["psnr"])}):
        for who, prefix in (("prediction", ""), ("last frame repeated", "repeat_")):
            pair = (prediction[f"{prefix}{key}"][t - 1] for key in ("psnr", "moving_psnr"))
            table.add_row(f"{who}, t = {t}, dB", *map(_dB, pair))
    single = (figures["single_pass"][key][3] for key in ("psnr", "moving_psnr"))
    table.add_row("prediction in a single pass, t = 4, dB", *map(_dB, single))
    table.add_row("delta-PSNR, t = 4, random actions, dB", _dB(control["delta_psnr"]))
    table.add_row("delta-PSNR, t = 4, other last action, dB", _dB(control["delta_psnr_last_action"]))
    if latent := figures["latent"]:
        for name, key in (("mutual information", "nmi"), ("one-to-one accuracy", "accuracy")):
            beside = f"{_number(latent[key], '.3f')} ({_number(latent[f'shuffled_{key}'], '.3f')})"
            table.add_row(f"latent and true actions (chance), {name}", beside)
    for who, looks in (figures["perceptual"] or {}).items():
        shown = f"{_number(looks['lpips'][3], '.3f')}, {_number(looks['fid'], '.1f')}"
        table.add_row(f"{who.replace('_', ' ')}: LPIPS of the fourth frame, FID", shown)
    if sprite:
        table.add_row(f"player kept after {len(sprite['kept'])} true actions", f"{sprite['kept'][-1]:.0%}")
    if figures["long"]:
        _add_long(table, figures["long"], figures["rewards"])
    table.add_row(f"frames/s in a batch of {figures['speed']['batch']}", f"{figures['speed']['frames_per_second']:.0f}")
    return table


def _add_long(table: Table, long: dict[str, Any], rewards: dict[str, Any]) -> None:
    """Rows of long dreams."""
    if long["sprite"]:
        shares = long["sprite"]["recently_seen"].items()
        table.add_row("player there after " + ", ".join(k for k, _ in shares), ", ".join(f"{v:.0%}" for _, v in shares))
    distance = long["frechet"]
    late, real, black = (_number(distance[key], ".0f") for key in ("late", "real", "black"))
    table.add_row("Frechet distance late in dreams (real, black)", f"{late} ({real}, {black})")
    name = f"reward in {rewards['steps']} steps, dreamed (real)"
    table.add_row(name, f"{_number(rewards['dreamed'], '.3g')} ({_number(rewards['real'], '.3g')})")


def _dB(value: float | None) -> str:
    return _number(value, ".2f")


def _number(value: float | None, form: str) -> str:
    """`plain` makes None of what is not a number."""
    return "-" if value is None else format(value, form)


def write_strip(path: Path, rows: Frames) -> None:
    """Writes rows of pictures, uint8 (rows, columns, h, w, 3), enlarged twofold; makes the folder.

    Raises:
        DataError: it cannot be written.
    """
    write_aside(path, to_png(enlarge(strip(rows.reshape(-1, *rows.shape[2:]), columns=rows.shape[1]), 2)))
