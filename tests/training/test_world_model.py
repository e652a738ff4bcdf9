"""A whole fit of the toy game: from recorded play to a checkpoint that steps, through interruptions."""

import json
import shutil
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import gymnasium as gym
import numpy as np
import pytest
import torch

import genie_gym  # noqa: F401  (registers the ids)
from genie_gym import data
from genie_gym.errors import ConfigError, DataError
from genie_gym.models.dynamics import DynamicsConfig
from genie_gym.models.lam import LatentActionConfig
from genie_gym.models.tokenizer import TokenizerConfig
from genie_gym.training.loop.config import TrainerConfig
from genie_gym.training.presets import get_preset
from genie_gym.training.world_model import train
from genie_gym.utils import paths
from genie_gym.world_model import Checkpoint
from genie_gym.world_model.actions.action_map import ActionMap
from genie_gym.world_model.metadata import TrainingMetadata
from tests.conftest import untrained, untrained_latent, untrained_upscaler
from tests.ctrl_c import ctrl_c
from tests.toy_play import record

SIZES = {"dim": 16, "heads": 2, "window": 3, "codes": 32, "code_dim": 4}
RECIPE = TrainerConfig(steps=6, batch_size=2, warmup=2, precision="float32", log_every=2, validate_every=4)
OVERRIDES = {
    "tokenizer": TokenizerConfig(patch=16, encoder_blocks=1, decoder_blocks=1, warmup=3, **SIZES),
    "dynamics": DynamicsConfig(0, blocks=1, side=4, rollout_temperature=0.4, **SIZES),
    "tokenizer_training": RECIPE,
    "dynamics_training": RECIPE,
    "lam": LatentActionConfig(patch=16, dim=16, heads=2, encoder_blocks=1, decoder_blocks=1, drawing_dim=8, warmup=2),
    "lam_training": RECIPE,
    "tokenizer_clip_length": 4,
    "dynamics_clip_lengths": (4, 8),
    "dynamics_max_offset": 3,
}


@pytest.fixture(scope="module")
def recording(tmp_path_factory) -> Path:
    return record(tmp_path_factory.mktemp("recording") / "toy", episodes=6, steps=40)


