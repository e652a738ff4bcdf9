"""Result files: JSON with all figures, Markdown tables, and the mean and deviation over seeds."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from genie_gym.utils.atomic import atomic_write
from genie_gym.utils.jsonable import to_jsonable

__all__ = [
    "RESULTS",
    "Curve",
    "Figures",
    "markdown_table",
    "mean_and_deviation",
    "read_values",
    "write_page",
    "write_result",
]

Figures = dict[str, Any]
Curve = list[list[float]]  # points of (steps, value)
RESULTS = Path(__file__).parents[1] / "results"


def write_result(path: Path, figures: Figures, machine: Figures) -> Path:
    """Write figures and facts about the machine as JSON, creating folders as needed; return the path."""
    atomic_write(path, (json.dumps({**to_jsonable(figures), "machine": machine}, indent=1) + "\n").encode())
    return path


def write_page(path: Path, result: Figures, paragraphs: Sequence[str]) -> None:
    """Write a result as JSON and as a Markdown page.

    Args:
        path: Path of both without suffix.
        result: All figures and facts; "machine" among them comes last.
        paragraphs: Paragraphs of the page.
    """
    path, machine = path.parent / f"{path.name}.json", result["machine"]
    write_result(path, {name: value for name, value in result.items() if name != "machine"}, machine)
    path.with_suffix(".md").write_text("\n\n".join(paragraphs) + "\n", encoding="utf-8")
    print(f"results in {path}")


def markdown_table(heads: Sequence[str], rows: Sequence[Sequence[Any]], left: int = 1) -> str:
    """Return a Markdown table.

    Args:
        heads: Column titles.
        rows: Cells of each row.
        left: Number of left-aligned columns at the front; the others are right-aligned.
    """
    lines = [f"| {' | '.join(heads)} |", "|" + "---|" * left + "---:|" * (len(heads) - left)]
    lines += [f"| {' | '.join(map(str, row))} |" for row in rows]
    return "\n".join(lines)


def read_values(values: Sequence[float | None]) -> np.ndarray:
    """Return the values that are not None: float64 (n,)."""
    return np.array([value for value in values if value is not None], float)


def mean_and_deviation(values: Sequence[float | None], digits: int | None = None) -> str:
    """Return "mean ± standard deviation" of the values that are not None; a single value has no deviation.

    Args:
        values: One value per seed.
        digits: Decimal places; by default fewer for larger means.
    """
    known = read_values(values)
    if not len(known):
        return ""
    mean = known.mean()
    if digits is None:
        digits = 0 if mean > 100 else 2 if mean > 2 else 3
    return f"{mean:.{digits}f}" + (f" ± {known.std(ddof=1):.{digits}f}" if len(known) > 1 else "")
