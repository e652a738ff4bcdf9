"""Worlds of own environments: figures and a strip are left for each world."""

import json
import sys

import imageio.v3 as imageio
import pytest

from benchmarks.quality import own_environments as script
from genie_gym.data import EpisodeDataset
from genie_gym.training.presets import PRESETS
from genie_gym.utils import paths
from tests.miniature import miniature
from tests.toy_play import record


def test_each_world_leaves_figures_and_a_strip(tmp_path, monkeypatch, toy_checkpoint):
    record(paths.data_dir("Toy-Numpy"), 6, 24)
    words = ["--clips", "4", "--horizon", "6", "--shown", "2", "--threads", "1", "--out", str(tmp_path)]
    monkeypatch.setattr(sys, "argv", ["own_environments", toy_checkpoint, *words])
    script.main()
    known = json.loads((tmp_path / "own-environments.json").read_text())
    known["Toy-tiny"]["cpu_minutes"] = 4.5
    known["Other-tiny"] = known["Toy-tiny"] | {
        "cpu_minutes": 12.3,
        "stages": {"dynamics": {"steps": 4321, "minutes": 20}},
    }
    (tmp_path / "own-environments.json").write_text(json.dumps(known))
    script.main()
    found = json.loads((tmp_path / "own-environments.json").read_text())
    assert found["Other-tiny"] == known["Other-tiny"]
    world = found["Toy-tiny"]
    page = (tmp_path / "own-environments.md").read_text()
    assert world["cpu_minutes"] == 4.5  # of the same model, scored again
    assert "| Other-tiny | 4,321 steps in 20 minutes, 12 of one core | 1 |" in page and page.count("\n") == 2 + 3 + 3
    assert set(world["steps"]) == {"1", "4", "6"} and len(world["delta_psnr"]) == 2
    strip = imageio.imread(tmp_path / "own-environments-Toy-tiny.png")
    columns = len({1, 2, 3, 4, 5, 6})
    assert strip.shape == (2 * (4 * 65 - 1), 2 * (columns * 65 - 1), 3)


@pytest.mark.slow
def test_an_environment_is_recorded_trained_and_scored(tmp_path, monkeypatch):
    monkeypatch.setitem(PRESETS, "miniature", miniature(window=6))
    recipe = script.Recipe("tests.catch:make", "miniature", {"max_steps": 24})
    monkeypatch.setattr(script, "RECIPES", {"Catch": recipe})
    words = ["--steps", "100", "--minutes", "0.02", "--clips", "4", "--context", "2", "--horizon", "4"]
    monkeypatch.setattr(sys, "argv", ["own_environments", *words, "--threads", "1", "--out", str(tmp_path)])
    script.main()
    world = json.loads((tmp_path / "own-environments.json").read_text())["Catch-miniature"]
    assert world["env"]["env"] == "tests.catch:make" and world["minutes"] == 0.02 and world["cpu_minutes"] > 0
    assert set(world["stages"]) == {"tokenizer", "dynamics"} and len(EpisodeDataset(paths.data_dir("Catch-Own"))) >= 4