@pytest.fixture(scope="module")
def fitted(recording, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("fitted")
    report = train("Toy-Numpy", data=recording, out=folder / "out", run=folder / "run", preset_overrides=OVERRIDES)
    assert report.finished and report.checkpoint == folder / "out"
    assert report.verdict.psnr == report.stages["dynamics"].metrics["psnr"]  # six steps came to little
    assert not report.verdict.good and len(report.verdict.lines) >= 2
    return folder


def test_the_checkpoint_steps_as_an_environment(fitted):
    env = gym.make("GenieRedux/Toy-v0", checkpoint=str(fitted / "out"))
    first, _ = env.reset(seed=0)
    assert first.shape == (64, 64, 3) and env.action_space.n == 4
    frame, reward, terminated, truncated, _ = env.step(1)
    assert frame.shape == (64, 64, 3) and np.isfinite(reward)
    assert isinstance(terminated, bool) and not truncated


def test_the_checkpoint_knows_its_game_and_how_it_was_made(fitted):
    checkpoint = Checkpoint.load(fitted / "out")
    assert checkpoint.game["name"] == "Toy-Numpy"
    assert checkpoint.model.dynamics.config.num_actions == 4 and checkpoint.sampling.temperature == 0.4
    assert torch.equal(checkpoint.model.dynamics.codebook, checkpoint.model.tokenizer.codebook.codes)
    made = checkpoint.metadata
    assert (made.preset, made.seed) == ("tiny", 0)
    assert made.stages["tokenizer"].steps == made.stages["dynamics"].steps == 6
    assert [(one.episodes, one.trained_on) for one in made.data] == [(6, 5)]
    assert made.metrics["tokenizer psnr"] > 0 and "dynamics cross_entropy" in made.metrics
    assert np.isfinite([made.metrics["dynamics psnr"], made.metrics["dynamics repeat_psnr"]]).all()
    assert str(Path.home()) not in (fitted / "out" / "config.json").read_text()


def test_stages_train_on_one_side_and_validate_on_the_other(recording, tmp_path, monkeypatch):
    from genie_gym.training import world_model as module

    sides = []

    def watched(stage):
        def call(*args, **options):
            sides.append([one._indices.tolist() for one in args if isinstance(one, data.SequenceDataset)])
            return stage(*args, **options)

        return call

    for name in ("train_tokenizer", "train_lam", "train_dynamics"):
        monkeypatch.setattr(module, name, watched(getattr(module, name)))
    folders = {"data": recording, "out": tmp_path / "out", "run": tmp_path / "run"}
    train("Toy-Numpy", latent_actions=3, preset_overrides=OVERRIDES, **folders)
    assert sides == [[side.tolist() for side in data.split(data.EpisodeDataset(recording))]] * 3


def test_starts_are_real_play_of_the_training_episodes(fitted, recording):
    starts = Checkpoint.load(fitted / "out").initial_contexts
    assert starts["frames"].shape == (64, 4, 64, 64, 3) and starts["actions"].shape == (64, 3)
    recorded = data.EpisodeDataset(recording)
    train, held_out = data.split(recorded)
    assert len(train) == 5 and len(held_out) == 1
    pieces = set()
    for index in train:
        episode = recorded[int(index)]
        for t in range(len(episode) - 3):
            pieces.add(episode.frames[t : t + 4].tobytes() + episode.actions[t : t + 3].tobytes())
    for frames, actions in zip(starts["frames"], starts["actions"], strict=True):
        assert frames.numpy().tobytes() + actions.numpy().tobytes() in pieces
    begins = {recorded[int(index)].frames[0].tobytes() for index in train}
    assert all(frames[0].numpy().tobytes() in begins for frames in starts["frames"][32:])


@pytest.mark.parametrize(("stage", "step"), [("tokenizer", 2), ("dynamics", 4)])
def test_interrupted_it_goes_on_to_the_same_weights(fitted, recording, tmp_path, stage, step):
    options = {"data": recording, "out": tmp_path / "out", "run": tmp_path / "run", "preset_overrides": OVERRIDES}
    with ctrl_c(stage, step):
        first = train("Toy-Numpy", **options)
    assert not first.finished and first.checkpoint is None and not (tmp_path / "out").exists()
    assert ("dynamics" not in first.stages) == (stage == "tokenizer")
    assert train("Toy-Numpy", **options).finished
    whole, pieces = (Checkpoint.load(folder / "out").model.state_dict() for folder in (fitted, tmp_path))
    assert all(torch.equal(value, pieces[name]) for name, value in whole.items())


def test_a_run_goes_on_with_its_own_settings_only(fitted, recording):
    for other in ({"seed": 1}, {"preset": "small"}):
        with pytest.raises(
            ConfigError, match=r"was started with .* use the same settings to resume it, or remove"
        ) as error:
            train(
                "Toy-Numpy", data=recording, run=fitted / "run", out=fitted / "new", preset_overrides=OVERRIDES, **other
            )
        assert str(fitted / "run") in str(error.value)
    assert not (fitted / "new").exists()


def test_a_finished_run_is_trained_longer(recording, tmp_path):
    """The dynamics learns on; the tokenizer stays as it is, so that tokens keep their meaning."""
    options = {"data": recording, "out": tmp_path / "out", "run": tmp_path / "run", "preset_overrides": OVERRIDES}
    first = train("Toy-Numpy", minutes=0.05, **options)
    before = Checkpoint.load(tmp_path / "out").model
    longer = train("Toy-Numpy", minutes=0.1, **options)
    after = Checkpoint.load(tmp_path / "out").model
    assert longer.stages["tokenizer"].steps == first.stages["tokenizer"].steps
    assert longer.stages["dynamics"].steps > first.stages["dynamics"].steps
    seconds = sum(stage.seconds for stage in longer.stages.values())
    assert seconds < 7
    for part, same in (("tokenizer", True), ("dynamics", False)):
        old, new = (getattr(model, part).state_dict() for model in (before, after))
        assert all(torch.equal(old[name], new[name]) for name in old) == same, part
    with pytest.raises(ConfigError, match=r"minutes 0\.1, now asked for minutes 0\.05; .*may be raised"):
        train("Toy-Numpy", minutes=0.05, **options)


def test_minutes_are_those_of_the_whole_call(recording, tmp_path, monkeypatch):
    """Stages, what lies between them, and validations; every look at the clock takes half a second."""
    from genie_gym.training import world_model as module

    looks, stage = [0], module.train_tokenizer

    def monotonic() -> float:
        looks[0] += 1
        return looks[0] / 2

    def after_ten_seconds(*args):
        looks[0] += 20
        return stage(*args)

    for name in ("loop.progress", "loop.trainer", "world_model"):
        monkeypatch.setattr(f"genie_gym.training.{name}.time", SimpleNamespace(monotonic=monotonic))
    monkeypatch.setattr(module, "train_tokenizer", after_ten_seconds)
    options = {"data": recording, "out": tmp_path / "out", "run": tmp_path / "run", "preset_overrides": OVERRIDES}
    assert train("Toy-Numpy", minutes=1.5, **options).finished
    assert looks[0] / 2 == pytest.approx(90, rel=0.1)


def test_a_run_notes_what_bears_on_the_weights(fitted, recording):
    settings = json.loads((fitted / "run" / "settings.json").read_text())
    assert settings["actions"] == ["NOOP", "RIGHT", "LEFT", "JUMP"] and settings["recorded game"] == "Toy-Numpy"
    assert settings["dynamics_training.lr"] == RECIPE.lr and settings["dynamics_clip_lengths"] == [4, 8]
    assert "dynamics_training.log_every" not in settings
    notes = json.loads((fitted / "run" / "data.json").read_text())
    frames = int(data.EpisodeDataset(recording).lengths.sum())
    assert notes == {
        "finished": True,
        "used": [{"folder": str(recording), "episodes": 6, "frames": frames, "trained_on": 5}],
    }


def rename_an_action(header: dict) -> None:
    header["actions"][3] = header["game"]["actions"][3]["meaning"] = "FIRE"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda header: header["game"].update(name="Pong-Own"), "holds episodes of Pong-Own, not of Toy-Numpy;"),
        (
            rename_an_action,
            r"started with actions \['NOOP', .*'JUMP'\], .*'FIRE'\];",
        ),
    ],
    ids=["another game", "other actions"],
)
def test_a_run_does_not_go_on_with_another_game(fitted, recording, tmp_path, change, words):
    other = Path(shutil.copytree(recording, tmp_path / "other"))
    header = json.loads((other / "recording.json").read_text())
    change(header)
    (other / "recording.json").write_text(json.dumps(header))
    with pytest.raises(ConfigError, match=words):
        train("Toy-Numpy", data=other, run=fitted / "run", out=tmp_path / "new", preset_overrides=OVERRIDES)


