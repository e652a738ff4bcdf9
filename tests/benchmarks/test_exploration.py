"""The page of exploration has means and deviations over seeds, as numpy computes them."""

import json

import imageio.v3 as imageio
import numpy as np
import pytest

pytest.importorskip("sb3_contrib", reason="needs sb3-contrib: pip install genie_gym[sb3]")

from benchmarks.exploration.exploration import write


def prediction(psnr: float) -> dict[str, float]:
    return {"psnr": psnr, "ssim": 0.9, "moving_psnr": psnr - 10, "delta_psnr": 0.5}


def score(psnr: float) -> dict:
    ways = {"single_pass": prediction(psnr - 1), "autoregressive": prediction(psnr)}
    return {"reconstruction": 40.0, "uncertainty": 0.4, **ways}


def dataset(cells: int, psnr: float, in_training: int | None = None, curve: tuple = ()) -> dict:
    states = {"frames": 100, "visited_cells": cells, "positions": None}
    return {"training_cells": in_training, "reward_curve": list(curve), **states, **score(psnr)}


@pytest.fixture
def figures() -> dict:
    datasets = {
        "random": [dataset(10, 30.0, 200), dataset(14, 31.0, 210), dataset(12, 33.0, 250)],
        "autoexplore": [
            dataset(50, 25.0, 300, [[10, 0.25], [20, 0.5], [100, 1.0]]),
            dataset(70, 26.0, 310, [[5, 0.25], [10, 0.75], [100, 1.5]]),
            dataset(90, 27.5, 335, [[10, 0.75], [95, 1.0], [100, 1.5]]),
        ],
        "rnd": [dataset(30, 28.0, 100)],
    }
    refits = {
        "not refitted": [score(20.0)],
        "random": [score(21.0), score(22.5)],
        "autoexplore": [score(24), score(25)],
    }
    return {"datasets": datasets, "refits": refits, "test": {"steps": 40_000, "returns": [1.0, 2.0]}}


FACTS = {
    "command": "python -m benchmarks.exploration.exploration Toy-Numpy --work FOLDER",
    "settings": {"steps": 60000, "seeds": 3},
    "hours": 1.5,
    "machine": {
        "machines": ["a processor (2 cores)"],
        "code": ["0.1.0", "0.1.1"],
        "torch": ["2.13.0"],
        "from": "2026",
        "to": "2027",
    },
}


def test_the_table_has_means_and_deviations(figures, tmp_path):
    write("Toy-Numpy", figures, FACTS, tmp_path)
    text = (tmp_path / "exploration-Toy-Numpy.md").read_text()
    rows = {line.split("|")[1].strip(): line for line in text.splitlines() if line.startswith("| ")}
    psnr = np.array([25.0, 26.0, 27.5])
    first, last = np.array([0.25, 0.5, 0.75]), np.array([1, 1.5, 1.25])  # means of the first and the last ten steps
    rewards = f"{first.mean():.3f} ± {first.std(ddof=1):.3f} | {last.mean():.3f} ± {last.std(ddof=1):.3f}"
    assert f"| 315 ± 18 | {rewards} | 70.00 ± 20.00 | {psnr.mean():.2f} ± {psnr.std(ddof=1):.2f} |" in text
    assert "| positions |" not in text  # no game told any
    assert "| rnd | 100.00 |  |  | 30.00 |" in text
    assert "in 1.5 hours, on a processor (2 cores); 0.1.0, 0.1.1, torch 2.13.0, 2026 to 2027." in text
    assert rows["not refitted"].split("|")[2].strip() == "19.00"  # a single one has no deviation
    assert "The evaluation agent learned for 40,000 steps; its mean return was 1.0 at first and 2.0 in the end." in text
    kept = json.loads((tmp_path / "exploration-Toy-Numpy.json").read_text())
    assert kept == {**FACTS, "game": "Toy-Numpy", **figures}
    assert imageio.imread(tmp_path / "exploration-Toy-Numpy.png").shape[1] > 1000
