"""Rewards on a symlog scale and ends: the coding, its inverse, and the loss against numpy."""

import numpy as np
import pytest
import torch

from genie_gym.models.heads import OutcomeHeads, symexp, symlog, two_hot
from tests.conftest import excited

REWARDS = [0.0, 1.0, -1.0, 0.3, 10.0, -250.0, 1000.0, 20_000.0]


def test_symlog_and_back():
    x = torch.tensor([*REWARDS, 1e-4, -1e-4], dtype=torch.float64)
    expected = np.sign(x.numpy()) * np.log(np.abs(x.numpy()) + 1)
    np.testing.assert_allclose(symlog(x), expected, rtol=1e-12)
    torch.testing.assert_close(symexp(symlog(x)), x)


def test_two_hot_has_the_value_as_its_mean():
    bins = torch.linspace(-10, 10, 41, dtype=torch.float64)
    x = torch.cat([torch.linspace(-10, 10, 333, dtype=torch.float64), bins]).reshape(2, -1)
    coded = two_hot(x, bins)
    assert (coded >= 0).all() and ((coded > 0).sum(-1) <= 2).all()
    torch.testing.assert_close(coded.sum(-1), torch.ones_like(x))
    torch.testing.assert_close(coded @ bins, x)


def test_values_beyond_the_bins_are_clipped():
    bins = torch.linspace(-2, 2, 5)
    torch.testing.assert_close(two_hot(torch.tensor([-9.0, 9.0]), bins), torch.eye(5)[[0, 4]])


def test_a_head_that_reached_its_target_expects_the_reward(monkeypatch):
    heads, rewards = OutcomeHeads(8), torch.tensor(REWARDS)
    logits = torch.zeros(len(REWARDS), 41, requires_grad=True)
    monkeypatch.setattr(heads, "forward", lambda features, codes: (logits, torch.zeros(len(REWARDS))))
    loss, _ = heads.loss(torch.empty(0), torch.empty(0), rewards, rewards > 0)
    (gradient,) = torch.autograd.grad(loss, logits)  # of a cross-entropy: (softmax - target) / rows
    target = logits.softmax(-1).detach() - len(REWARDS) * gradient
    expected = heads.expected(target.double().clamp(min=1e-12).log())
    torch.testing.assert_close(expected, rewards, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("code_dim", [None, 4])
def test_loss_against_numpy(code_dim):
    heads = excited(OutcomeHeads(8, code_dim=code_dim))
    features = torch.randn(2, 3, 5, 8, generator=torch.Generator().manual_seed(1))
    rewards = torch.tensor([[0.0, 1.0, -3.0], [100.0, 0.2, 0.0]])
    ends = torch.tensor([[False, False, True], [False, True, False]])
    codes = torch.randn(2, 3, 5, 4, generator=torch.Generator().manual_seed(2))
    reward_loss, end_loss = heads.loss(features, codes, rewards, ends)
    reward, end = (x.detach().numpy().astype(float) for x in heads(features, codes))

    even = np.linspace(-10, 10, 41)
    values = np.sign(even) * np.expm1(np.abs(even))
    hats = [np.interp(rewards.numpy(), values, row) for row in np.eye(41)]  # 1 at a value, 0 at the others
    target = np.stack(hats, -1)
    log_p = reward - np.log(np.exp(reward).sum(-1, keepdims=True))
    assert reward_loss.item() == pytest.approx(-(target * log_p).sum(-1).mean(), rel=1e-4)
    p = 1 / (1 + np.exp(-end))
    assert end_loss.item() == pytest.approx(-np.where(ends.numpy(), np.log(p), np.log(1 - p)).mean(), rel=1e-4)


@pytest.mark.parametrize("code_dim", [None, 4])
def test_starts_by_expecting_nothing(code_dim):
    heads = OutcomeHeads(8, code_dim=code_dim)
    reward, end = heads(torch.randn(4, 5, 8), torch.randn(4, 5, 4))
    torch.testing.assert_close(heads.expected(reward), torch.zeros(4), atol=1e-2, rtol=0)
    assert (end == 0).all()


def test_learns_a_reward_and_an_end_it_can_see():
    torch.manual_seed(0)
    heads = OutcomeHeads(8)
    optimizer = torch.optim.Adam(heads.parameters(), 0.02)
    rewards, ends = torch.tensor([0.0, 1.0, -1.0, 5.0]), torch.tensor([False, False, True, False])
    features, no_codes = torch.randn(4, 6, 8), torch.zeros(4, 6, 4)
    for _ in range(300):
        optimizer.zero_grad()
        sum(heads.loss(features, no_codes, rewards, ends)).backward()
        optimizer.step()
    reward, end = heads(features, no_codes)
    torch.testing.assert_close(heads.expected(reward), rewards, atol=0.15, rtol=0.1)
    assert torch.equal(end > 0, ends)


def test_learns_an_end_that_only_the_frame_shows():
    """Two frames of which all the same was to be expected, in one of them a token that ends the episode."""
    torch.manual_seed(0)
    heads = OutcomeHeads(8, code_dim=4)
    optimizer = torch.optim.Adam(heads.parameters(), 0.02)
    features = torch.randn(1, 6, 8).expand(12, 6, 8)
    codes = torch.randn(9, 4)[torch.randint(8, (12, 6))]  # any tokens but the last one
    ends = torch.arange(12) < 6
    codes[torch.arange(6), torch.arange(6)] = torch.randn(4)  # anywhere in the frame
    for _ in range(300):
        optimizer.zero_grad()
        heads.loss(features, codes, torch.zeros(12), ends)[1].backward()
        optimizer.step()
    assert torch.equal(heads(features, codes)[1] > 0, ends)
