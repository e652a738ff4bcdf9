"""Other uncertainties than the paper's, on a small model whose predictions are known in closed form."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from genie_gym.errors import ConfigError
from genie_gym.models.uncertainty import action_information
from genie_gym.rewards.autoexplore import AutoExplore
from genie_gym.rewards.config import RewardConfig
from tests.conftest import untrained, untrained_conv

ACTIONS = 5


def two_codes(gain: float, noise: float, round_trip: dict[int, int]) -> SimpleNamespace:
    """A model of frames of four tokens of two codes.

    Token 0 depends on the last action, tokens 1 to 3 on nothing; tokens 2 and 3 are likely code 1. Encoding a decoded
    code gives the code of `round_trip`.
    """

    def features(past, drafts, actions):
        last = actions[:, -1].float()
        logits = torch.stack([gain * last, torch.full_like(last, noise), *[torch.full_like(last, -2.0)] * 2], -1)
        return logits[:, None, :, None].expand(-1, past.shape[1] + 1, -1, -1)

    def decode(tokens):
        return tokens.float()[:, :, None, None, :].expand(-1, -1, 3, 1, -1)

    def encode(frames):
        codes = (frames[:, :, 0, 0, :4] > 0.5).long()
        return torch.tensor([round_trip[int(code)] for code in codes.flatten()]).reshape(codes.shape)

    config = SimpleNamespace(window=8, side=2, num_actions=ACTIONS)
    to_logits = lambda x: torch.cat([x, torch.zeros_like(x)], -1)  # noqa: E731
    dynamics = SimpleNamespace(config=config, mask_token=-9, features=features, to_logits=to_logits)
    tokenizer = SimpleNamespace(encode=encode, decode=decode)
    return SimpleNamespace(dynamics=dynamics, tokenizer=tokenizer, device=torch.device("cpu"), dtype=torch.float32)


def windows(n: int = 3) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    frames = torch.randint(256, (n, 2, 4, 4, 3), dtype=torch.uint8, generator=generator)
    return frames, torch.randint(ACTIONS, (n, 4), generator=generator)


def binary_entropy(p: np.ndarray) -> np.ndarray:
    return -(p * np.log2(p) + (1 - p) * np.log2(1 - p)) * 2  # 2 H / ln 2, from 0 to 2


@pytest.mark.parametrize("sample", [2, 3, 5, 9])
def test_the_actions_information_is_that_of_the_formula(sample):
    score = AutoExplore(
        two_codes(0.7, 0.3, {0: 0, 1: 1}), uncertainty="action_information", action_sample=sample, quantile=0.75
    ).score(*windows())
    actions = np.round(np.linspace(0, ACTIONS - 1, min(sample, ACTIONS)))
    p = 1 / (1 + np.exp(-0.7 * actions))
    expected = binary_entropy(p.mean()) - binary_entropy(p).mean()
    np.testing.assert_allclose(score.map.flatten(1).numpy(), [[expected, 0, 0, 0]] * 3, atol=1e-5)
    np.testing.assert_allclose(score.reward.numpy(), [expected] * 3, atol=1e-5)


def test_what_moves_by_itself_has_entropy_but_no_information():
    logits = torch.randn(4, 6, 16, 32, generator=torch.Generator().manual_seed(0))
    alike = logits[:1].expand(4, -1, -1, -1)
    assert float(action_information(alike).max()) < 1e-5 and float(action_information(logits).min()) > 0
    certain = 100 * torch.eye(4)[:, None, None]  # each of four actions leads to a code of its own, of four
    assert float(action_information(certain)) == pytest.approx(2, abs=1e-4)


@pytest.mark.parametrize(
    ("round_trip", "changed"), [({0: 0, 1: 1}, 0), ({0: 1, 1: 1}, 0.5), ({0: 0, 1: 0}, 0.5), ({0: 1, 1: 0}, 1)]
)
def test_the_round_trip_counts_the_predicted_tokens_that_change(round_trip, changed):
    frames, actions = windows()
    actions[:, -1] = 4
    score = AutoExplore(two_codes(0.7, 0.3, round_trip), uncertainty="round_trip").score(frames, actions)
    assert score.reward.tolist() == [changed] * 3  # tokens 0 and 1 are likely code 0, the others code 1
    assert set(score.map.flatten().tolist()) <= {0.0, 1.0}


@pytest.mark.parametrize("kind", ["entropy", "action_information", "round_trip"])
@pytest.mark.parametrize("make", [untrained, untrained_conv])
def test_every_kind_scores_every_architecture_whatever_else_is_in_the_batch(make, kind):
    model = make().model
    generator = torch.Generator().manual_seed(0)
    size = model.tokenizer.config.size
    frames = torch.randint(256, (3, 2, size, size, 3), dtype=torch.uint8, generator=generator)
    actions = torch.randint(4, (3, 3), generator=generator)
    reward = AutoExplore(model, horizon=2, uncertainty=kind)
    score = reward.score(frames, actions)
    assert torch.isfinite(score.reward).all() and (score.reward >= 0).all() and (score.reward <= 2).all()
    torch.testing.assert_close(reward.score(frames[1:2], actions[1:2]).reward, score.reward[1:2], rtol=1e-3, atol=1e-4)
    others = torch.cat([actions[:, :1], (actions[:, 1:] + 1) % 4], 1)  # since the context
    same = torch.allclose(reward.score(frames, others).reward, score.reward)
    assert same == (kind == "action_information") or kind == "round_trip"


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"uncertainty": "surprise"}, "entropy, action_information, round_trip"),
        ({"habituation": "often"}, "none, episodic, lifelong, both"),
        ({"action_sample": 1}, "action.sample"),
        ({"hash_bits": 0}, "hash.bits"),
        ({"hash_bits": 63}, "hash.bits"),
        ({"uncertainty": "action_information", "sampling_steps": 2}, "sampling_steps"),
        ({"reward": "rnd", "habituation": "both"}, "autoexplore"),
        ({"reward": "none", "uncertainty": "round_trip"}, "autoexplore"),
    ],
)
def test_wrong_options_are_told(options, told):
    with pytest.raises(ConfigError, match=told):
        RewardConfig(**options)
