"""AutoExplore against NumPy and against the layout of training clips; what it must not depend on."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from genie_gym.errors import ConfigError
from genie_gym.models.maskgit import num_masked_after
from genie_gym.models.transformer import with_drafts
from genie_gym.models.uncertainty import token_entropy
from genie_gym.rewards.autoexplore import AutoExplore
from genie_gym.utils.images import to_model
from genie_gym.world_model import WorldModel
from tests.conftest import reward_by_numpy, untrained


@pytest.fixture(scope="module")
def model() -> WorldModel:
    return untrained(window=6).model


@pytest.fixture(scope="module")
def windows() -> tuple[torch.Tensor, torch.Tensor]:
    g = torch.Generator().manual_seed(0)
    frames = torch.randint(256, (6, 5, 64, 64, 3), dtype=torch.uint8, generator=g)
    return frames, torch.randint(4, (6, 4), generator=g)


@pytest.mark.parametrize(("context", "horizon"), [(2, 3), (3, 2), (2, 1), (1, 4)])
def test_reward_is_that_of_a_training_clip_with_masked_past(model, windows, context, horizon):
    """Independent of AutoExplore's own forward pass: all frames are drafts in one pass, as in the training loss."""
    frames, actions = windows[0], windows[1][:, : context + horizon - 1]
    dynamics = model.dynamics
    with torch.inference_mode():
        tokens = model.tokenizer.encode(frames.permute(0, 1, 4, 2, 3).float() / 255)[:, : context + horizon]
        past = tokens.clone()
        past[:, context:] = dynamics.mask_token
        prev_actions = torch.cat([torch.full((6, 1), -1), actions], 1)
        past = past[:, :-1]
        drafts = torch.full_like(past, dynamics.mask_token)
        embedded = with_drafts(dynamics.embeddings(past), dynamics.embeddings(drafts), dynamics.one_hot(prev_actions))
        logits = dynamics.to_logits(dynamics.transformer(embedded)[:, -1])
    got = AutoExplore(model, context, horizon).score(frames, actions)
    np.testing.assert_allclose(got.reward.numpy(), reward_by_numpy(logits.numpy()), rtol=1e-3)
    np.testing.assert_allclose(got.map.flatten(1).numpy(), token_entropy(logits).numpy(), rtol=1e-3)
    assert got.map.shape == (6, 4, 4) and got.reward.dtype == torch.float32
    assert got.reward.std() > 1e-3  # windows differ


