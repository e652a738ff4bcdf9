"""HTML page of an analysis: images, curves and tables.

Shapes: b clips, t frames, a actions, k steps, s side of a frame in pixels.
"""

from collections.abc import Iterable
from dataclasses import astuple
from pathlib import Path
from typing import Any

import numpy as np
from markupsafe import Markup
from matplotlib.figure import Figure

from genie_gym.analysis.actions import action_differences, differences_from_median
from genie_gym.analysis.codebook import STATIC_LEVELS
from genie_gym.analysis.findings import Findings, InspectReport, ModelFigures, swapped_by_kind
from genie_gym.analysis.html import document, picture, plot, render
from genie_gym.analysis.overlays import heat_map, token_colours
from genie_gym.analysis.uncertainty import autoexplore
from genie_gym.metrics.image import Frames
from genie_gym.utils.images import enlarge, grid
from genie_gym.utils.version import code_version
from genie_gym.world_model import Checkpoint

__all__ = ["draw_page"]

TEMPLATE = Path(__file__).with_name("report.html.jinja")
SHOWN_CLIPS = 2
COLUMNS = 8  # frames of each
ZOOM = 2

Rows = list[tuple[str, Markup]]  # images with their labels


def draw_page(checkpoint: Checkpoint, findings: Findings, report: InspectReport) -> str:
    """Return the whole page as HTML.

    Args:
        checkpoint: The model analysed.
        findings: Arrays to draw.
        report: Figures of the findings, and settings.
    """
    figures, maximum = report.figures, _maximum(findings)
    body = render(
        TEMPLATE.read_text(),
        report=report,
        figures=figures,
        source=_source(report),
        clips=_liveliest(findings),
        tokens=checkpoint.model.tokens,
        static_levels=STATIC_LEVELS,
        horizon=autoexplore(checkpoint.model).horizon,
        maximum=maximum,
        swaps=[(kind, *astuple(swap)) for kind, swap in figures.swapped_codes.items()],
        swapped=lambda clip: _swapped(findings, clip),
        codebook=astuple(figures.codebook),
        usage_plot=_usage_plot(findings.usage.counts),
        maps=lambda clip: _maps(findings, clip, maximum),
        separations=_separations(figures),
        uncertainty_plot=_uncertainty_plot(findings),
        rewards=[(kind, reward, figures.reward_auroc.get(kind)) for kind, reward in figures.reward.items()],
        held=findings.rollouts.shape[2],
        contexts=len(findings.rollouts),
        actions=_rollouts(findings, report.actions),
        differences=[(name, *row) for name, row in zip(report.actions, figures.action_differences, strict=True)],
        settings=_settings(checkpoint, report),
        version=code_version(),
    )
    return document(f"Inside the world model of {report.game}", body)


def _source(report: InspectReport) -> str:
    if report.dataset:
        return f"held-out episodes of {report.dataset}"
    return "imagined rollouts from the initial contexts in the checkpoint; recorded episodes (--data) would say more"


def _liveliest(findings: Findings) -> list[int]:
    """Return the clips with most change in the frames that are shown."""
    change = findings.changes[:, : COLUMNS - 1].mean((1, 2, 3))
    return np.argsort(-change, kind="stable")[:SHOWN_CLIPS].tolist()


def _row(frames: Frames, title: str) -> Markup:
    """Draw frames uint8 (n, s, s, 3) side by side."""
    return picture(enlarge(grid(frames), ZOOM), title)


def _swapped(findings: Findings, clip: int) -> Rows:
    shown = slice(0, COLUMNS)
    size, codes = findings.clips.frames.shape[-2], len(findings.usage.counts)
    rows = {"frames": findings.clips.frames} | swapped_by_kind(findings.swapped)
    colours = token_colours(findings.tokens[clip, shown], codes, size, findings.static.token)
    frames = {name: frames[clip, shown] for name, frames in rows.items()} | {"tokens": colours}
    return [(name, _row(row, name)) for name, row in frames.items()]


