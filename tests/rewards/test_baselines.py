"""Baselines learn in `update` alone, and reward familiar observations less."""

import numpy as np
import pytest
import torch

from genie_gym.errors import ConfigError
from genie_gym.rewards.baselines import FeaturePredictionError, RandomNetworkDistillation
from genie_gym.rewards.networks import ObservationNormalizer

KINDS = ["random", "vae", "rnd"]


def make(kind: str, seed: int = 0, lr: float = 1e-3) -> FeaturePredictionError | RandomNetworkDistillation:
    if kind == "rnd":
        return RandomNetworkDistillation(64, dim=32, lr=lr, seed=seed)
    return FeaturePredictionError(kind, 64, 4, dim=32, lr=lr, seed=seed)


def windows(seed: int, count: int, window: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Windows of smooth random frames, which networks can tell apart."""
    g = torch.Generator().manual_seed(seed)
    coarse = torch.randint(256, (count * window, 3, 4, 4), generator=g).float()
    fine = torch.nn.functional.interpolate(coarse, (64, 64), mode="bilinear")
    frames = fine.to(torch.uint8).permute(0, 2, 3, 1).unflatten(0, (count, window))
    return frames, torch.randint(4, (count, window - 1), generator=g)


@pytest.mark.parametrize("kind", KINDS)
def test_familiar_windows_are_rewarded_less_than_new_ones(kind):
    reward = make(kind)
    old, new = windows(0, 16, reward.window), windows(1, 16, reward.window)
    for _ in range(60):
        losses = reward.update(*old)
    assert reward.learns and all(np.isfinite(loss) for loss in losses.values())
    assert reward.score(*old).reward.mean() < 0.5 * reward.score(*new).reward.mean()


@pytest.mark.parametrize("kind", KINDS)
def test_scoring_changes_nothing_and_does_not_depend_on_the_batch(kind):
    reward = make(kind)
    frames, actions = windows(0, 5, reward.window)
    before = {name: value.clone() for name, value in reward.state_dict().items()}
    together = reward.score(frames, actions).reward
    assert together.shape == (5,) and together.dtype == torch.float32 and (together > 0).all()
    order = torch.tensor([4, 2, 0, 3, 1])
    torch.testing.assert_close(reward.score(frames[order], actions[order]).reward, together[order])
    torch.testing.assert_close(reward.score(frames[1:2], actions[1:2]).reward, together[1:2])
    assert all(torch.equal(before[name], value) for name, value in reward.state_dict().items())


@pytest.mark.parametrize("kind", ["random", "vae"])
def test_the_reward_is_the_mean_squared_error_of_the_next_features(kind):
    reward = make(kind)
    frames, actions = windows(0, 3, 2)
    with torch.no_grad():
        features = [reward.features(reward.normalizer(frames[:, i])).numpy() for i in range(2)]
        predicted = reward.forward_model(torch.from_numpy(features[0]), actions[:, 0]).numpy()
    np.testing.assert_allclose(
        reward.score(frames, actions).reward, ((predicted - features[1]) ** 2).mean(1), rtol=1e-4
    )
    assert not torch.allclose(reward.score(frames, (actions + 1) % 4).reward, reward.score(frames, actions).reward)


@pytest.mark.parametrize("kind", KINDS)
def test_random_networks_stay_fixed(kind):
    reward = make(kind)
    fixed = {"random": "features.", "rnd": "target."}.get(kind)
    before = {name: value.clone() for name, value in reward.state_dict().items()}
    reward.update(*windows(0, 8, reward.window))
    for name, value in reward.state_dict().items():
        if name.startswith("normalizer"):
            continue
        assert torch.equal(before[name], value) == (fixed is not None and name.startswith(fixed)), name


def test_the_autoencoder_learns_to_reconstruct():
    reward = make("vae")
    batch = windows(0, 16, 2)
    losses = [reward.update(*batch)["autoencoder"] for _ in range(60)]
    assert np.mean(losses[-5:]) < 0.8 * losses[0]


@pytest.mark.parametrize("kind", KINDS)
def test_the_seed_decides_the_weights_and_keeps_the_global_random_state(kind):
    state = torch.get_rng_state()
    one, same, other = make(kind), make(kind), make(kind, seed=1)
    assert torch.equal(state, torch.get_rng_state())
    batch = windows(0, 4, one.window)
    assert torch.equal(one.score(*batch).reward, same.score(*batch).reward)
    assert not torch.equal(one.score(*batch).reward, other.score(*batch).reward)


def test_observations_are_normalised_by_running_statistics():
    seen = np.random.default_rng(0).normal(90, 25, (400, 8, 8, 3)).clip(0, 255).astype(np.uint8)
    normalizer = ObservationNormalizer(8)
    for part in np.split(seen, 8):
        normalizer.update(torch.from_numpy(part))
    got = normalizer(torch.from_numpy(seen[:50])).numpy()
    expected = ((seen[:50] - seen.mean(0)) / seen.std(0)).clip(-5, 5)
    np.testing.assert_allclose(got, expected.transpose(0, 3, 1, 2), atol=0.1)


def test_unknown_features():
    with pytest.raises(ConfigError, match="features must be one of random, vae; got 'wavelet'"):
        FeaturePredictionError("wavelet", 64, 4)
