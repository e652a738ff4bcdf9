"""Adaptation of a model of many games: rows are worked out by hand, and a real game runs through."""

import json
import sys

import pytest

from benchmarks.quality import adaptation as script
from genie_gym.training.presets import PRESETS
from genie_gym.training.world_model import train
from tests.many_games import record_two
from tests.miniature import miniature


def figures(mse: float, delta: float) -> dict:
    """Figures of one seed, as `scoring.score` returns them."""
    step = {"mse": [mse, 2.0], "mse_repeating": [100.0, 5.0], "moving_psnr": 20.0, "moving_psnr_repeating": 15.25}
    return {"steps": {"4": step}, "reconstruction": {"psnr": [34.0, 0.1]}, "delta_psnr": [delta, 0.5]}


def test_a_row_is_the_mean_over_seeds():
    row = {"game": "A", "start": "nothing", "minutes": 3.0, "seeds": [figures(10, 1), figures(40, 3)]}
    assert script.cells(row)[:4] == ["A", "nothing", "3", "34.0"]
    assert script.cells(row)[4].split(" ± ") == ["25.00", "21.21"]  # of a sample: 30 over the root of 2
    assert script.cells(row | {"seeds": [figures(10, 1)]})[4:] == ["10.0", "100.0", "20.0", "15.2", "1.0"]


@pytest.mark.slow
@pytest.mark.retro
def test_a_game_that_the_model_never_saw(tmp_path, monkeypatch):
    pytest.importorskip("ale_py", reason="needs ale-py: pip install genie_gym[atari]")
    monkeypatch.setitem(PRESETS, "miniature", miniature(window=6))
    both = record_two(tmp_path / "both")
    names = tuple(one.name for one in both.iterdir())
    train(
        "Both", games=names, data=both, out=tmp_path / "model", run=tmp_path / "run", preset="miniature", minutes=0.03
    )
    words = [str(tmp_path / "model"), "--games", "Pong-Ale", "--preset", "miniature", "--minutes", "0.02", "0.04"]
    sizes = ["--steps", "100", "--max-steps", "24", "--clips", "4", "--horizon", "4"]
    monkeypatch.setattr(sys, "argv", ["adaptation", *words, *sizes, "--out", str(tmp_path)])
    script.main()
    rows = json.loads((tmp_path / "adaptation-Atari.json").read_text())["rows"]
    lengths = [(script.MODEL, 0), *((start, minutes) for minutes in (0.02, 0.04) for start in script.STARTS)]
    assert [(row["start"], row["minutes"]) for row in rows] == lengths
    steps = [row["seeds"][0]["steps"]["4"] for row in rows]
    assert len({step["mse_repeating"][0] for step in steps}) == 1 < len({step["mse"][0] for step in steps})
    assert (tmp_path / "adaptation-Atari.md").read_text().count("| Pong-Ale |") == 5