def _usage_plot(counts: np.ndarray) -> Markup:
    figure = Figure(figsize=(7, 2.6), layout="constrained")
    axes = figure.subplots()
    ordered = np.sort(counts)[::-1]
    axes.fill_between(np.arange(1, len(ordered) + 1), ordered / ordered.sum(), step="mid")
    axes.axhline(1 / len(ordered), color="C1", linestyle="--", label="all codes evenly")
    axes.set(yscale="log", xlabel="code, by frequency", ylabel="share of tokens", xlim=(0, len(ordered)))
    axes.legend()
    return plot(figure, "usage of the codes")


def _maximum(findings: Findings) -> float:
    """Return the value of the brightest colour, the 99th percentile; a fixed one would leave many maps black."""
    return max(*(float(np.quantile(maps, 0.99)) for maps in (findings.next_frame.entropy, findings.ahead)), 0.05)


def _maps(findings: Findings, clip: int, maximum: float) -> Rows:
    """Draw the first frames for which all maps exist."""
    ahead, changes = findings.ahead[clip], findings.changes_ahead[clip][:COLUMNS]
    frames, entropy = (x[clip, -len(ahead) :][:COLUMNS] for x in (findings.clips.frames, findings.next_frame.entropy))
    rows = {
        "frames": frames,
        "next frame": heat_map(frames, entropy, maximum),
        "further ahead": heat_map(frames, ahead[:COLUMNS], maximum),
        "change": heat_map(frames, changes, max(float(changes.max()), 1)),
    }
    return [(name, _row(row, name)) for name, row in rows.items()]


def _separations(figures: ModelFigures) -> list[tuple[Any, ...]]:
    return [
        ("next frame: moving, static", *astuple(figures.moving_patches)),
        ("next frame: token predicted wrong, right", *astuple(figures.wrong_patches)),
        ("further ahead: moving, static", *astuple(figures.moving_patches_ahead)),
    ]


def _uncertainty_plot(findings: Findings) -> Markup:
    """Plot entropies where the likeliest token is wrong and right, and rewards by kind of frames."""
    figure = Figure(figsize=(11, 3), layout="constrained")
    patches, rewards = figure.subplots(1, 2)
    entropy, wrong = findings.next_frame.entropy, findings.next_frame.wrong
    for name, values in (("right", entropy[~wrong]), ("wrong", entropy[wrong])):
        if values.size:
            patches.hist(values, np.linspace(0, 2, 61), density=True, histtype="step", label=f"predicted {name}")
    patches.set(yscale="log", xlabel="uncertainty of the next frame's tokens", ylabel="density")
    patches.legend()
    kinds = list(findings.rewards)
    rewards.boxplot(list(findings.rewards.values()), whis=(0, 100))
    rewards.set_xticks(range(1, len(kinds) + 1), kinds)
    rewards.set(ylabel="AutoExplore reward")
    return plot(figure, "uncertainty")


def _rollouts(findings: Findings, meanings: Iterable[str]) -> Rows:
    """Draw one row per action, from the context whose actions lead furthest apart beyond what noise alone does."""
    pairs = zip(findings.rollouts, findings.other_noise, strict=True)
    differences = [action_differences(one[None], other[None]) for one, other in pairs]
    rollouts = findings.rollouts[int(np.argmax([found.mean() - found.diagonal().mean() for found in differences]))]
    last = rollouts[:, -1:]  # (a, 1, s, s, 3)
    changes = differences_from_median(last)
    rows = np.concatenate([rollouts, heat_map(last, changes, max(float(changes.max()), 1))], 1)
    return [(name, _row(row, name)) for name, row in zip(meanings, rows, strict=True)]


def _settings(checkpoint: Checkpoint, report: InspectReport) -> list[tuple[str, Any]]:
    names = ("game", "source", "dataset", "clips", "frames_per_clip", "seed")
    own = [(name.replace("_", " "), getattr(report, name)) for name in names]
    return [*own, *checkpoint.metadata.summary()]
