"""The page of coverage beyond the paper's reward, and the options that its explorers are trained with."""

import argparse
import json
from types import SimpleNamespace

import numpy as np
import pytest

pytest.importorskip("sb3_contrib", reason="needs sb3-contrib: pip install genie_gym[sb3]")

from benchmarks.common import experiment as common
from benchmarks.exploration.beyond import write
from benchmarks.exploration.experiment import BEYOND, ExplorationExperiment
from genie_gym.exploration.config import ExploreConfig
from genie_gym.exploration.monitor import ExploreMetrics
from tests.benchmarks.test_exploration import FACTS


def test_the_page_has_the_least_of_the_seeds(tmp_path):
    shares = {"autoexplore": [0.28, 0.64, 0.4], "both": [0.75, 0.7, 0.9]}
    policies = {
        name: [{"visited_cells": 100 * (i + 1), "coverage": share} for i, share in enumerate(values)]
        for name, values in shares.items()
    }
    figures = {"policies": policies, "test": {"steps": 40_000, "returns": [1.0, 2.5]}}
    write("Toy-Numpy", figures, FACTS, tmp_path)
    text = (tmp_path / "beyond-Toy-Numpy.md").read_text()
    for name, least in (("autoexplore", "28.0"), ("both", "70.0")):
        values = 100 * np.array(shares[name])
        (row,) = (line for line in text.splitlines() if line.startswith(f"| {name} |"))
        assert f"{values.mean():.2f} ± {values.std(ddof=1):.2f}" in row and row.endswith(f"| {least} |")
    assert "40,000 steps" in text and "2.5 at last" in text
    assert json.loads((tmp_path / "beyond-Toy-Numpy.json").read_text()) == {**FACTS, "game": "Toy-Numpy", **figures}


def test_without_a_test_agent_the_page_tells_how_far_mario_went(tmp_path):
    policies = {
        "random": [{"visited_cells": 5, "scrolled": 700}, {"visited_cells": 7, "scrolled": 900}],
        "frontier": [{"visited_cells": 6, "scrolled": 1500}, {"visited_cells": 6, "scrolled": 1100}],
    }
    write("SuperMarioBros-Nes", {"policies": policies, "test": None}, FACTS, tmp_path)
    lines = (tmp_path / "beyond-SuperMarioBros-Nes.md").read_text().splitlines()
    (row,) = (line for line in lines if line.startswith("| frontier |"))
    assert "1300 ± 283" in row and row.endswith("| 1100.0 |")  # 283 = 400 / sqrt(2)
    assert not any("test agent" in line for line in lines)


def test_explorers_are_trained_with_their_options(tmp_path, monkeypatch):
    asked = {}

    def explore(game, *, out, explorer, progress, **options):
        asked[out.parent.name] = ExploreConfig(game, out=out, **options)
        return SimpleNamespace(finished=True, steps=90, seconds=60.0, metrics=ExploreMetrics(0.5, 3))

    monkeypatch.setattr(common, "explore", explore)
    monkeypatch.setattr(ExplorationExperiment, "base_model", lambda self: tmp_path)
    options = argparse.Namespace(game="Toy", work=tmp_path, steps=90, envs=1, threads=1, frontier=0.5)
    experiment = ExplorationExperiment(options, ())
    for policy in ("autoexplore", *BEYOND):
        assert experiment.training_dataset(policy, 2)[1] == 3
    assert asked["autoexplore-2"].is_the_papers and not asked["autoexplore-2"].frontier
    for policy, chosen in BEYOND.items():
        config = asked[f"{policy}-2"]
        assert config.reward == "autoexplore" and config.record is not None and config.seed == 2
        expected = chosen | ({"frontier": 0.5} if "frontier" in chosen else {})
        assert {name: getattr(config, name) for name in chosen} == expected
