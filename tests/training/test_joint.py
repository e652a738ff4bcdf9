"""Latent actions and dynamics fitted together: losses added, the codes told, and no gradient between the two."""

from pathlib import Path

import numpy as np
import pytest
import torch

from genie_gym import data
from genie_gym.models.dynamics import Dynamics, DynamicsConfig
from genie_gym.models.lam import LatentActionConfig, LatentActionModel
from genie_gym.models.tokenizer import Tokenizer, TokenizerConfig
from genie_gym.training.joint import _JointModel, _RelabelledWindows, train_jointly
from genie_gym.training.loop.config import TrainerConfig
from genie_gym.training.stages import draw_windows, token_batch
from genie_gym.utils.images import to_model
from tests.conftest import chosen_codes, excited

SIZES = {"dim": 8, "heads": 1, "window": 3}


@pytest.fixture
def clips(tmp_path: Path) -> data.SequenceDataset:
    """Two episodes of sliding blocks, without actions."""
    rng = np.random.default_rng(0)
    with data.EpisodeWriter(tmp_path / "data", {"game": {"name": "Toy-Numpy"}, "actions": ["NOOP"]}) as writer:
        for length in (12, 15):
            blocks = rng.integers(0, 256, (4, 4, 3), np.uint8).repeat(16, 0).repeat(16, 1)
            frames = np.stack([np.roll(blocks, t * (3 - t % 7), 1) for t in range(length)])
            writer.append(data.Episode(frames, np.zeros(length - 1, np.int64), np.zeros(length - 1, np.float32)))
    return data.SequenceDataset(data.EpisodeDataset(tmp_path / "data"), 6)


@pytest.fixture
def tokenizer() -> Tokenizer:
    return excited(
        Tokenizer(TokenizerConfig(patch=16, codes=16, code_dim=4, encoder_blocks=1, decoder_blocks=1, **SIZES))
    )


@pytest.fixture
def joint(clips: data.SequenceDataset) -> _JointModel:
    latent = LatentActionModel(
        LatentActionConfig(5, patch=16, encoder_blocks=1, decoder_blocks=1, drawing_dim=8, warmup=2, **SIZES)
    )
    dynamics = excited(Dynamics(DynamicsConfig(5, blocks=1, side=4, codes=16, code_dim=4, **SIZES)))
    frames = to_model(torch.from_numpy(next(clips.in_order(4))["frames"]))
    return _JointModel(chosen_codes(excited(latent), frames), dynamics).eval()


@pytest.fixture
def batch(clips: data.SequenceDataset, tokenizer: Tokenizer) -> dict[str, torch.Tensor]:
    windows = next(clips.in_order(4))
    frames = to_model(torch.from_numpy(windows["frames"]))
    return token_batch(tokenizer, windows, 0, 6, "float32") | {"frames": frames}


def test_the_loss_is_the_sum_with_the_codes_as_actions(joint, batch):
    torch.manual_seed(0)
    loss, metrics = joint(batch)
    codes = joint.latent_actions.codes(batch["frames"])
    assert len(codes.unique()) > 1
    torch.manual_seed(0)
    told = torch.cat([torch.full((4, 1), -1), codes], 1)
    apart = joint.latent_actions(batch)[0] + joint.dynamics(batch | {"actions": told})[0]
    assert loss.item() == pytest.approx(apart.item(), rel=1e-5)
    assert metrics.keys() >= {"mse", "codes", "cross_entropy", "accuracy_changed"}


def test_no_gradient_goes_from_the_dynamics_to_the_codes(joint, batch):
    joint(batch)[0].backward()
    together = [p.grad.clone() for p in joint.latent_actions.parameters() if p.grad is not None]
    assert sum(gradient.abs().sum() for gradient in together) > 0
    joint.zero_grad()
    joint.latent_actions(batch)[0].backward()
    alone = [p.grad for p in joint.latent_actions.parameters() if p.grad is not None]
    assert all(torch.allclose(a, b) for a, b in zip(together, alone, strict=True))


def test_codes_are_told_once_there_is_a_codebook(joint, batch, monkeypatch):
    told = []
    dynamics = joint.dynamics.forward
    monkeypatch.setattr(joint.dynamics, "forward", lambda one: told.append(one["actions"]) or dynamics(one))
    joint.train()
    for _ in range(3):  # the warm-up is two steps long
        joint(batch)
    assert [bool((actions[:, 1:] >= 0).all()) for actions in told] == [False, False, True]
    assert all((actions[:, 0] == -1).all() for actions in told)


def test_pictures_and_tokens_are_of_the_same_frames(joint, tokenizer, clips, tmp_path, monkeypatch):
    caught, seen = {}, []
    monkeypatch.setattr(
        "genie_gym.training.joint.run_training", lambda model, sample, *_, **__: caught.update(sample=sample)
    )
    monkeypatch.setattr(
        "genie_gym.training.joint.draw_windows", lambda *args: seen.append(draw_windows(*args)) or seen[-1]
    )
    config = TrainerConfig(steps=1, precision="float32")
    train_jointly(joint.latent_actions, joint.dynamics, tokenizer, clips, clips, config, tmp_path, (4,))
    rng = np.random.default_rng(0)
    for _ in range(20):
        frames = caught["sample"](rng, 2)["frames"]
        windows, start, stop = seen[-1]
        assert torch.equal(frames, to_model(torch.from_numpy(windows["frames"][:, start:stop])))
    assert any(start for _, start, _ in seen)


def test_validation_is_under_the_codes_of_each_window(joint, clips):
    for mine, theirs in zip(
        _RelabelledWindows(clips, joint.latent_actions).in_order(3), clips.in_order(3), strict=True
    ):
        frames = to_model(torch.from_numpy(theirs["frames"]))
        np.testing.assert_array_equal(mine["actions"], joint.latent_actions.codes(frames).numpy())
        np.testing.assert_array_equal(mine["frames"], theirs["frames"])


def test_both_learn_and_the_tokenizer_does_not(joint, tokenizer, clips, tmp_path):
    before = {name: value.clone() for name, value in joint.state_dict().items()}
    frozen = {name: value.clone() for name, value in tokenizer.state_dict().items()}
    config = TrainerConfig(steps=4, batch_size=2, warmup=1, ema_decay=0.5, precision="float32", validate_every=4)
    report = train_jointly(
        joint.latent_actions, joint.dynamics, tokenizer, clips, clips, config, tmp_path / "run", (4, 6)
    )
    assert report.finished and report.metrics.keys() >= {"latent_psnr", "latent_perplexity", "cross_entropy"}
    changed = [name for name, value in joint.state_dict().items() if not torch.equal(value, before[name])]
    assert {"latent_actions.to_code.weight", "dynamics.to_logits.weight"} <= set(changed)
    assert all(torch.equal(value, frozen[name]) for name, value in tokenizer.state_dict().items())


def test_neither_model_holds_back_the_other(joint):
    """Each is clipped on its own, and together they are all that is trained."""
    mine = [parameter for model in joint.models() for parameter in model.parameters()]
    assert len(joint.models()) == 2 and {id(one) for one in mine} == {id(one) for one in joint.parameters()}
