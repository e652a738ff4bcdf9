"""An upscaler is trained from high-resolution frames, resumed, and added to the right checkpoint."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from genie_gym import data, games
from genie_gym.collection.policies import StickyPolicy
from genie_gym.collection.rollout import play_episode
from genie_gym.envs import WorldModelEnv
from genie_gym.errors import CheckpointError, ConfigError, DataError
from genie_gym.models.upscaler import UpscalerConfig
from genie_gym.training.add_upscaler import add_upscaler
from genie_gym.training.loop.config import TrainerConfig
from genie_gym.training.upscaler import train_upscaler
from genie_gym.utils import paths
from genie_gym.world_model import Checkpoint
from genie_gym.world_model.resolve import shipped_checkpoint
from tests.conftest import untrained
from tests.ctrl_c import ctrl_c
from tests.toy_play import record

RECIPE = TrainerConfig(steps=5, batch_size=2, lr=1e-2, warmup=1, validate_every=3, precision="float32")
OVERRIDES = {"model": UpscalerConfig(widths=(4, 8)), "training": RECIPE, "crop": 16}


@pytest.fixture(scope="module")
def recording(tmp_path_factory) -> Path:
    """Six episodes, the high-resolution frames of which are brighter, so that there is something to learn."""
    folder, spec = tmp_path_factory.mktemp("recording") / "toy", games.find("Toy")
    with data.EpisodeWriter(folder, {"game": spec.to_dict(), "actions": spec.meanings}) as writer:
        for seed in range(6):
            episode = play_episode(games.make("Toy"), StickyPolicy(), seed, 12, high_res=256)
            brighter = np.maximum(episode.high_res, 90)
            writer.append(replace(episode, high_res=brighter, info={**episode.info, "id": f"toy-{seed}"}))
    return folder


@pytest.fixture
def checkpoint(toy_checkpoint, tmp_path) -> Path:
    """One that may be changed."""
    return Path(shutil.copytree(toy_checkpoint, tmp_path / "checkpoint"))


def test_the_checkpoint_gets_an_upscaler_and_keeps_all_else(checkpoint, recording, tmp_path):
    before = Checkpoint.load(checkpoint)
    report = add_upscaler(checkpoint, data=recording, run=tmp_path / "run", preset_overrides=OVERRIDES)
    assert report.finished and report.checkpoint == checkpoint and report.training.steps == 5
    after = Checkpoint.load(checkpoint)
    for name, value in before.model.state_dict().items():
        assert torch.equal(value, after.model.state_dict()[name]), name
    assert torch.equal(before.initial_contexts["frames"], after.initial_contexts["frames"])
    assert (after.game, after.sampling) == (before.game, before.sampling)
    assert after.upscaler.config == UpscalerConfig(widths=(4, 8), scale=4)
    assert report.training.metrics["psnr"] > report.training.metrics["bicubic_psnr"]  # five steps make it brighter
    told = after.metadata.upscaler
    assert told.startswith("preset tiny, 5 steps") and "on 65 frames of 5 episodes" in told
    assert f"{report.training.metrics['psnr']:.2f} dB" in told
    assert str(tmp_path) not in json.dumps(after.metadata.to_dict())
    env = WorldModelEnv(checkpoint=checkpoint, upscale=True)
    assert env.reset(seed=0)[0].shape == env.step(1)[0].shape == (256, 256, 3)


def test_interrupted_it_goes_on_to_the_same_weights(checkpoint, recording, tmp_path):
    options = {"data": recording, "preset_overrides": OVERRIDES}
    whole = add_upscaler(checkpoint, run=tmp_path / "whole", out=tmp_path / "out", **options)
    assert whole.checkpoint == tmp_path / "out" and Checkpoint.load(checkpoint).upscaler is None
    with ctrl_c("upscaler", 3):
        stopped = add_upscaler(checkpoint, run=tmp_path / "run", **options)
    assert not stopped.finished and Checkpoint.load(checkpoint).upscaler is None
    assert add_upscaler(checkpoint, run=tmp_path / "run", **options).finished
    one, other = (Checkpoint.load(place).upscaler.state_dict() for place in (tmp_path / "out", checkpoint))
    assert all(torch.equal(value, other[name]) for name, value in one.items())
    with pytest.raises(ConfigError, match=r"was started with seed 0, .* seed 1; use the same settings to resume it"):
        add_upscaler(checkpoint, run=tmp_path / "run", seed=1, **options)
    with pytest.raises(ConfigError, match=r"started with model.widths \[4, 8\], training.steps 5, .*, crop 16"):
        add_upscaler(checkpoint, run=tmp_path / "run", data=recording)


def test_finished_it_serves_another_checkpoint_at_once(checkpoint, recording, tmp_path):
    options = {"data": recording, "run": tmp_path / "run", "preset_overrides": OVERRIDES}
    add_upscaler(checkpoint, **options)
    untrained(seed=5).save(tmp_path / "new")
    report = add_upscaler(tmp_path / "new", **options)
    assert report.training.steps == 5
    one, other = (Checkpoint.load(place).upscaler.state_dict() for place in (checkpoint, tmp_path / "new"))
    assert all(torch.equal(value, other[name]) for name, value in one.items())


def test_with_more_minutes_it_goes_on_where_it_ended(checkpoint, recording, tmp_path):
    run = {"data": recording, "run": tmp_path / "run", "preset_overrides": OVERRIDES}
    steps = add_upscaler(checkpoint, minutes=0.02, **run).training.steps
    assert add_upscaler(checkpoint, minutes=0.1, **run).training.steps > steps > 0
    with pytest.raises(ConfigError, match="minutes"):
        add_upscaler(checkpoint, minutes=0.05, **run)


def test_a_model_that_was_fitted_meanwhile_is_kept(checkpoint, recording, tmp_path, monkeypatch):
    newer = untrained(seed=5)

    def slowly(*args):
        newer.save(checkpoint)
        return train_upscaler(*args)

    monkeypatch.setattr("genie_gym.training.add_upscaler.train_upscaler", slowly)
    add_upscaler(checkpoint, data=recording, run=tmp_path / "run", preset_overrides=OVERRIDES)
    kept = Checkpoint.load(checkpoint)
    assert kept.upscaler is not None
    for name, value in newer.model.state_dict().items():
        assert torch.equal(value, kept.model.state_dict()[name]), name


def test_frames_to_validate_with_are_among_the_large_ones(checkpoint, recording, tmp_path):
    """However many episodes were recorded without, the two sides are of those with high-resolution frames."""
    mixed = Path(shutil.copytree(recording, tmp_path / "mixed"))
    record(mixed, 30, 5, first=100)
    report = add_upscaler(checkpoint, data=mixed, run=tmp_path / "run", preset_overrides=OVERRIDES)
    assert report.finished and "of 5 episodes" in Checkpoint.load(checkpoint).metadata.upscaler
    single, spec = tmp_path / "single", games.find("Toy")
    with data.EpisodeWriter(single, {"game": spec.to_dict(), "actions": spec.meanings}) as writer:
        writer.append(play_episode(games.make("Toy"), StickyPolicy(), 50, 12, high_res=256))
    record(single, 2, 5)
    with pytest.raises(DataError, match=r"only one episode in .* has high-resolution frames, and one must be held out"):
        add_upscaler(checkpoint, data=single, run=tmp_path / "other", preset_overrides=OVERRIDES)


def test_a_checkpoint_that_ships_is_not_changed(recording, tmp_path, monkeypatch, toy_checkpoint):
    monkeypatch.setattr("genie_gym.training.checks.beforehand.shipped_checkpoint", lambda game: Path(toy_checkpoint))
    report = add_upscaler(toy_checkpoint, data=recording, preset_overrides=OVERRIDES)
    assert report.checkpoint == paths.weights_dir("Toy-Numpy")
    assert Checkpoint.load(toy_checkpoint).upscaler is None
    assert (paths.home() / "runs" / "Toy-Numpy-upscaler-tiny" / "state.safetensors").is_file()


def test_a_model_on_the_hub_needs_a_folder_to_go_to(recording, tmp_path, monkeypatch, toy_checkpoint):
    """Or it would replace the user's own weights of that game."""
    monkeypatch.setattr("huggingface_hub.snapshot_download", lambda name, **options: toy_checkpoint)
    with pytest.raises(ConfigError, match=r"somebody/toy is on the hub; .* --out FOLDER"):
        add_upscaler("somebody/toy", data=recording, preset_overrides=OVERRIDES)
    report = add_upscaler("somebody/toy", data=recording, preset_overrides=OVERRIDES, out=tmp_path / "out")
    assert report.checkpoint == tmp_path / "out" and not paths.weights_dir("Toy-Numpy").exists()


def test_another_game_no_recording_and_no_large_frames(checkpoint, recording, tmp_path):
    with pytest.raises(ConfigError, match=r"holds episodes of Toy-Numpy, not of Airstriker-Genesis; give another"):
        add_upscaler(shipped_checkpoint("Airstriker-Genesis"), data=recording)
    with pytest.raises(DataError, match="genie-gym collect Toy-Numpy"):
        add_upscaler(checkpoint)
    record(tmp_path / "small", 2, 5)
    with pytest.raises(DataError, match="genie-gym collect Toy-Numpy --high-res"):
        add_upscaler(checkpoint, data=tmp_path / "small")
    with pytest.raises(ConfigError, match="unknown preset 'huge'"):
        add_upscaler(checkpoint, preset="huge")
    with pytest.raises(CheckpointError, match="is not a checkpoint"):
        add_upscaler(tmp_path)