def test_a_changed_preset_is_noticed(fitted, recording, tmp_path):
    overrides = {**OVERRIDES, "dynamics_training": replace(RECIPE, lr=0.5, log_every=3)}
    with pytest.raises(
        ConfigError, match=r"started with dynamics_training.lr 0.001, now asked for dynamics_training.lr 0.5;"
    ):
        train("Toy-Numpy", data=recording, run=fitted / "run", out=tmp_path / "new", preset_overrides=overrides)


def test_more_data_are_told_of_and_kept_in_the_metadata(recording, tmp_path, capsys):
    folder = Path(shutil.copytree(recording, tmp_path / "data"))
    options = {"data": folder, "out": tmp_path / "out", "run": tmp_path / "run", "preset_overrides": OVERRIDES}
    with ctrl_c("dynamics", 4):
        assert not train("Toy-Numpy", **options).finished
    frames = int(data.EpisodeDataset(folder).lengths.sum())
    record(folder, episodes=8, steps=40, first=6)
    more = int(data.EpisodeDataset(folder).lengths.sum())
    capsys.readouterr()
    assert train("Toy-Numpy", **options).finished
    line = capsys.readouterr().out.splitlines()[0]
    assert f"is resumed with 8 episodes, {more} frames" in line and f"it had 6 episodes, {frames} frames" in line
    made = Checkpoint.load(tmp_path / "out").metadata.data
    assert [(one.episodes, one.frames) for one in made] == [(6, frames), (8, more)]

    record(folder, episodes=9, steps=40, first=8)
    assert train("Toy-Numpy", **options).finished
    assert "is finished and learns nothing from 9 episodes" in capsys.readouterr().out
    assert Checkpoint.load(tmp_path / "out").metadata.data == made

    assert train("Toy-Numpy", minutes=0.05, **options).finished  # more time: now it learns from them
    assert Checkpoint.load(tmp_path / "out").metadata.data[-1].episodes == 9


def test_default_folders_are_the_users(home):
    record(paths.data_dir("Toy-Numpy"), episodes=2, steps=20)
    report = train("Toy-Numpy", preset_overrides=OVERRIDES)
    assert report.checkpoint == paths.weights_dir("Toy-Numpy")
    assert (home / "runs" / "Toy-Numpy-tiny" / "dynamics" / "state.safetensors").is_file()
    assert gym.make("GenieRedux/Toy-v0").reset(seed=0)[0].shape == (64, 64, 3)


