"""Arms of an exploration: each begins with what it should, and shares no episode with another."""

import argparse
import signal
from types import SimpleNamespace

import numpy as np
import pytest
from torch.utils.tensorboard import SummaryWriter

pytest.importorskip("sb3_contrib", reason="needs sb3-contrib: pip install genie_gym[sb3]")

import lessons
import study as study_module
from arms import Arms, Stopped
from study import Study, scalars, shorter, train_tester

from genie_gym.data import Recording


def test_the_agent_on_the_games_reward_goes_on_after_the_last_whole_piece(tmp_path, monkeypatch):
    options, saved = argparse.Namespace(envs=1, agent_steps=1280), []

    def save_agent(agent, path, about):
        keep(agent, path, about)
        saved.append((agent.num_timesteps, about["scale"]["returns count"]))
        if len(saved) == 3:
            signal.raise_signal(signal.SIGINT)

    keep = study_module.save_agent
    monkeypatch.setattr(study_module, "PIECE", 128)
    monkeypatch.setattr(study_module, "save_agent", save_agent)
    with pytest.raises(Stopped):
        train_tester("Toy-Numpy", options, tmp_path)
    returns = train_tester("Toy-Numpy", options, tmp_path)["returns"]
    steps, counts = np.array(saved).T
    assert len(returns) == 10 and np.isfinite(returns).all()
    assert steps.tolist() == [128 * piece for piece in range(1, 11)]
    assert np.ptp(np.diff(counts)) <= 1e-9  # what the scale of the reward has counted goes on, too


def test_an_explorer_is_begun_with_what_another_learned_in_dreams(tmp_path, monkeypatch):
    asked = []

    def explore(game: str, *, out, steps, **options):
        with SummaryWriter(str(out / "tensorboard")) as curves:
            curves.add_scalar("explore/reward", 0.5, steps)
            curves.add_scalar("explore/places", 3, steps)
        asked.append((out, options))
        return SimpleNamespace(finished=True, steps=steps, seconds=60.0, figures={"places": 3})

    monkeypatch.setattr(study_module, "explore", explore)
    monkeypatch.setattr(Study, "model", lambda study: tmp_path)
    study = Study("Toy-Numpy", Arms(tmp_path, {}), argparse.Namespace(steps=90, envs=1, threads=1))
    agent, figures = study.explorer("begun", 0)
    (dreamed, in_dreams), (begun, in_game) = asked
    assert in_dreams["dream"] and in_dreams["begin_with"] is None and "record" not in in_dreams
    assert in_game["begin_with"] == dreamed and begun == agent and "dream" not in in_game
    assert in_game["reward"] == in_dreams["reward"] == "autoexplore" and figures["places"] == 3
    assert study.learning_play("begun", 0) == (begun.parent / "data", 3)
    assert lessons.curves(study, "begun", 0) == {"reward": [[90, 0.5]], "pictures": [[90, 3]]}
    study.explorer("autoexplore", 0)
    assert study.curve("autoexplore", 0) == [(90, 0.5)] and study.curve("random", 0) == []


def test_steps_done_again_after_an_interruption_count_once(tmp_path):
    for run, points in enumerate(({10: 1.0, 20: 2.0, 30: 3.0}, {20: 4.0, 30: 5.0, 40: 6.0})):
        with SummaryWriter(str(tmp_path / "tensorboard")) as curves:
            for step, value in points.items():
                curves.add_scalar("explore/reward", value, step, walltime=100 * run + step)
    assert scalars(tmp_path, "explore/reward") == [(10, 1.0), (20, 4.0), (30, 5.0), (40, 6.0)]


def test_shorter_recipes_are_the_presets_but_for_their_steps():
    recipes = shorter(16, 20)
    assert (recipes["fit_tokenizer"].steps, recipes["fit_dynamics"].steps) == (16, 20)
    assert recipes["fit_tokenizer"].lr == 2e-3 and recipes["fit_dynamics"].lr == 1.5e-3


def test_no_recording_shares_an_episode_with_another(tmp_path, monkeypatch):
    monkeypatch.setattr(study_module, "fit_world", lambda *args, **options: SimpleNamespace(finished=True))
    options = argparse.Namespace(base=60, steps=90, frames=40, fit_steps=(1, 1), seeds=2)
    study = Study("Toy-Numpy", Arms(tmp_path, {}), options)
    folders = [study.model() / "data"]
    for seed in range(2):
        folders += [study.play("random", seed)[0], study.learning_play("random", seed)[0]]
    seeds = [{episode.info["seed"] for episode in Recording(folder).episodes()} for folder in folders]
    assert all(seeds) and len(set.union(*seeds)) == sum(map(len, seeds))


def test_a_longer_refit_is_another(tmp_path, monkeypatch):
    monkeypatch.setattr(Study, "model", lambda study: tmp_path)
    monkeypatch.setattr(Study, "learning_play", lambda study, kind, seed: (tmp_path, 0))
    monkeypatch.setattr(Study, "play", lambda study, kind, seed: (tmp_path, {}))
    monkeypatch.setattr(study_module, "Recording", lambda folder: folder)
    monkeypatch.setattr(study_module, "Checkpoint", SimpleNamespace(load=lambda folder: folder))
    asked = []

    def tune(checkpoint, recordings, config, folder):
        asked.append((config.decoder_steps, config.dynamics_steps, config.seed))
        stage = SimpleNamespace(metrics={})
        return SimpleNamespace(checkpoint=SimpleNamespace(save=lambda folder: None), decoder=stage, dynamics=stage)

    monkeypatch.setattr(study_module, "tune", tune)
    arms = Arms(tmp_path / "work", {})
    for steps in (2, 4, 2):
        options = argparse.Namespace(decoder_steps=steps, dynamics_steps=2 * steps)
        Study("Toy-Numpy", arms, options).refitted("random", 1)
    assert asked == [(2, 4, 1), (4, 8, 1)]
