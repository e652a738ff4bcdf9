"""The studies with simulated participants, of untrained models of the toy game."""

import json
import sys
from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("fastapi", reason="needs the extra web: pip install genie_gym[web]")

from benchmarks.quality import study as script
from genie_gym.evaluation import sprites
from genie_gym.studies import study_results
from genie_gym.studies.store import REAL
from genie_gym.utils import paths
from tests.conftest import untrained


@pytest.mark.slow
def test_both_studies_are_answered_and_their_results_are_scipys(tmp_path, monkeypatch):
    untrained(window=6).save(paths.weights_dir("Toy-Numpy"))
    monkeypatch.setattr(script, "GAME", "Toy-Numpy")
    monkeypatch.setitem(sprites.SPRITE_BOXES, "Toy-Numpy", sprites.SpriteBox(top=39, left=15, height=9, width=8))
    monkeypatch.setattr(script, "BOUNDS", (7.0, 8.0, 9.0, 30.0))  # untrained models are worse than rated ones
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    words = ["--raters", "3", "--samples", "6", "4", "--work", str(tmp_path), "--out", str(tmp_path / "study.json")]
    monkeypatch.setattr(sys, "argv", ["study", *words])
    script.main()
    found = json.loads((tmp_path / "study.json").read_text())
    for kind, samples in (("rate", 6), ("choose", 4)):
        results = found[kind]["results"]
        assert results["raters"] == results["complete"] == 3
        assert sum(group["answers"] for group in results["groups"]) == 3 * samples * (1 if kind == "rate" else 2)
    rated = {group["name"]: group["estimate"]["mean"] for group in found["rate"]["results"]["groups"]}
    assert rated[REAL] == 5 > max(rated["shipped"], rated["hot"])  # two equal clips are alike

    results = study_results(file=tmp_path / "rate.sqlite")
    assert script.check(tmp_path / "rate.sqlite", results)
    first, *others = results.groups
    wrong = replace(first, estimate=replace(first.estimate, low=first.estimate.low + 0.01))
    with pytest.raises(SystemExit, match="not scipy's"):
        script.check(tmp_path / "rate.sqlite", replace(results, groups=[wrong, *others]))


def clip(step: int) -> np.ndarray:
    """Four frames of a striped ship that goes so many pixels to the right each."""
    frames = np.zeros((4, 64, 64, 3), np.uint8)
    for index, frame in enumerate(frames):
        frame[30:36, 28 + index * step : 34 + index * step : 2] = 200
    return frames


def test_a_participant_chooses_the_clip_in_which_the_ship_goes_as_named():
    ship = sprites.SpriteDetector([clip(0)[0, 28:38, 26:36]])
    say = script.choose_by_ship(np.random.default_rng(0), ship)
    for action, left, right, answer in (
        ("RIGHT", 5, 0, "left"),
        ("RIGHT", 0, 5, "right"),
        ("LEFT", 5, 0, "right"),
        ("LEFT", -5, 0, "left"),
    ):
        assert say(clip(left), clip(right), action) == answer
    assert say(clip(5), np.zeros_like(clip(0)), "RIGHT") == "neither"  # there is no ship in one of them
