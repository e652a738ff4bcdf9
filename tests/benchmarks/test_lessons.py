"""What benchmarks/lessons.py says of curves that are known."""

import json

import imageio.v3 as imageio
import pytest

pytest.importorskip("sb3_contrib", reason="needs sb3-contrib: pip install genie_gym[sb3]")

from lessons import compare, write

from tests.benchmarks.test_exploration import FACTS


def row(pictures: float, reward: float) -> dict:
    """An explorer of 100 steps that sees as many more pictures at each, and whose reward rises by a step."""
    steps = range(5, 105, 5)
    return {
        "pictures": [[step, pictures * step] for step in steps],
        "reward": [[step, reward + (step > 50)] for step in steps],
    }


FOUND = {"autoexplore": [row(2, 0.5), row(4, 0.5)], "begun": [row(4, 1.0), row(1, 1.0)]}


def test_figures_are_read_off_the_curves():
    figures = compare(FOUND)
    assert figures["autoexplore"]["50%"] == {"reward": [0.5, 0.5], "pictures": [100, 200]}
    assert figures["begun"]["100%"] == {"reward": [2.0, 2.0], "pictures": [400, 100]}
    assert figures["begun"]["10%"] == {"reward": [1.0, 1.0], "pictures": [40, 10]}
    # Half of the steps showed 100 pictures to the first and 200 to the second, whose pupil never sees as many.
    assert figures["real steps to the pictures of half"] == [25, None]


def test_the_page(tmp_path):
    facts = FACTS | {"settings": {"steps": 60_000, "seeds": 2}}
    write("Toy-Numpy", FOUND, facts, tmp_path)
    text = (tmp_path / "lessons-Toy-Numpy.md").read_text()
    assert "after 60,000 steps in dreams" in text and "had seen after 25, never real steps (seed by seed)" in text
    rows = [line for line in text.splitlines() if line.startswith("| in the game")]
    assert rows[0].endswith("| 30.00 ± 14.14 | 75.00 ± 35.36 | 150 ± 71 | 300 ± 141 |")
    kept = json.loads((tmp_path / "lessons-Toy-Numpy.json").read_text())
    assert kept["curves"] == FOUND and kept["machine"] == FACTS["made"]
    assert imageio.imread(tmp_path / "lessons-Toy-Numpy.png").shape[1] > 800