def test_a_world_of_ones_own_has_an_id_as_soon_as_it_is_trained(home):
    record(paths.data_dir("Mine-Own"), episodes=2, steps=20)
    assert "GenieRedux/Mine-Own-v0" not in gym.registry
    train("Mine-Own", preset_overrides=OVERRIDES)
    assert gym.make("GenieRedux/Mine-Own-v0").reset(seed=0)[0].shape == (64, 64, 3)
    del gym.registry["GenieRedux/Mine-Own-v0"]


def without_actions(recording: Path, folder: Path) -> Path:
    """A copy that is told to hold no actions."""
    shutil.copytree(recording, folder)
    header = json.loads((folder / "recording.json").read_text())
    header["runs"][0]["no_actions"] = True
    (folder / "recording.json").write_text(json.dumps(header))
    return folder


def test_play_without_actions_gets_latent_ones(recording, tmp_path):
    folder = without_actions(recording, tmp_path / "data")
    options = {"data": folder, "out": tmp_path / "out", "run": tmp_path / "run", "preset_overrides": OVERRIDES}
    with ctrl_c("latent_actions", 3):
        first = train("Toy-Numpy", **options)
    assert not first.finished and "dynamics" not in first.stages
    assert not first.stages["latent_actions"].finished
    report = train("Toy-Numpy", **options)
    assert report.stages["latent_actions"].finished and report.stages["latent_actions"].steps == 6

    checkpoint = Checkpoint.load(tmp_path / "out")
    assert [action["meaning"] for action in checkpoint.game["actions"]] == [f"LATENT {i}" for i in range(8)]
    assert checkpoint.model.dynamics.config.num_actions == 8
    assert checkpoint.metadata.stages["latent_actions"].steps == 6
    # Typed again, the same latent actions keep their buttons; those of another fit would not.
    buttons = ActionMap(actions=checkpoint.game["actions"][:2], codes=[3, 1])
    replace(checkpoint, action_map=buttons).save(tmp_path / "out")
    assert train("Toy-Numpy", **options).finished
    assert Checkpoint.load(tmp_path / "out").action_map == buttons
    other = replace(untrained_latent(), action_map=buttons)
    other.adopt_action_map(checkpoint)
    assert other.action_map == buttons and checkpoint.action_map is None
    assert "latent_actions perplexity" in checkpoint.metadata.metrics
    # the actions of the starts are those that the kept model finds in whole episodes of the recording
    recorded, found = data.EpisodeDataset(folder), set()
    for index in data.split(recorded)[0]:
        frames = recorded[int(index)].frames
        pictures = torch.from_numpy(frames.astype(np.float32) / 255).permute(0, 3, 1, 2)
        codes = checkpoint.model.latent_actions.codes(pictures[None])[0].numpy()
        found |= {frames[t : t + 4].tobytes() + codes[t : t + 3].tobytes() for t in range(len(frames) - 3)}
    for frames, actions in zip(
        checkpoint.initial_contexts["frames"], checkpoint.initial_contexts["actions"], strict=True
    ):
        assert frames.numpy().tobytes() + actions.numpy().tobytes() in found

    env = gym.make("GenieRedux/Toy-v0", checkpoint=str(tmp_path / "out"))
    env.reset(seed=0)
    assert env.action_space.n == 8 and env.unwrapped.get_keys_to_action()[(ord("7"),)] == 7
    assert env.step(7)[0].shape == (64, 64, 3)


def test_latent_actions_in_place_of_recorded_ones(recording, tmp_path):
    report = train("Toy-Numpy", data=recording, out=tmp_path / "out", latent_actions=3, preset_overrides=OVERRIDES)
    assert report.finished and (paths.home() / "runs" / "Toy-Numpy-tiny-latent").is_dir()
    assert Checkpoint.load(tmp_path / "out").model.dynamics.config.num_actions == 3


@pytest.mark.parametrize("latent", [True, False])
def test_weights_for_another_kind_of_actions_are_not_replaced_unasked(recording, latent):
    (untrained() if latent else untrained_latent()).save(paths.weights_dir("Toy-Numpy"))
    before = (paths.weights_dir("Toy-Numpy") / "config.json").read_bytes()
    options = {"data": recording, "latent_actions": 3 if latent else None, "preset_overrides": OVERRIDES}
    kinds = ["latent", "recorded"] if latent else ["recorded", "latent"]
    with pytest.raises(ConfigError, match=r"for {} actions, and .* have {} ones; give --out FOLDER".format(*kinds)):
        train("Toy-Numpy", **options)
    assert (paths.weights_dir("Toy-Numpy") / "config.json").read_bytes() == before
    assert not (paths.home() / "runs").exists()


