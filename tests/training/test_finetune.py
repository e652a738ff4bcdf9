"""Tuning: from the weights given, with the recipe's gentler sibling, on old and new play by share."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from genie_gym.data import Episode, EpisodeDataset, EpisodeWriter, split
from genie_gym.errors import ConfigError, DataError
from genie_gym.training import finetune as module
from genie_gym.training.config import FinetuneConfig
from genie_gym.training.finetune import finetune, finetune_checkpoint
from genie_gym.training.loop.config import TrainerConfig
from genie_gym.training.loop.trainer import StageReport
from genie_gym.training.presets import PRESETS
from genie_gym.world_model import Checkpoint
from genie_gym.world_model.metadata import FinetuneRecord, TrainingMetadata
from tests.conftest import untrained, untrained_conv, untrained_latent, untrained_upscaler
from tests.ctrl_c import ctrl_c
from tests.toy_play import record


@pytest.fixture(scope="module")
def recordings(tmp_path_factory) -> list[EpisodeDataset]:
    """Two old ones of 6 and 2 episodes, and two new ones of 3."""
    folder, spans = tmp_path_factory.mktemp("finetune"), ((0, 6), (20, 22), (30, 33), (40, 43))
    return [EpisodeDataset(record(Path(folder) / str(first), last, 40, first)) for first, last in spans]


def untrained_upscaled() -> Checkpoint:
    return replace(untrained(window=6), upscaler=untrained_upscaler())


@pytest.fixture
def checkpoint() -> Checkpoint:
    return untrained(window=6)


def test_tuning_begins_with_the_weights_given(checkpoint, recordings, tmp_path):
    before = {name: value.clone() for name, value in checkpoint.model.state_dict().items()}
    report = finetune_checkpoint(
        checkpoint,
        recordings[2:],
        FinetuneConfig(decoder_steps=2, dynamics_steps=2, lr_scale=1e-3),
        tmp_path,
        old=recordings[:2],
    )
    after = report.checkpoint.model.state_dict()
    assert before.keys() == after.keys()
    for name, value in after.items():
        torch.testing.assert_close(value, before[name], atol=1e-4, rtol=1e-4)
    assert not torch.equal(after["dynamics.to_logits.weight"], before["dynamics.to_logits.weight"])
    assert not any(p.requires_grad for p in report.checkpoint.model.parameters())


def test_half_of_the_starts_are_new(checkpoint, recordings, tmp_path):
    old = {one.numpy().tobytes() for one in checkpoint.initial_contexts["frames"]}
    config = FinetuneConfig(decoder_steps=1, dynamics_steps=1)
    starts = finetune_checkpoint(checkpoint, recordings[2:], config, tmp_path).checkpoint.initial_contexts
    kept = [one.numpy().tobytes() in old for one in starts["frames"]]
    assert sum(kept) == len(old) == 6 and len(kept) == 6 + 32  # it had fewer than half of 64
    assert starts["actions"].shape == (38, 3)


def test_the_metadata_keep_every_finetuning(checkpoint, recordings, tmp_path):
    before = TrainingMetadata("tiny-transformer", finetuning=(FinetuneRecord("before"),))
    options = {"old": recordings[:2], "source": "new play"}
    config = FinetuneConfig(decoder_steps=1, dynamics_steps=2, seed=3)
    report = finetune_checkpoint(replace(checkpoint, metadata=before), recordings[2:], config, tmp_path, **options)
    metadata = report.checkpoint.metadata
    first, second = metadata.finetuning
    assert replace(metadata, finetuning=(first,)) == before
    assert (second.source, second.new_share, second.seed) == ("new play", 0.5, 3)
    assert sum(one.frames for one in second.data) == sum(one.lengths.sum() for one in recordings[2:])
    assert {name: stage.steps for name, stage in second.stages.items()} == {"decoder": 1, "dynamics": 2}
    assert {"tokenizer psnr", "dynamics accuracy"} <= metadata.metrics.keys()


def test_recipe_and_shares(checkpoint, recordings, tmp_path, monkeypatch):
    checkpoint, caught = of_preset(checkpoint, "tiny-transformer"), []

    def train_decoder(model, train, held_out, config, folder):
        caught.append((train, config))
        return StageReport(7, 1.0, finished=False)

    monkeypatch.setattr(module, "train_decoder", train_decoder)
    config = FinetuneConfig(decoder_steps=50, dynamics_steps=60, lr_scale=0.1, new_share=0.4, seed=9)
    report = finetune_checkpoint(checkpoint, recordings[2:], config, tmp_path, old=recordings[:2])
    assert report.checkpoint is None and report.dynamics is None and report.decoder.steps == 7
    finetune_checkpoint(checkpoint, recordings[2:], config, tmp_path)
    (train, used), (alone, _) = caught
    recipe = PRESETS["tiny-transformer"].tokenizer_training
    assert used == replace(recipe, steps=50, lr=recipe.lr * 0.1, warmup=5, seed=9)
    frames = np.array([one.lengths[split(one)[0]].sum() for one in recordings[:2]])
    np.testing.assert_allclose(train._probabilities, [0.2, 0.2, *(0.6 * frames / frames.sum())])
    np.testing.assert_allclose(alone._probabilities, [0.5, 0.5])


def test_all_learning_rates_are_lowered_and_clips_drawn_as_in_training(checkpoint, recordings, tmp_path, monkeypatch):
    """Of the preset `tiny`, whose matrices learn by Muon at a rate of their own, from clips that move."""
    caught = []

    def train_decoder(model, train, held_out, config, folder):
        caught.append(config)
        return StageReport(5, 1.0)

    def train_dynamics(model, tokenizer, train, held_out, config, folder, lengths, moving_choices):
        caught.extend([config, moving_choices])
        return StageReport(5, 1.0, finished=False)

    monkeypatch.setattr(module, "train_decoder", train_decoder)
    monkeypatch.setattr(module, "train_dynamics", train_dynamics)
    of_conv = replace(checkpoint, metadata=replace(checkpoint.metadata, preset="tiny"))
    finetune_checkpoint(of_conv, recordings, FinetuneConfig(lr_scale=0.1), tmp_path)
    decoder, dynamics, moving_choices = caught
    assert moving_choices == PRESETS["tiny"].dynamics_moving_choices
    for used, usual in ((decoder, PRESETS["tiny"].tokenizer_training), (dynamics, PRESETS["tiny"].dynamics_training)):
        assert (used.lr, used.muon_lr) == pytest.approx((0.1 * usual.lr, 0.1 * usual.muon_lr))


def test_minutes_are_shared(checkpoint, recordings, tmp_path, monkeypatch):
    """A fifth of them for the decoder."""
    caught = []

    def caught_stage(*arguments):
        caught.append(next(one for one in arguments if isinstance(one, TrainerConfig)))
        return StageReport(5, 1.0, finished=len(caught) == 1)

    monkeypatch.setattr(module, "train_decoder", caught_stage)
    monkeypatch.setattr(module, "train_dynamics", caught_stage)
    finetune_checkpoint(checkpoint, recordings, FinetuneConfig(minutes=10, decoder_steps=7), tmp_path)
    assert [(one.steps, one.minutes) for one in caught] == [(None, 2), (None, 8)]


def test_a_finished_finetuning_goes_on_with_more_minutes(checkpoint, recordings, tmp_path):
    checkpoint.save(tmp_path / "before")
    options = {"data": (recordings[0].folder,), "run": tmp_path / "run", "out": tmp_path / "out"}
    first, more = (finetune(tmp_path / "before", minutes=minutes, **options) for minutes in (0.02, 0.06))
    assert first.finished and more.dynamics.steps > first.dynamics.steps
    with pytest.raises(ConfigError, match=r"minutes 0\.06, .*minutes 0\.02"):
        finetune(tmp_path / "before", minutes=0.02, **options)


def test_a_recording_with_nothing_to_train_on(checkpoint, tmp_path):
    alone = EpisodeDataset(record(tmp_path / "alone", 10, 40, first=9))  # one whose id is held out
    with pytest.raises(DataError, match="holds a single episode, of 25 frames, and one must be held out"):
        finetune_checkpoint(checkpoint, [alone], FinetuneConfig(), tmp_path / "fit")


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"decoder_steps": 0}, "decoder steps must be 1 or more, got 0"),
        ({"minutes": 0.0}, "minutes must be more than 0, got 0.0"),
        ({"lr_scale": 0.0}, "lr scale must be more than 0, got 0.0"),
        ({"new_share": 1.5}, "new share must lie in"),
    ],
)
def test_options_out_of_range(options, says):
    with pytest.raises(ConfigError, match=says):
        FinetuneConfig(**options)


def with_actions(folder: Path, meanings: list[str], game: str = "Toy-Numpy", first: int = 50) -> Path:
    """A dataset of a game with these actions, drawn at random; the frames are noise."""
    rng = np.random.default_rng(0)
    actions = [{"meaning": meaning, "buttons": [], "keys": []} for meaning in meanings]
    header = {"game": {"name": game, "actions": actions}, "actions": meanings}
    with EpisodeWriter(folder, header) as writer:
        for number in range(4):
            frames = rng.integers(0, 256, (20, 64, 64, 3), np.uint8)
            steps = {"actions": rng.integers(len(meanings), size=19), "rewards": np.zeros(19, np.float32)}
            writer.append(Episode(frames, **steps, info={"id": f"{game}-{first + number}"}))
    return folder


@pytest.mark.parametrize(
    ("meanings", "game"),
    [(["A", "B"], "Toy-Numpy"), (list("ABCDEFG"), "Other-Own"), (["W", "X", "Y", "Z"], "Toy-Numpy")],
)
def test_other_actions_than_the_checkpoints(meanings, game, checkpoint, tmp_path):
    """Fewer, more, and as many with other names: all weights are kept, and actions begin by their names."""
    meanings = list(meanings)
    checkpoint = replace(checkpoint, upscaler=untrained_upscaler())
    checkpoint.save(tmp_path / "before")
    before = checkpoint.model.dynamics
    options = {"data": (with_actions(tmp_path / "data", meanings, game),), "run": tmp_path / "run"}
    recipe = {"decoder_steps": 1, "dynamics_steps": 1, "lr_scale": 1e-6}
    report = finetune(tmp_path / "before", out=tmp_path / "out", **recipe, **options)
    assert report.finished and report.checkpoint == tmp_path / "out"
    assert report.verdict.psnr == report.dynamics.metrics["psnr"] and "dB" in str(report.verdict)
    after = Checkpoint.load(report.checkpoint)
    assert [action["meaning"] for action in after.game["actions"]] == meanings and after.game["name"] == game
    assert after.model.dynamics.config.num_actions == len(meanings)
    assert after.initial_contexts["actions"].max() < len(meanings) and len(after.initial_contexts["frames"]) == 64
    assert (after.upscaler is None) == (game != "Toy-Numpy")
    for name, value in after.model.dynamics.state_dict().items():
        if ".action." not in name:
            torch.testing.assert_close(value, before.state_dict()[name], atol=1e-5, rtol=1e-5)
        else:  # PRIMARY, by the name A too, jumps in the toy game; nothing is known of the others
            known, mean = before.state_dict()[name][:, 3], before.state_dict()[name].mean(1)
            jumps = [meaning == "A" and game == "Toy-Numpy" for meaning in meanings]
            expected = torch.stack([known if one else mean for one in jumps], 1)
            torch.testing.assert_close(value, expected, atol=1e-5, rtol=1e-5)
    state, _ = after.model.start(after.initial_contexts["frames"][:1])
    step = after.model.step(state, torch.tensor([len(meanings) - 1]), after.sampling)
    assert step.frames.shape == (1, 64, 64, 3)


def test_finetuning_is_resumed_and_may_replace_the_checkpoint_it_started_from(checkpoint, recordings, tmp_path):
    checkpoint.save(tmp_path / "whole")
    checkpoint.save(tmp_path / "pieces")
    recipe = {"decoder_steps": 3, "dynamics_steps": 3, "data": (recordings[0].folder,), "old": (recordings[1].folder,)}
    for name in ("whole", "pieces"):
        options = {"run": tmp_path / f"{name}-run", "out": tmp_path / name, **recipe}
        if name == "pieces":
            with ctrl_c("dynamics", 2):
                first = finetune(tmp_path / name, **options)
            assert not first.finished and first.decoder.finished and not first.dynamics.finished
        assert finetune(tmp_path / name, **options).finished
        assert finetune(tmp_path / name, **options).finished  # again, from the same weights
    whole, pieces = (Checkpoint.load(tmp_path / name) for name in ("whole", "pieces"))
    for name, value in whole.model.state_dict().items():
        assert torch.equal(value, pieces.model.state_dict()[name]), name
    assert len(whole.metadata.finetuning) == 1
    with pytest.raises(ConfigError, match=r"dynamics_steps 3, .*dynamics_steps 2; .*dynamics_steps may be raised"):
        finetune(tmp_path / "whole", run=tmp_path / "whole-run", **recipe | {"dynamics_steps": 2})


@pytest.mark.parametrize("weights", ["all", "lora"])
def test_a_finished_finetuning_goes_on_with_more_steps(checkpoint, recordings, tmp_path, weights):
    checkpoint.save(tmp_path / "before")
    options = {"data": (recordings[0].folder,), "run": tmp_path / "run", "out": tmp_path / "out", "weights": weights}
    first = finetune(tmp_path / "before", decoder_steps=1, dynamics_steps=2, **options)
    model = Checkpoint.load(first.checkpoint).model
    more = finetune(tmp_path / "before", decoder_steps=1, dynamics_steps=4, **options)
    assert (first.dynamics.steps, more.dynamics.steps, more.decoder.steps) == (2, 4, 1)
    trained = Checkpoint.load(more.checkpoint).model
    assert all(torch.equal(a, b) for a, b in zip(*(m.tokenizer.parameters() for m in (model, trained)), strict=True))
    pairs = zip(*(m.dynamics.parameters() for m in (model, trained)), strict=True)
    assert not all(torch.equal(a, b) for a, b in pairs)
    assert [one.stages["dynamics"].steps for one in Checkpoint.load(more.checkpoint).metadata.finetuning] == [4]


def test_a_model_of_latent_actions_infers_those_of_the_dataset(tmp_path):
    untrained_latent().save(tmp_path / "before")
    options = {"decoder_steps": 1, "dynamics_steps": 1, "run": tmp_path / "run"}
    report = finetune(tmp_path / "before", data=(with_actions(tmp_path / "data", ["A", "B"]),), **options)
    after = Checkpoint.load(report.checkpoint)
    assert report.checkpoint == tmp_path / "run" / "checkpoint"
    assert [action["meaning"] for action in after.game["actions"]] == [f"LATENT {i}" for i in range(5)]
    assert after.model.dynamics.config.num_actions == 5 and after.model.latent_actions is not None


def of_preset(checkpoint: Checkpoint, preset: str) -> Checkpoint:
    return replace(checkpoint, metadata=replace(checkpoint.metadata, preset=preset))


@pytest.mark.parametrize(
    "make",
    [lambda: untrained(window=6), lambda: of_preset(untrained_conv(), "tiny"), untrained_latent, untrained_upscaled],
    ids=["transformer", "convolutional", "latent", "upscaled"],
)
def test_every_kind_of_checkpoint_is_finetuned(make, recordings, tmp_path):
    make().save(tmp_path / "before")
    folders = tuple(one.folder for one in recordings[2:])
    steps = {"decoder_steps": 1, "dynamics_steps": 1}
    report = finetune(tmp_path / "before", data=folders, run=tmp_path / "run", out=tmp_path / "after", **steps)
    before, after = Checkpoint.load(tmp_path / "before"), Checkpoint.load(report.checkpoint)
    assert after.model.dynamics.config == before.model.dynamics.config and len(after.metadata.finetuning) == 1
    kept, tuned = ({**one.model.tokenizer.state_dict()} for one in (before, after))
    encoder = [name for name in kept if name.startswith("encoder")]
    assert encoder and all(torch.equal(kept[name], tuned[name]) for name in encoder)  # tokens keep their meaning
    weights, tuned = (one.model.dynamics.state_dict() for one in (before, after))
    assert any(not torch.equal(weights[name], tuned[name]) for name in weights)


def test_a_dataset_without_actions_is_refused(checkpoint, tmp_path):
    folder = with_actions(tmp_path / "data", ["A", "B"])
    header = json.loads((folder / "recording.json").read_text())
    header["runs"][0]["no_actions"] = True
    (folder / "recording.json").write_text(json.dumps(header))
    with pytest.raises(ConfigError, match="was recorded without actions"):
        finetune_checkpoint(checkpoint, [EpisodeDataset(folder)], FinetuneConfig(), tmp_path / "run")


def test_a_games_name_leads_nowhere_else(checkpoint, recordings, tmp_path):
    """It is part of the run's folder."""
    folder = Path(shutil.copytree(recordings[0].folder, tmp_path / "data"))
    header = json.loads((folder / "recording.json").read_text())
    header["game"]["name"] = "../../elsewhere"
    (folder / "recording.json").write_text(json.dumps(header))
    checkpoint.save(tmp_path / "model")
    with pytest.raises(DataError, match="elsewhere"):
        finetune(tmp_path / "model", data=(folder,))
