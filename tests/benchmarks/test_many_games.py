"""One model of many games beside models of each: rows are worked out by hand, and two real games run through."""

import json
import sys

import imageio.v3 as imageio
import pytest

from benchmarks.quality import many_games as script
from genie_gym import games
from genie_gym.training.presets import PRESETS
from tests.miniature import miniature


def figures(mse: float, delta: float) -> dict:
    """Figures of one model of one game, as `scoring.score` returns them."""
    step = {"mse": [mse, 2.0], "mse_repeating": [100.0, 5.0], "mse_less_than_repeating": [100.0 - mse, 3.0]}
    moving = {"moving_psnr": 20.0, "moving_psnr_repeating": 15.25}
    return {"steps": {"4": step | moving}, "reconstruction": {"psnr": [34.0, 0.1]}, "delta_psnr": [delta, 0.5]}


def test_rows_of_games_and_of_means():
    found = {"A": {"of all": figures(10, 1), "of it alone": figures(40, 3)}, "B": {"of all": figures(30, 2)}}
    rows = [row for name, one in found.items() for row in script.table_rows(name, one)]
    start = ["34.0", "10 ± 2", "100 ± 5", "90 ± 3", "20.0", "15.2", "1.0 ± 0.5"]
    assert rows[0] == ["A", "of all", *start]
    assert [row[:4] for row in rows[1:]] == [["", "of it alone", "34.0", "40 ± 2"], ["B", "of all", "34.0", "30 ± 2"]]
    means = script.mean_rows(found)
    assert [(row[1], row[3], row[-1]) for row in means] == [
        ("of all", "20", "1.5"),
        ("of all", "10", "1.0"),
        ("of it alone", "40", "3.0"),
    ]


def test_the_games_of_atari_100k_are_known():
    names = script.ATARI_100K.read_text().split()
    assert len(set(names)) == 26 and set(names) <= set(games.names())


@pytest.mark.slow
@pytest.mark.retro
def test_two_games_are_recorded_trained_and_scored(tmp_path, monkeypatch):
    pytest.importorskip("ale_py", reason="needs ale-py: pip install genie_gym[atari]")
    monkeypatch.setitem(PRESETS, "miniature", miniature(window=6))
    words = ["--games", "Breakout-Ale", "Pong-Ale", "--alone", "Pong-Ale", "--preset", "miniature", "--name", "Two"]
    sizes = ["--steps", "100", "--max-steps", "24", "--minutes", "0.04", "--clips", "4", "--horizon", "4"]
    monkeypatch.setattr(sys, "argv", ["many_games", *words, *sizes, "--out", str(tmp_path)])
    script.main()
    found = json.loads((tmp_path / "many-games-Two.json").read_text())["games"]
    assert {name: set(one) for name, one in found.items()} == {
        "Breakout-Ale": {script.ALL},
        "Pong-Ale": {script.ALL, script.ALONE},
    }
    pong = found["Pong-Ale"]
    assert pong[script.ALL]["steps"]["4"]["mse_repeating"] == pong[script.ALONE]["steps"]["4"]["mse_repeating"]
    assert "| mean of those with two | of all |" in (tmp_path / "many-games-Two.md").read_text()
    assert imageio.imread(tmp_path / "many-games-Two" / "Breakout-Ale.png").ndim == 3