def test_latent_actions_and_dynamics_together(recording, tmp_path):
    options = {"data": recording, "latent_actions": 3, "joint": True, "preset_overrides": OVERRIDES}
    report = train("Toy-Numpy", out=tmp_path / "out", **options)
    assert (
        report.finished
        and list(report.stages) == ["tokenizer", "joint"]
        and "latent_psnr" in report.stages["joint"].metrics
    )
    assert (paths.home() / "runs" / "Toy-Numpy-tiny-latent-joint" / "joint").is_dir()
    checkpoint = Checkpoint.load(tmp_path / "out")
    assert checkpoint.model.dynamics.config.num_actions == checkpoint.model.latent_actions.config.codes == 3
    assert set(checkpoint.metadata.stages) == {"tokenizer", "joint"}
    assert checkpoint.initial_contexts["actions"].min() >= 0 and checkpoint.initial_contexts["actions"].max() < 3
    with pytest.raises(ConfigError, match="joint training is for latent actions; say how many"):
        train("Toy-Numpy", data=recording, out=tmp_path / "other", joint=True, preset_overrides=OVERRIDES)


def test_minutes_are_shared_out():
    for latent, joint in ((False, False), (True, False), (True, True)):
        plan = get_preset("tiny-transformer").plan(60, 5, latent=latent, joint=joint)
        assert sum(one.minutes for one in plan.values()) == pytest.approx(60)
        assert ("latent_actions" in plan) == (latent and not joint) and all(one.seed == 5 for one in plan.values())


def test_a_single_episode_cannot_be_held_out(tmp_path):
    record(tmp_path / "data", episodes=1, steps=30)
    with pytest.raises(DataError, match=r"holds a single episode, of \d+ frames, .* record or convert some more"):
        train("Toy-Numpy", data=tmp_path / "data", out=tmp_path / "out", preset_overrides=OVERRIDES)


def test_impossible_numbers_of_latent_actions(recording, tmp_path):
    folder = without_actions(recording, tmp_path / "data")
    for where, number in ((recording, 1), (recording, -1), (folder, 0)):
        with pytest.raises(ConfigError, match=f"latent actions must be 2 or more .* got {number}"):
            train("Toy-Numpy", data=where, run=tmp_path / "run", latent_actions=number, preset_overrides=OVERRIDES)


def test_short_episodes_are_fitted_with_short_clips(tmp_path):
    record(tmp_path / "data", episodes=3, steps=5)  # six frames each: none of eight fits
    report = train(
        "Toy-Numpy", data=tmp_path / "data", out=tmp_path / "out", run=tmp_path / "run", preset_overrides=OVERRIDES
    )
    assert report.finished


def test_no_recording_and_no_such_preset(tmp_path):
    with pytest.raises(DataError, match="genie-gym collect"):
        train("Toy-Numpy", run=tmp_path / "run")
    with pytest.raises(ConfigError, match="unknown preset 'huge'"):
        train("Toy-Numpy", preset="huge", run=tmp_path / "run")


def test_episodes_too_short_for_any_clip(tmp_path):
    record(tmp_path / "data", episodes=3, steps=2)
    with pytest.raises(DataError, match="no window of 4 frames fits"):
        train(
            "Toy-Numpy", data=tmp_path / "data", out=tmp_path / "out", run=tmp_path / "run", preset_overrides=OVERRIDES
        )


def test_a_known_game_is_fitted_to_its_own_play(recording, tmp_path):
    with pytest.raises(ConfigError, match=r"holds episodes of Toy-Numpy, not of Kangaroo-Atari2600; give another"):
        train("Kangaroo-Atari2600", data=recording, run=tmp_path / "run", preset_overrides=OVERRIDES)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("options", [{"seed": -1}, {"threads": 0}, {"minutes": float("nan")}])
def test_numbers_out_of_range_leave_no_run_behind(recording, tmp_path, options):
    with pytest.raises(ConfigError, match="must be"):
        train("Toy-Numpy", data=recording, run=tmp_path / "run", preset_overrides=OVERRIDES, **options)
    assert not (tmp_path / "run").exists()


def test_an_upscaler_of_the_game_is_kept(recording, tmp_path):
    before = replace(untrained(), upscaler=untrained_upscaler(), metadata=TrainingMetadata("small", upscaler="31 dB"))
    before.save(tmp_path / "out")
    assert train("Toy-Numpy", data=recording, out=tmp_path / "out", preset_overrides=OVERRIDES).finished
    after = Checkpoint.load(tmp_path / "out")
    assert (after.metadata.upscaler, after.metadata.preset) == ("31 dB", "tiny")
    assert torch.equal(after.upscaler.state_dict()["enter.weight"], before.upscaler.state_dict()["enter.weight"])
