"""Rates of collecting: medians, efficiencies against one worker, and a file that JSON holds."""

import json
import os
import sys
from dataclasses import replace

import pytest

pytest.importorskip("stable_baselines3", reason="needs Stable-Baselines3: pip install genie_gym[sb3]")
from benchmarks.speed import collection as script
from genie_gym.collection.collect import collect
from genie_gym.errors import ConfigError


def test_efficiency_is_the_rate_of_a_worker_against_that_of_one(monkeypatch):
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    found = script.describe({1: [90.0, 100.0, 130.0], 2: [150.0, 150.0, 151.0], 4: [160.0, 180.0, 200.0]})
    assert {workers: one["frames_per_second"] for workers, one in found.items()} == {"1": 100, "2": 150, "4": 180}
    assert [one["efficiency"] for one in found.values()] == [1, 0.75, 0.9]  # four workers have two cores


@pytest.mark.slow
def test_a_run_leaves_the_rates_of_each_way(tmp_path, monkeypatch):
    def timed(*args, **options):  # a start of five seconds, then a hundred frames a second
        report = collect(*args, **options)
        return replace(report, seconds=5 + report.steps / 100)

    monkeypatch.setattr(script, "collect", timed)
    monkeypatch.setattr(script, "RESULTS", tmp_path)
    words = ["--workers", "1", "--steps", "20", "--rounds", "1", "--max-steps", "20"]
    monkeypatch.setattr(sys, "argv", ["collection", "Toy", *words])
    script.main()
    found = json.loads((tmp_path / "collection-Toy-Numpy.json").read_text())
    assert set(found["ways"]) == {"genie-gym collect", "AsyncVectorEnv", "SubprocVecEnv"}
    assert all(way["1"]["frames_per_second"] > 0 for way in found["ways"].values())
    assert found["ways"]["genie-gym collect"]["1"]["frames_per_second"] == 100

    monkeypatch.setattr(script, "collect", lambda *args, **options: replace(collect(*args, **options), seconds=5.0))
    with pytest.raises(ConfigError, match="--steps 20"):
        script.measure(script.read_options())
