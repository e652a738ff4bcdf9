"""The space-time transformer: causality, drafts, and the cache against the whole pass."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from genie_gym.errors import ConfigError
from genie_gym.models.transformer import (
    Attention,
    Frames,
    PositionEncodingGenerator,
    SpaceTimeTransformer,
    TransformerConfig,
    alibi_slopes,
    history,
    with_drafts,
)
from tests.conftest import excited


@pytest.fixture(params=[False, True], ids=["space first", "time first"])
def net(request) -> SpaceTimeTransformer:
    config = TransformerConfig(dim=16, blocks=2, heads=2, side=2, window=3, num_actions=3, time_first=request.param)
    return excited(SpaceTimeTransformer(config))


def clip(frames: int, batch: int = 2, seed: int = 1) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    tokens = torch.randn(batch, frames, 4, 16, generator=generator)
    actions = F.one_hot(torch.randint(3, (batch, frames), generator=generator), 3).float()
    return tokens, actions


@pytest.mark.parametrize("wrong", [{"window": 0}, {"window": "3"}, {"blocks": 1.5}, {"heads": 3}])
def test_a_size_that_no_transformer_has_is_named(wrong):
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        TransformerConfig(**{"dim": 16} | wrong)


def test_who_sees_whom_and_at_what_price():
    """ALiBi by hand: history sees the window up to itself, a draft the window before it and itself."""
    net = SpaceTimeTransformer(TransformerConfig(dim=16, blocks=1, heads=2, side=2, window=3))
    times, tokens = [0, 1, 2, 3, 4, 3, 4, 5], torch.zeros(1, 5, 4, 16)  # five of history, then drafts of the last three
    expected = torch.full((2, 8, 8), float("-inf"))
    for query, key in np.ndindex(8, 8):
        age, draft = times[query] - times[key], query >= 5
        if (key < 5 and draft <= age < 3) or (draft and query == key):
            expected[:, query, key] = -age * alibi_slopes(2)
    assert torch.equal(net.bias(with_drafts(tokens, tokens[:, :3]), None)[0], expected)


@torch.no_grad()
def test_a_later_frame_changes_nothing_before_it(net):
    tokens, actions = clip(6)
    changed = tokens.clone()
    changed[:, 4] += 1
    before, after = net(history(tokens, actions)), net(history(changed, actions))
    assert torch.equal(before[:, :4], after[:, :4])
    assert not torch.allclose(before[:, 4], after[:, 4])


@torch.no_grad()
def test_frames_beyond_the_reach_of_all_blocks_are_forgotten(net):
    # Each block looks back window - 1 frames by attention and 2 + 2 by convolution: 2 * (2 + 4) = 12.
    tokens, actions = clip(14)
    changed = tokens.clone()
    changed[:, 0] += 1
    before, after = net(history(tokens, actions)), net(history(changed, actions))
    assert torch.allclose(before[:, 13], after[:, 13], atol=1e-6)
    assert not torch.allclose(before[:, 5], after[:, 5], atol=1e-6)


@torch.no_grad()
@pytest.mark.parametrize("drafted", [1, 3, 5])
def test_a_draft_equals_the_last_frame_of_a_clip_that_ends_with_it(net, drafted):
    tokens, actions = clip(6)
    drafts, _ = clip(drafted, seed=2)
    together = net(with_drafts(tokens[:, :5], drafts, actions))
    assert together.shape == drafts.shape
    for i, t in enumerate(range(6 - drafted, 6)):
        alone = torch.cat([tokens[:, :t], drafts[:, i : i + 1]], 1)
        expected = net(history(alone, actions[:, : t + 1]))[:, t]
        assert torch.allclose(together[:, i], expected, atol=1e-5)


@torch.no_grad()
def test_cached_steps_equal_the_whole_pass_beyond_the_window(net):
    tokens, actions = clip(9)
    whole = net(history(tokens, actions))
    cache = net.new_cache(2)
    first = net(history(tokens[:, :4], actions[:, :4]), cache)
    assert torch.allclose(first, whole[:, :4], atol=1e-5)
    for t in range(4, 9):
        step = net(history(tokens[:, t : t + 1], actions[:, t : t + 1]), cache)
        assert torch.allclose(step[:, 0], whole[:, t], atol=1e-5)


@torch.no_grad()
def test_a_draft_reads_the_cache_and_leaves_no_trace_in_it(net):
    tokens, actions = clip(6)
    drafts, _ = clip(1, seed=2)
    cache = net.new_cache(2)
    net(history(tokens[:, :4], actions[:, :4]), cache)
    # commits frame 4 and drafts frame 5 in one pass, then drafts frame 5 again alone
    both = net(Frames(torch.cat([tokens[:, 4:5], drafts], 1), 1, actions[:, 4:6]), cache)
    again = net(Frames(drafts, 0, actions[:, 5:6]), cache)
    expected = net(history(torch.cat([tokens[:, :5], drafts], 1), actions))[:, 5]
    assert torch.allclose(both[:, 0], expected, atol=1e-5)
    assert torch.allclose(again[:, 0], expected, atol=1e-5)
    assert cache.count.tolist() == [5, 5]


@torch.no_grad()
def test_rows_of_a_cache_are_replaced_alone(net):
    tokens, actions = clip(7)
    cache = net.new_cache(2)
    net(history(tokens[:, :5], actions[:, :5]), cache)
    fresh = net.new_cache(1)
    net(history(tokens[1:, :2], actions[1:, :2]), fresh)
    cache.put(torch.tensor([1]), fresh)
    # row 0 goes on with its sixth frame, row 1 with the third of its new clip
    step = net(
        history(torch.stack([tokens[0, 5:6], tokens[1, 2:3]]), torch.stack([actions[0, 5:6], actions[1, 2:3]])), cache
    )
    assert torch.allclose(step[0, 0], net(history(tokens[:1, :6], actions[:1, :6]))[0, 5], atol=1e-5)
    assert torch.allclose(step[1, 0], net(history(tokens[1:, :3], actions[1:, :3]))[0, 2], atol=1e-5)


@torch.no_grad()
def test_position_encoding_is_a_causal_depthwise_convolution():
    layer = excited(PositionEncodingGenerator(4, side=3))
    x = torch.randn(1, 5, 9, 4)
    out, tail = layer(Frames(x, 5), torch.zeros(1, 2, 9, 4))
    grid, weight = x.reshape(5, 3, 3, 4).numpy(), layer.conv.weight[:, 0].numpy()
    expected = grid[3, 1, 1] + layer.conv.bias.numpy()
    for dt in range(3):
        for dy in range(3):
            for dx in range(3):
                expected = expected + weight[:, dt, dy, dx] * grid[3 - 2 + dt, dy, dx]
    assert torch.allclose(out[0, 3, 4], torch.from_numpy(expected), atol=1e-5)
    assert torch.equal(tail, x[:, -2:])


@pytest.mark.parametrize("drafts", [0, 1, 2, 4])
def test_position_encoding_in_training_is_the_same_convolution(drafts):
    """By slices, as it is trained, and in three dimensions, as it is stepped: the same sums and the same gradients."""
    layer = excited(PositionEncodingGenerator(4, side=3))
    x, tail = torch.randn(2, 8, 9, 4), torch.randn(2, 2, 9, 4)
    conv = torch.nn.Conv3d(4, 4, 3, padding=(0, 1, 1), groups=4)
    conv.load_state_dict(layer.conv.state_dict())

    def convolved(clip: torch.Tensor) -> torch.Tensor:
        everything = torch.cat([tail, clip], 1).reshape(2, -1, 3, 3, 4).permute(0, 4, 1, 2, 3)
        return clip + conv(everything).permute(0, 2, 3, 4, 1).reshape(clip.shape)

    past = x[:, : 8 - drafts]
    places = range(9 - 2 * drafts, 9 - drafts)  # of the drafts in time
    last = [convolved(torch.cat([past[:, :t], x[:, 8 - drafts + i, None]], 1))[:, -1:] for i, t in enumerate(places)]
    expected = torch.cat([convolved(past), *last], 1)
    found, _ = layer(Frames(x, 8 - drafts), tail)
    assert torch.allclose(found, expected, atol=1e-5)
    weights = torch.randn_like(found)
    mine = torch.autograd.grad((weights * found).sum(), list(layer.parameters()))
    theirs = torch.autograd.grad((weights * expected).sum(), list(conv.parameters()))
    assert all(torch.allclose(a, b, rtol=1e-4, atol=1e-4) for a, b in zip(mine, theirs, strict=True))


@pytest.mark.parametrize("time", [False, True], ids=["space", "time"])
def test_attention_in_bfloat16_training_is_that_of_the_fused_kernel(time):
    layer = excited(Attention(16, heads=2))
    x, bias = torch.randn(2, 5, 9, 16), torch.randn(1, 2, 5, 5)

    def run() -> torch.Tensor:
        with torch.autocast("cpu", torch.bfloat16):
            return layer.time(x, bias, 5, None) if time else layer.space(x)

    trained = run()
    with torch.no_grad():
        stepped = run()
    exact = layer.time(x, bias, 5, None) if time else layer.space(x)
    moved = (exact - x).abs().mean()
    assert (trained - exact).abs().mean() < 0.02 * moved
    assert (stepped - exact).abs().mean() < 0.02 * moved


def test_alibi_slopes_of_eight_heads_are_those_of_the_paper():
    assert torch.allclose(alibi_slopes(8), torch.tensor([1 / 2**i for i in range(1, 9)]))


def test_recomputing_gives_the_same_gradients_and_keeps_less():
    config = TransformerConfig(dim=16, blocks=3, heads=2, side=3, window=3, num_actions=2)
    model = excited(SpaceTimeTransformer(config))
    x, drafts = torch.randn(2, 5, 9, 16), torch.randn(2, 5, 9, 16)
    actions = torch.nn.functional.one_hot(torch.randint(2, (2, 6)), 2).float()
    kept, gradients = [], []
    for recompute in (False, True):
        model.recompute, size = recompute, 0

        def keep(tensor):
            nonlocal size
            size += tensor.numel()
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
            loss = model(with_drafts(x, drafts, actions)).square().sum()
        gradients.append(torch.autograd.grad(loss, list(model.parameters())))
        kept.append(size)
    assert all(torch.allclose(a, b, rtol=1e-4, atol=1e-5) for a, b in zip(*gradients, strict=True))
    assert kept[1] < kept[0] / 5
