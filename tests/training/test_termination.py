"""The head that tells the ends of episodes is trained alone: it learns them, and nothing else of the model changes."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from genie_gym import data, games
from genie_gym.data import Episode
from genie_gym.errors import ConfigError, DataError
from genie_gym.training.replace_termination import RECIPE, replace_termination
from genie_gym.utils import paths
from genie_gym.world_model import Checkpoint, SamplingConfig
from tests.ctrl_c import ctrl_c

STEPS = 40
OPTIONS = {"steps": 400, "clips": 24, "threads": 1}


def episode(seed: int, ended: bool, steps: int = STEPS) -> Episode:
    """A grey picture that is red in the frame with which the game ends."""
    rng = np.random.default_rng(seed)
    frames = np.full((steps + 1, 64, 64, 3), 120, np.uint8)
    if ended:
        frames[-1] = (255, 0, 0)
    actions = rng.integers(4, size=steps)
    return Episode(frames, actions, np.zeros(steps, np.float32), ended, not ended, {"id": f"e-{seed}"})


def record(folder: Path, ends: list[bool], steps: int = STEPS) -> Path:
    spec = games.find("Toy")
    with data.EpisodeWriter(folder, {"game": spec.to_dict(), "actions": spec.meanings}) as writer:
        for seed, ended in enumerate(ends):
            writer.append(episode(seed, ended, steps))
    return folder


@pytest.fixture(scope="module")
def recording(tmp_path_factory) -> Path:
    return record(tmp_path_factory.mktemp("recording") / "toy", [True] * 12)


@pytest.fixture(autouse=True)
def fast(monkeypatch):
    """A rate at which weights as few as these learn in some hundred steps."""
    monkeypatch.setattr("genie_gym.training.replace_termination.RECIPE", replace(RECIPE, lr=2e-2))


@pytest.fixture
def checkpoint(toy_checkpoint, tmp_path) -> Path:
    """One that may be changed."""
    return Path(shutil.copytree(toy_checkpoint, tmp_path / "checkpoint"))


def dream(checkpoint: Checkpoint, steps: int = 6) -> list:
    frames = torch.from_numpy(np.stack([episode(seed, False).frames[:4] for seed in range(3)]))
    state, _ = checkpoint.model.start(frames)
    return [checkpoint.model.step(state, torch.tensor([0, 1, 2]), SamplingConfig()) for _ in range(steps)]


def test_ends_are_learned_and_frames_and_rewards_stay_as_they_were(checkpoint, recording, tmp_path):
    before = Checkpoint.load(checkpoint)
    report = replace_termination(checkpoint, data=(recording,), run=tmp_path / "run", out=tmp_path / "out", **OPTIONS)
    assert report.finished and report.checkpoint == tmp_path / "out"
    after = Checkpoint.load(tmp_path / "out")
    assert after.model.dynamics.config.termination_sees_frame
    for old, new in zip(dream(before), dream(after), strict=True):
        assert torch.equal(old.frames, new.frames) and torch.equal(old.rewards, new.rewards)
        assert torch.equal(old.logits, new.logits)
    assert report.training.metrics["recall"] == 1 and report.training.metrics["false_alarms"] < 0.1
    assert "12 episodes" in after.metadata.termination


def test_an_end_is_read_from_the_frame_that_came(checkpoint, recording, tmp_path):
    """Of two steps alike in all but the frame, the one with the red frame ends the episode."""
    replace_termination(checkpoint, data=(recording,), run=tmp_path / "run", **OPTIONS)
    model = Checkpoint.load(checkpoint).model
    found = {}
    for ended in (True, False):
        shown = torch.from_numpy(episode(100, ended).frames[-9:])[None]
        tokens = model.tokenizer.encode(shown.permute(0, 1, 4, 2, 3).float() / 255)
        state, _ = model.start(shown[:, :-1])
        noise = torch.full((1, model.numbers_per_step(SamplingConfig())), 0.5)
        outcome = model.advance(state, torch.tensor([0]), noise, SamplingConfig(), given=tokens[:, -1])
        found[ended] = outcome.termination_prob.item()
    assert found[True] > 0.5 > 0.2 > found[False]


def test_an_interrupted_training_is_resumed_to_the_same_weights(checkpoint, recording, tmp_path):
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    replace_termination(checkpoint, data=(recording,), run=tmp_path / "run-1", out=whole, **OPTIONS)
    with ctrl_c("termination", 30):
        first = replace_termination(checkpoint, data=(recording,), run=tmp_path / "run-2", out=parts, **OPTIONS)
    assert not first.finished and not parts.exists()
    replace_termination(checkpoint, data=(recording,), run=tmp_path / "run-2", out=parts, **OPTIONS)
    one, other = (Checkpoint.load(place).model.state_dict() for place in (whole, parts))
    assert all(torch.equal(value, other[name]) for name, value in one.items())


def test_a_checkpoint_that_ships_is_not_changed(toy_checkpoint, recording, tmp_path, monkeypatch):
    monkeypatch.setattr("genie_gym.training.checks.beforehand.shipped_checkpoint", lambda game: Path(toy_checkpoint))
    before = (Path(toy_checkpoint) / "config.json").read_bytes()
    report = replace_termination(toy_checkpoint, data=(recording,), run=tmp_path / "run", **OPTIONS | {"steps": 1})
    assert report.checkpoint == paths.weights_dir("Toy-Numpy")
    assert (Path(toy_checkpoint) / "config.json").read_bytes() == before
    assert Checkpoint.load(report.checkpoint).model.dynamics.config.termination_sees_frame


def test_episodes_of_another_game_are_refused(recording):
    with pytest.raises(ConfigError, match="holds episodes of Toy"):
        replace_termination("Airstriker", data=(recording,), **OPTIONS)


def test_without_an_end_there_is_nothing_to_learn(checkpoint, tmp_path):
    folder = record(tmp_path / "endless", [False] * 4)
    with pytest.raises(DataError, match=r"was ended by the game.*--max-steps"):
        replace_termination(checkpoint, data=(folder,), run=tmp_path / "run", **OPTIONS)