@pytest.mark.slow
def test_compiled_scores_equal_eager_ones_with_a_single_graph(model, windows):
    eager, fast = AutoExplore(model), AutoExplore(model, compile=True)
    torch._dynamo.utils.counters.clear()
    for rows in (slice(0, 6), slice(4, 6), slice(1, 2)):
        frames, actions = windows[0][rows], windows[1][rows]
        expected, got = eager.score(frames, actions), fast.score(frames, actions)
        torch.testing.assert_close(got.reward, expected.reward, rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(got.map, expected.map, rtol=1e-4, atol=1e-4)
    assert torch._dynamo.utils.counters["stats"]["unique_graphs"] == 1


def test_failed_compilation_warns_once_and_scores_stay_the_same(model, windows, monkeypatch):
    def fail(*args, **options):
        def run(*given):
            raise torch._dynamo.exc.TorchDynamoException("no compiler\nand a long story")

        return run

    monkeypatch.setattr("torch.compile", fail)
    reward = AutoExplore(model, compile=True)
    with pytest.warns(RuntimeWarning, match=r"scoring is not compiled \(no compiler\) .* leave compile out") as caught:
        scores = [reward.score(windows[0][:n], windows[1][:n]).reward for n in (6, 3)]
    assert len(caught) == 1
    expected = AutoExplore(model).score(*windows).reward
    assert torch.equal(scores[0], expected) and torch.allclose(scores[1], expected[:3], atol=1e-5)


def handmade() -> WorldModel:
    """A stand-in model whose logits, v(place) and 0 for two codes, reveal the position of each token and action."""

    def features(past, drafts, actions):
        visible = torch.where(past < 0, torch.tensor(0.0), past.float())[:, :, 0]  # (N, t)
        places = 0.01 * torch.arange(1, past.shape[1] + 1)
        value = (visible * places).sum(1) + (actions * 0.1 * torch.arange(1, actions.shape[1] + 1)).sum(1)
        value = value[:, None] + 0.2 * torch.arange(drafts.shape[2])
        return value[:, None, :, None].expand(-1, past.shape[1] + 1, -1, -1)

    def encode(frames):  # the token is the red of the frame
        return (frames[:, :, 0, 0, :1] * 255).round().long().expand(-1, -1, 4)

    dynamics = SimpleNamespace(
        config=SimpleNamespace(window=8, side=2),
        mask_token=-9,
        features=features,
        to_logits=lambda x: torch.cat([x, torch.zeros_like(x)], -1),
    )
    tokenizer = SimpleNamespace(encode=encode)
    return SimpleNamespace(dynamics=dynamics, tokenizer=tokenizer, device=torch.device("cpu"), dtype=torch.float32)


def expected_handmade(colours: list[int], actions: list[int]) -> float:
    """The reward of `handmade` for two colours and four actions, by equations 2 to 4."""
    value = 0.01 * colours[0] + 0.02 * colours[1] - 0.1
    value += sum(0.1 * (i + 2) * action for i, action in enumerate(actions))
    logits = np.array([[value + 0.2 * i, 0] for i in range(4)], np.float32)
    return float(reward_by_numpy(logits[None])[0])


@pytest.mark.parametrize("actions", [[0, 0, 0, 0], [1, 0, 0, 0], [0, 0, 0, 1], [1, 2, 3, 0], [0, 3, 2, 1]])
def test_each_action_belongs_to_the_frame_it_leads_to(actions):
    frames = torch.zeros(1, 2, 4, 4, 3, dtype=torch.uint8)
    frames[:, 0], frames[:, 1] = 7, 20
    got = AutoExplore(handmade()).score(frames, torch.tensor([actions]))
    assert float(got.reward[0]) == pytest.approx(expected_handmade([7, 20], actions), rel=1e-5)


def test_every_action_of_the_window_matters(model, windows):
    frames, actions = windows
    scorer = AutoExplore(model)
    before = scorer.score(frames, actions).map
    for i in range(4):
        changed = actions.clone()
        changed[:, i] = (changed[:, i] + 1) % 4
        assert ((scorer.score(frames, changed).map - before).abs().amax((1, 2)) > 1e-4).all(), i


def test_only_context_frames_matter(model, windows):
    frames, actions = windows
    scorer = AutoExplore(model)
    reward = scorer.score(frames, actions).reward
    assert torch.equal(scorer.score(frames[:, :2], actions).reward, reward)
    for i in range(2):
        changed = frames.clone()
        changed[:, i] = 255 - changed[:, i]
        assert not torch.allclose(scorer.score(changed, actions).reward, reward, atol=1e-4)


@pytest.mark.parametrize("sampling_steps", [1, 3])
def test_neither_batch_nor_order_matters(model, windows, sampling_steps):
    frames, actions = windows
    scorer = AutoExplore(model, sampling_steps=sampling_steps)
    together = scorer.score(frames, actions)
    order = torch.tensor([3, 0, 5, 1, 4, 2])
    shuffled = scorer.score(frames[order], actions[order])
    torch.testing.assert_close(shuffled.map, together.map[order], atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(shuffled.reward, together.reward[order], atol=1e-5, rtol=1e-5)
    for i in range(6):
        alone = scorer.score(frames[i : i + 1], actions[i : i + 1])
        torch.testing.assert_close(alone.reward, together.reward[i : i + 1], atol=1e-5, rtol=1e-5)


def test_scoring_neither_trains_nor_draws_random_numbers(model, windows):
    before = {name: value.clone() for name, value in model.state_dict().items()}
    state = torch.get_rng_state()
    scorer = AutoExplore(model, sampling_steps=2)
    first, second = scorer.score(*windows), scorer.score(*windows)
    assert torch.equal(first.map, second.map)
    assert scorer.update(*windows) == {} and not scorer.learns
    assert torch.equal(state, torch.get_rng_state())
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    assert not model.training


@torch.no_grad()
def test_refinement_unmasks_the_most_confident_first(model, windows):
    frames, actions = windows
    reward = AutoExplore(model)
    single, double = (
        AutoExplore(model, sampling_steps=sampling_steps).score(frames, actions).map.flatten(1)
        for sampling_steps in (1, 2)
    )
    context = model.tokenizer.encode(to_model(frames[:, : reward.context]))
    prev_actions = torch.cat([torch.full((len(actions), 1), -1), actions], 1)
    first = reward._logits(context, torch.full_like(context[:, 0], model.dynamics.mask_token), prev_actions)
    confident = first.softmax(-1).amax(-1).topk(16 - num_masked_after(0, 2, 16)).indices
    assert torch.isclose(single, double, atol=1e-6).gather(1, confident).all()


def test_refinement_keeps_unmasked_tokens_and_refines_the_rest(model, windows):
    single, double = (AutoExplore(model, sampling_steps=count).score(*windows).map.flatten(1) for count in (1, 2))
    kept = torch.isclose(single, double, atol=1e-6).sum(1)
    assert (kept >= 16 - num_masked_after(0, 2, 16)).all()  # the most confident tokens, unmasked by the first pass
    assert (kept < 16).all()  # the others are scored again, given those


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"context": 0}, "context and sampling_steps must be 1 or more; got 0 and 1"),
        ({"sampling_steps": 0}, "context and sampling_steps must be 1 or more; got 2 and 0"),
        ({"horizon": 0}, r"horizon must lie in 1 .. 5, within the model's attention window; got 0"),
        ({"horizon": 6}, r"horizon must lie in 1 .. 5"),
        ({"quantile": 1.5}, r"quantile must lie in \[0, 1\]; got 1.5"),
    ],
)
def test_options_out_of_range(model, options, words):
    with pytest.raises(ConfigError, match=words):
        AutoExplore(model, **options)


def test_windows_of_another_length(model, windows):
    with pytest.raises(ConfigError, match=r"2 frames and the 4 actions .* got 5 frames and 3 actions"):
        AutoExplore(model).score(windows[0], windows[1][:, :3])


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_cpu_and_cuda_agree(windows):
    on_cpu, on_cuda = untrained(window=6).model, untrained(window=6).model.to("cuda")
    torch.testing.assert_close(
        AutoExplore(on_cpu).score(*windows).map, AutoExplore(on_cuda).score(*windows).map, atol=1e-3, rtol=1e-3
    )
