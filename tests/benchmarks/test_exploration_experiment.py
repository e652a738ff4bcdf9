"""Runs of an exploration start with what they should, and share no episode with one another."""

import argparse
import signal
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from torch.utils.tensorboard import SummaryWriter

pytest.importorskip("sb3_contrib", reason="needs sb3-contrib: pip install genie_gym[sb3]")

from benchmarks.common import experiment as common
from benchmarks.common.experiment import Stopped
from benchmarks.exploration import experiment as module
from benchmarks.exploration.experiment import ExplorationExperiment, read_curve, train_evaluation_agent, with_steps
from benchmarks.exploration.imagination_pretraining import training_curves
from genie_gym.data import EpisodeDataset
from genie_gym.exploration.monitor import ExploreMetrics


def new_experiment(work: Path, **options) -> ExplorationExperiment:
    return ExplorationExperiment(argparse.Namespace(game="Toy", work=work, **options), ())


def test_the_evaluation_agent_is_resumed_from_the_last_save(tmp_path, monkeypatch):
    options, saved = argparse.Namespace(envs=1, agent_steps=1280), []
    save = module.save_agent

    def save_agent(agent, path, about):
        save(agent, path, about)
        saved.append((agent.num_timesteps, about["reward_statistics"]["returns"]["count"]))
        if len(saved) == 3:
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(module, "SAVE_INTERVAL", 128)
    monkeypatch.setattr(module, "save_agent", save_agent)
    with pytest.raises(Stopped):
        train_evaluation_agent("Toy-Numpy", options, tmp_path)
    returns = train_evaluation_agent("Toy-Numpy", options, tmp_path)["returns"]
    steps, counts = np.array(saved).T
    assert len(returns) == 10 and np.isfinite(returns).all()
    assert steps.tolist() == [128 * piece for piece in range(1, 11)]
    assert np.ptp(np.diff(counts)) <= 1e-9  # the reward's scale is resumed, too


def test_a_pretrained_explorer_starts_with_what_another_learned_in_imagination(tmp_path, monkeypatch):
    asked = []

    def explore(game: str, *, out, steps, **options):
        with SummaryWriter(str(out / "tensorboard")) as curves:
            curves.add_scalar(module.REWARD_CURVE, 0.5, steps)
            curves.add_scalar(module.CELLS_CURVE, 3, steps)
        asked.append((out, options))
        return SimpleNamespace(
            finished=True, steps=steps, seconds=60.0, metrics=ExploreMetrics(reward=0.5, visited_cells=3)
        )

    monkeypatch.setattr(common, "explore", explore)
    monkeypatch.setattr(ExplorationExperiment, "base_model", lambda self: tmp_path)
    experiment = new_experiment(tmp_path, steps=90, envs=1, threads=1)
    agent, figures = experiment.explorer("pretrained", 0)
    (imagined, in_imagination), (pretrained, in_game) = asked
    assert in_imagination["imagined"] and "init_from" not in in_imagination and in_imagination["record"] is None
    assert in_game["init_from"] == str(imagined) and pretrained == agent and "imagined" not in in_game
    assert in_game["reward"] == in_imagination["reward"] == "autoexplore" and figures["visited_cells"] == 3
    assert experiment.training_dataset("pretrained", 0) == (pretrained.parent / "data", 3)
    assert in_game["record"] == pretrained.parent / "data"
    assert training_curves(experiment, "pretrained", 0) == {"reward": [[90, 0.5]], "visited_cells": [[90, 3]]}
    experiment.explorer("autoexplore", 0)
    assert experiment.reward_curve("autoexplore", 0) == [[90, 0.5]] and experiment.reward_curve("random", 0) == []


def test_steps_repeated_after_an_interruption_count_once(tmp_path):
    for run, points in enumerate(({10: 1.0, 20: 2.0, 30: 3.0}, {20: 4.0, 30: 5.0, 40: 6.0})):
        with SummaryWriter(str(tmp_path / "tensorboard")) as curves:
            for step, value in points.items():
                curves.add_scalar("explore/reward", value, step, walltime=100 * run + step)
    assert read_curve(tmp_path, "explore/reward") == [[10, 1.0], [20, 4.0], [30, 5.0], [40, 6.0]]


def test_shorter_recipes_are_the_presets_except_for_their_steps():
    stages = with_steps(16, 20)
    assert (stages["tokenizer_training"].steps, stages["dynamics_training"].steps) == (16, 20)
    assert stages["tokenizer_training"].lr == 2e-3 and stages["dynamics_training"].lr == 1.5e-3


def test_no_dataset_shares_an_episode_with_another(tmp_path):
    experiment = new_experiment(tmp_path, base_frames=60, steps=90, frames=40)
    folders = [experiment.base_dataset()]
    for seed in range(2):
        folders += [experiment.dataset("random", seed)[0], experiment.training_dataset("random", seed)[0]]
    seeds = [{episode.info["seed"] for episode in EpisodeDataset(folder).episodes()} for folder in folders]
    assert all(seeds) and len(set.union(*seeds)) == sum(map(len, seeds))


def test_a_longer_refit_is_another(tmp_path, monkeypatch):
    monkeypatch.setattr(ExplorationExperiment, "base_model", lambda self: tmp_path)
    monkeypatch.setattr(ExplorationExperiment, "training_dataset", lambda self, policy, seed: (tmp_path, 0))
    monkeypatch.setattr(ExplorationExperiment, "dataset", lambda self, policy, seed: (tmp_path, {}))
    monkeypatch.setattr(common, "EpisodeDataset", lambda folder: folder)
    monkeypatch.setattr(common, "Checkpoint", SimpleNamespace(load=lambda folder: folder))
    asked = []

    def finetune(checkpoint, datasets, config, folder):
        asked.append((config.decoder_steps, config.dynamics_steps, config.seed))
        stage = SimpleNamespace(metrics={})
        return SimpleNamespace(checkpoint=SimpleNamespace(save=lambda folder: None), decoder=stage, dynamics=stage)

    monkeypatch.setattr(common, "finetune_checkpoint", finetune)
    for steps in (2, 4, 2):
        new_experiment(tmp_path / "work", decoder_steps=steps, dynamics_steps=2 * steps).refitted("random", 1)
    assert asked == [(2, 4, 1), (4, 8, 1)]
