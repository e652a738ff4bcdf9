"""The comparison of explorers with and without pretraining in imagination, on known curves."""

import json

import imageio.v3 as imageio
import pytest

pytest.importorskip("sb3_contrib", reason="needs sb3-contrib: pip install genie_gym[sb3]")

from benchmarks.exploration.imagination_pretraining import compare, write
from tests.benchmarks.test_exploration import FACTS


def row(cells: float, reward: float) -> dict:
    """Curves of 100 steps: so many new cells per step, and a reward that rises by 1 after half of them."""
    steps = range(5, 105, 5)
    return {
        "visited_cells": [[step, cells * step] for step in steps],
        "reward": [[step, reward + (step > 50)] for step in steps],
    }


CURVES = {"autoexplore": [row(2, 0.5), row(4, 0.5)], "pretrained": [row(4, 1.0), row(1, 1.0)]}


def test_figures_are_read_off_the_curves():
    figures = compare(CURVES)
    assert figures["autoexplore"]["50%"] == {"reward": [0.5, 0.5], "visited_cells": [100, 200]}
    assert figures["pretrained"]["100%"] == {"reward": [2.0, 2.0], "visited_cells": [400, 100]}
    assert figures["pretrained"]["10%"] == {"reward": [1.0, 1.0], "visited_cells": [40, 10]}
    # After half of its steps the first had visited 100 cells and the second 200, which its pretrained one never does.
    assert figures["steps_to_baseline_half"] == [25, None]


def test_the_page(tmp_path):
    facts = FACTS | {"settings": {"steps": 60_000, "seeds": 2}}
    write("Toy-Numpy", CURVES, facts, tmp_path)
    text = (tmp_path / "imagination-pretraining-Toy-Numpy.md").read_text()
    assert "after 60,000 steps in imagination" in text and "after 25, never real steps (seed by seed)" in text
    rows = [line for line in text.splitlines() if line.startswith("| real game alone")]
    assert rows[0].endswith("| 30.00 ± 14.14 | 75.00 ± 35.36 | 150 ± 71 | 300 ± 141 |")
    kept = json.loads((tmp_path / "imagination-pretraining-Toy-Numpy.json").read_text())
    assert kept["curves"] == CURVES and kept["machine"] == FACTS["machine"]
    assert imageio.imread(tmp_path / "imagination-pretraining-Toy-Numpy.png").shape[1] > 800
