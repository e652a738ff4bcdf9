"""Draws the figures of README and documentation from committed JSON: python docs/figures/make_figures.py"""

import json
from pathlib import Path
from typing import Any

from matplotlib import rcParams
from matplotlib.figure import Figure

HERE = Path(__file__).parent
RESULTS = HERE.parents[1] / "benchmarks" / "results"
OURS, SAME_MODEL, PUBLISHED = "#3b76c4", "#9db9dd", "#bbbbbb"

Bar = tuple[str, float, str]  # label, frames per second, colour


def main() -> None:
    """Draw everything."""
    rcParams["svg.fonttype"] = "none"  # text stays text
    rcParams["svg.hashsalt"] = "genie_gym"  # the same file from the same figures
    speed = json.loads((RESULTS / "speed.json").read_text())
    draw([*published(), *measured(speed)], HERE / "speed.svg")


def measured(speed: dict[str, Any]) -> list[Bar]:
    """Our own measurements on two CPU cores."""
    bars = []
    for preset in ("paper", "tiny-transformer"):
        naive = 1000 / speed[preset]["naive"]["naive_ms"]["bfloat16"]
        bars.append((f"preset {preset}, whole window in 25 passes, CPU", naive, SAME_MODEL))
        for name, run in speed[preset]["imagination"].items():
            how, count = name.split()
            if (how, count) in (("compiled", "1"), ("compiled", "16"), ("eager", "16")):
                batch = "one environment" if count == "1" else f"batch of {count}"
                bars.append((f"genie_gym, preset {preset}, {batch}, {how}, CPU", run["frames_per_second"], OURS))
    return sorted(bars, key=lambda bar: bar[1])


def published() -> list[Bar]:
    """Figures of others, at the lower end where a range is given."""
    figures = json.loads((HERE / "peers.json").read_text())["figures"]
    return [(figure["label"], figure["fps"][0], PUBLISHED) for figure in reversed(figures)]


def draw(bars: list[Bar], path: Path) -> None:
    """Save a chart of horizontal bars on a logarithmic scale."""
    figure = Figure(figsize=(8, 0.36 * len(bars) + 1), layout="constrained")
    axes = figure.subplots()
    labels, values, colors = zip(*bars, strict=True)
    axes.barh(labels, values, color=colors)
    for row, value in enumerate(values):
        axes.text(value * 1.1, row, f"{value:.3g}", va="center", fontsize=8)
    axes.set(xscale="log", xlim=(0.01, 2000))
    axes.set_xlabel("frames per second", fontsize=8)
    axes.tick_params(labelsize=8)
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, metadata={"Date": None})


if __name__ == "__main__":
    main()
