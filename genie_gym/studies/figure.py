"""The plot of a study's results, as figure 8 of the paper: mean ratings by game and model, with their intervals."""

import io
from typing import TYPE_CHECKING, Any

import numpy as np

from genie_gym.studies.store import REAL
from genie_gym.utils.extras import require

if TYPE_CHECKING:
    from genie_gym.studies.results import Group, StudyResults

__all__ = ["draw"]

COLOURS = ("#9aa4b5", "#3f6fe0", "#e08a2c", "#8457c2", "#c2466b")
REAL_COLOUR = "#4a9d6f"


def draw(results: "StudyResults") -> bytes:
    """Return the plot as a PNG.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    require("matplotlib")
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4), dpi=150, layout="constrained")
    axes = FigureCanvasAgg(figure).figure.subplots()
    (_draw_ratings if results.kind == "rate" else _draw_choices)(axes, results)
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_title(f"{results.answers} answers of {results.raters} participant(s)", fontsize=10, color="#555555")
    said = io.BytesIO()
    figure.savefig(said, format="png")
    return said.getvalue()


def _draw_ratings(axes: Any, results: "StudyResults") -> None:
    """Bars by game, one for each model and one for pairs of real clips."""
    games = list(dict.fromkeys(group.game for group in results.groups))
    sources = [*results.compared, REAL]
    width = 0.8 / len(sources)
    for place, source in enumerate(sources):
        groups = [group for group in results.groups if group.name == source]
        x = [games.index(group.game) + (place - (len(sources) - 1) / 2) * width for group in groups]
        colour = REAL_COLOUR if source == REAL else COLOURS[place % len(COLOURS)]
        label = "two real clips" if source == REAL else source
        _bars(axes, x, groups, width=0.92 * width, color=colour, label=label)
    axes.set_xticks(range(len(games)), ["all games" if game == "all" else game for game in games])
    axes.set_ylim(1, 5.15)
    axes.set_ylabel("how alike, 1 to 5")
    axes.legend(frameon=False, ncols=3, loc="upper center", bbox_to_anchor=(0.5, -0.1))


def _draw_choices(axes: Any, results: "StudyResults") -> None:
    """Bars by action: from 0, the first model is always preferred, to 1, the second is."""
    groups = list(results.groups)
    _bars(axes, range(len(groups)), groups, width=0.6, color=COLOURS[1])
    axes.axhline(0.5, color="#777777", linewidth=1, linestyle="--")
    axes.set_xticks(range(len(groups)), [group.name for group in groups])
    axes.set_ylim(0, 1)
    axes.set_yticks([0, 0.5, 1], [f"0\n{results.compared[0]}", "0.5", f"1\n{results.compared[1]}"])
    axes.set_ylabel("preferred")


def _bars(axes: Any, x: Any, groups: "list[Group]", **style: Any) -> None:
    means = np.array([group.estimate.mean for group in groups])
    reach = np.array([[one.mean - one.low, one.high - one.mean] for one in (group.estimate for group in groups)])
    axes.bar(list(x), means, **style)
    axes.errorbar(list(x), means, np.nan_to_num(reach).T, fmt="none", ecolor="#222222", capsize=3, linewidth=1.2)
