"""Latent actions beside true ones: where the codes go, and what the figures say of labellings known in advance."""

import numpy as np
import pytest
import torch

from genie_gym import data, games
from genie_gym.models.lam import LatentActionConfig, LatentActionModel
from genie_gym.training.loop.config import TrainerConfig
from genie_gym.training.stages import train_lam
from genie_gym.world_model.actions import latent_relabel
from genie_gym.world_model.actions.latent_relabel import (
    compare_actions,
    infer_rollout_actions,
    latent_game,
    paired_actions,
    relabel_with_latent_actions,
)
from tests.conftest import untrained_latent
from tests.toy_play import record


def test_the_game_of_latent_actions():
    spec = games.GameSpec.from_dict(latent_game(games.find("Toy").to_dict(), 12))
    assert spec.name == "Toy-Numpy" and spec.meanings == [f"LATENT {i}" for i in range(12)]
    assert spec.keys_to_action()[(ord("9"),)] == 9 and spec.actions[11].keys == ()


def test_a_recordings_codes_are_those_of_its_episodes(tmp_path, monkeypatch):
    monkeypatch.setattr(latent_relabel, "CHUNK", 7)  # episodes of many pieces
    recording, model = data.EpisodeDataset(record(tmp_path, 3, 50)), untrained_latent().model.latent_actions
    latent = relabel_with_latent_actions(recording, model)
    for index in range(3):
        frames = torch.from_numpy(recording[index].frames.astype(np.float32) / 255).permute(0, 3, 1, 2)
        assert latent.steps(index)[0].tolist() == model.codes(frames[None])[0].tolist()
    assert latent.header["actions"] == [f"LATENT {i}" for i in range(5)]
    window = data.SequenceDataset(latent, len(recording[1]), [1]).sample(np.random.default_rng(0), 1)
    assert window["actions"][0].tolist() == latent.steps(1)[0].tolist()


def test_codes_that_are_the_actions_by_other_numbers():
    actions = np.random.default_rng(0).integers(0, 4, 2000)
    agreement = compare_actions(np.array([6, 1, 7, 3])[actions], actions)
    assert agreement.nmi == pytest.approx(1) and agreement.accuracy == 1
    assert agreement.shuffled_nmi < 0.01 and agreement.shuffled_accuracy < 0.32
    assert (agreement.codes, agreement.steps) == (4, 2000)
    assert agreement.most_frequent == pytest.approx(np.bincount(actions).max() / 2000)


def test_codes_that_know_nothing():
    rng = np.random.default_rng(0)
    agreement = compare_actions(rng.integers(0, 8, 5000), rng.integers(0, 4, 5000))
    assert agreement.nmi == pytest.approx(agreement.shuffled_nmi, abs=0.01)
    assert agreement.accuracy == pytest.approx(agreement.shuffled_accuracy, abs=0.03)


def test_codes_seen_in_dreams():
    checkpoint = untrained_latent()
    latent, prompts = checkpoint.model.latent_actions, checkpoint.initial_contexts["frames"][:2].numpy()
    strips = np.random.default_rng(0).integers(0, 256, (2, 3, 4, 64, 64, 3), np.uint8)
    seen = infer_rollout_actions(prompts, strips, latent)
    assert seen.shape == (2, 3, 4) and len(np.unique(seen)) > 1
    for start, way in np.ndindex(2, 3):
        clip = torch.from_numpy(np.concatenate([prompts[start], strips[start, way]]).astype(np.float32) / 255)
        found = latent.codes(clip.permute(0, 3, 1, 2)[None])[0]
        np.testing.assert_array_equal(seen[start, way], found[-4:].numpy())


@pytest.mark.slow
def test_a_minutes_fit_finds_some_of_the_toys_actions(tmp_path):
    recording = data.EpisodeDataset(record(tmp_path / "data", 100, 120))
    train, held_out = data.split(recording)
    torch.manual_seed(0)
    sizes = LatentActionConfig(patch=16, dim=64, encoder_blocks=1, decoder_blocks=1, drawing_dim=8, warmup=100)
    model = LatentActionModel(sizes)
    config = TrainerConfig(steps=450, batch_size=8, lr=3e-3, warmup=30, validate_every=450, precision="float32")
    clips, unseen = (data.SequenceDataset(recording, 6, side, in_memory=True) for side in (train, held_out))
    report = train_lam(model, clips, unseen, config, tmp_path / "run")
    assert report.metrics["psnr"] > report.metrics["repeat_psnr"] and report.metrics["perplexity"] > 3
    more = data.EpisodeDataset(record(tmp_path / "more", 150, 120, first=100))  # by chance few steps say much
    codes, actions = paired_actions(relabel_with_latent_actions(more, model), more, range(50))
    agreement = compare_actions(codes, actions)
    assert agreement.nmi > 0.05 and agreement.shuffled_nmi < 0.005
