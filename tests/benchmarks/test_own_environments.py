"""Worlds of own environments: errors are worked out by hand, and a walk leaves figures and a strip for each world."""

import json
import sys

import imageio.v3 as imageio
import numpy as np
import pytest

from benchmarks.quality import own_environments as script
from genie_gym.data import EpisodeDataset
from genie_gym.evaluation.clips import ClipPredictor, PredictedClips
from genie_gym.evaluation.results import Speed
from genie_gym.training.presets import PRESETS
from genie_gym.utils import paths
from tests.conftest import untrained
from tests.miniature import miniature
from tests.toy_play import record


def clips(errors: list[int], moved: int) -> PredictedClips:
    """Grey clips of one frame that moved by so many levels, of which predictions are off by their own errors."""
    real = np.full((len(errors), 2, 64, 64, 3), 100, np.uint8)
    real[:, 1] += np.uint8(moved)
    shown = real[:, 1:] + np.array(errors, np.uint8)[:, None, None, None, None]
    predictor = ClipPredictor(untrained(), real[:, :1], np.arange(len(errors)), untrained().sampling)
    moving = np.zeros(real.shape[:-1], bool)
    moving[:, :, :8] = True
    return PredictedClips(predictor, real, np.zeros((len(errors), 1), int), moving, real, shown, shown, Speed(1.0, 1))


def test_errors_are_means_over_clips():
    found = script.compare(clips([0, 3, 6], moved=10), 0)
    squares = np.array([0.0, 9.0, 36.0])
    error = np.sqrt(((squares - 15) ** 2).sum() / 2 / 3)
    assert found["mse"] == pytest.approx([15, error]) and found["mse_repeating"] == pytest.approx([100, 0])
    assert found["mse_less_than_repeating"] == pytest.approx([85, error])
    assert found["moving_psnr"] == pytest.approx(10 * np.log10(255**2 / 15))
    assert found["moving_psnr_repeating"] == pytest.approx(10 * np.log10(255**2 / 100))
    assert found["moving_share"] == pytest.approx(8 / 64)


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
