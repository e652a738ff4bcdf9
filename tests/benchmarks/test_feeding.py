"""Both ways of feeding a training are timed, and their rates are left as a file."""

import json
import sys

import pytest

from benchmarks.speed import feeding as script
from genie_gym.training.presets import PRESETS
from tests.miniature import miniature


@pytest.mark.slow
def test_rates_of_both_ways_are_written(tmp_path, monkeypatch):
    monkeypatch.setitem(PRESETS, "miniature", miniature(window=6))
    monkeypatch.setattr(script, "RESULTS", tmp_path)
    words = ["--presets", "miniature", "--steps", "2", "--rounds", "2", "--threads", "1"]
    monkeypatch.setattr(sys, "argv", ["feeding", *words])
    script.main()
    figures = json.loads((tmp_path / "feeding.json").read_text())
    found = figures["miniature"]
    gflop = found.pop("gflop_a_frame")
    assert set(found) == {"prefetch 0", "prefetch 1"}
    for one in found.values():
        assert one["share_of_peak"] <= 1e-3 + one["frames_per_second"] * (gflop + 0.01) / figures["peak_gflops"]
        assert len(one["runs"]) == 2 and 0 < min(one["runs"]) <= one["frames_per_second"] <= max(one["runs"])
