"""The convolutional dynamics: the cache changes nothing, masked frames are unknown, scrolling is learned fast."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from genie_gym.models.conv.dynamics import ConvDynamics, ConvDynamicsConfig
from genie_gym.models.conv.guess import FrameGuess
from genie_gym.models.conv.matching import agreed, lagging, matches
from genie_gym.models.conv.tokenizer import ConvTokenizer, ConvTokenizerConfig
from genie_gym.models.maskgit import sample_tokens
from genie_gym.utils.precision import autocast
from tests.conftest import excited

SIZES = ConvTokenizerConfig(size=32, codes=32, encoder_width=8, width=8, fine_width=8, blocks=1)
SMALL = ConvDynamicsConfig(
    3,
    codes=32,
    side=8,
    window=3,
    action_window=5,
    memory_dim=8,
    dim=16,
    coarse_dim=16,
    coarse_blocks=1,
    shifts=2,
    action_dropout=0.0,
)


@pytest.fixture(scope="module")
def tokenizer() -> ConvTokenizer:
    torch.manual_seed(0)
    model = ConvTokenizer(SIZES)
    model.prepare(torch.rand(40, 3, 32, 32))
    return model.eval()


@pytest.fixture
def model(tokenizer) -> ConvDynamics:
    torch.manual_seed(0)
    dynamics = excited(ConvDynamics(SMALL), 0.2)
    dynamics.adopt_codebook(tokenizer)
    return dynamics.eval()


def clips(b: int = 2, t: int = 7, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    rng = np.random.default_rng(seed)
    actions = torch.from_numpy(rng.integers(0, 3, (b, t)))
    actions[:, 0] = -1
    return torch.from_numpy(rng.integers(0, 32, (b, t, 64))), actions


@torch.no_grad()
def test_frame_by_frame_with_a_cache_as_all_at_once(model):
    tokens, actions = clips()
    drafts = torch.full_like(tokens[:, 1:], model.mask_token)
    together = model.draft_features(tokens[:, :-1], drafts, actions)
    cache, one_by_one = model.new_cache(2), []
    for i in range(6):
        one_by_one.append(model.features(tokens[:, i : i + 1], drafts[:, i : i + 1], actions[:, i : i + 2], cache))
    assert torch.allclose(torch.cat(one_by_one, 1), together, atol=1e-3)
    assert cache.count.tolist() == [6, 6]


@torch.no_grad()
def test_a_further_pass_sees_the_draft_and_the_same_past(model):
    tokens, actions = clips()
    cache = model.new_cache(2)
    draft = torch.full_like(tokens[:, :1], model.mask_token)
    model.features(tokens[:, :-1], draft, actions, cache)
    draft[:, :, :20] = tokens[:, -1:, :20]
    further = model.features(tokens[:, :0], draft, actions[:, -1:], cache)
    assert torch.allclose(further, model.draft_features(tokens[:, :-1], draft, actions), atol=1e-3)
    assert cache.count.tolist() == [6, 6]


@torch.no_grad()
def test_what_happened_in_masked_frames_is_unknown_but_not_that_time_went_by(model):
    tokens, actions = clips()
    draft = torch.full_like(tokens[:, :1], model.mask_token)
    past = tokens[:, :-1].clone()
    past[:, 4:] = model.mask_token
    unknown = model.draft_features(past, draft, actions)
    cached = model.features(past, draft, actions, model.new_cache(2))
    assert torch.allclose(unknown, cached, atol=1e-3)
    assert not torch.allclose(unknown, model.draft_features(past[:, :4], draft, actions[:, :5]), atol=1e-3)


@torch.no_grad()
def test_rows_of_a_cache_are_replaced(model):
    tokens, actions = clips(3)
    draft = torch.full_like(tokens[:, :1], model.mask_token)
    cache, other = model.new_cache(3), model.new_cache(1)
    model.features(tokens[:, :4], draft, actions[:, :5], cache)
    model.features(tokens[:1, 4:6], draft[:1], actions[:1, 4:7], other)
    cache.put(torch.tensor([2]), other)
    order = [0, 1, 0]
    after = model.features(tokens[order, 6:], draft, actions[order, -2:], cache)
    expected = model.features(tokens[:1, 6:], draft[:1], actions[:1, -2:], other)
    assert torch.allclose(after[2:], expected, atol=1e-3)
    assert cache.count.tolist() == [5, 5, 3]


@torch.no_grad()
def test_actions_matter_for_longer_than_frames(model):
    """Those before the first frame are known for a while, all others are remembered."""
    tokens, actions = clips()
    draft = torch.full_like(tokens[:, :1], model.mask_token)

    def features(past: int, changed: int | None = None) -> torch.Tensor:
        others = actions.clone()
        if changed is not None:
            others[:, changed] = (others[:, changed] + 1) % 3
        return model.draft_features(tokens[:, -1 - past : -1], draft, others)

    for past, first in ((6, 1), (2, 2)):
        alike = [bool((features(past, i) == features(past)).all()) for i in range(1, 7)]
        assert alike == [i < first for i in range(1, 7)]
    cached = model.features(tokens[:, 4:-1], draft, actions, model.new_cache(2))
    assert torch.allclose(cached, features(2), atol=1e-3)


@torch.no_grad()
def test_the_memory_outlasts_the_frames_that_are_seen(model):
    torch.nn.init.normal_(model.recall.weight)
    tokens, actions = clips()
    draft = torch.full_like(tokens[:, :1], model.mask_token)
    other = tokens.clone()
    other[:, 1] = tokens[:, 2]  # long out of the window of three
    one, two = (model.draft_features(x[:, :-1], draft, actions) for x in (tokens, other))
    assert (one != two).any()


@torch.no_grad()
def test_its_own_past_is_what_a_rollout_samples(model):
    tokens, actions = clips()
    torch.manual_seed(3)
    past, _ = model._with_own_predictions(tokens, actions, 3)
    assert torch.equal(past[:, :4], tokens[:, :4]) and torch.equal(past[:, 6], tokens[:, 6])
    torch.manual_seed(3)
    torch.rand(())  # the temperature, here always 1
    cache, known = model.new_cache(2), tokens[:, :4]
    for i in (4, 5):
        draft = torch.full_like(known[:, :1], model.mask_token)
        led = actions[:, cache.count[0] : i + 1]
        logits = model.to_logits(model.features(known, draft, led, cache))
        known = sample_tokens(logits, torch.rand(draft.shape), 1.0, 0.02)
        assert torch.equal(past[:, i : i + 1], known)
    hidden = tokens.clone()
    hidden[:, 5] = model.mask_token
    assert (model._with_own_predictions(hidden, actions, 3)[0][:, 5] == model.mask_token).all()


def test_with_forgotten_actions_a_clip_is_as_at_the_beginning_of_a_rollout(model):
    model.config = replace(SMALL, history_dropout=1.0)
    actions = torch.ones(64, 12, dtype=torch.int64)
    left = (model.train()._with_dropout(actions) >= 0).int()
    assert (left.diff(dim=1) >= 0).all() and len(left.sum(1).unique()) > 6
    assert torch.equal(model.eval()._with_dropout(actions), actions)


def test_the_shift_between_framesmatches_best():
    rng = np.random.default_rng(0)
    level = torch.from_numpy(rng.random((3, 48, 60), np.float32))
    places = [(8, 10), (6, 13), (10, 11)]  # rows and columns of the camera in three frames
    frames = torch.stack([level[:, y : y + 32, x : x + 32] for y, x in places])[None]
    wholes, local, camera = matches(frames, 4)
    wholes = wholes.reshape(2, 5, 9)  # every other shift down, all to the right
    for pair, (down, right) in enumerate([(-2, 3), (4, -2)]):
        assert np.unravel_index(int(wholes[pair].argmax()), (5, 9)) == ((down + 4) // 2, right + 4)
    assert camera[0].tolist() == pytest.approx([4, -2, 1], abs=0.2)
    newest = local[0].reshape(5, 9, 8, 8)[:, :, 2:-2, 2:-2]
    assert (newest[4, 2] > 0.99).all() and newest.mean() < 0.1
    grey = frames[0].mean(1).numpy()
    expected = np.exp(-np.abs(np.diff(grey, axis=0))[:, ::2].mean((1, 2)) / 0.02)
    np.testing.assert_allclose(wholes[:, 2, 4], expected, rtol=1e-3)
    alone, _, _ = matches(frames[:, :1], 4)
    assert (alone.reshape(2, 5, 9)[:, 2, 4] == 1).all()  # as if nothing had moved


def test_other_actions_keep_all_but_the_layer_that_reads_them(model):
    other = model.with_actions(torch.full((7, 3), 1 / 3))
    assert other.config == replace(SMALL, num_actions=7)
    before, after = model.state_dict(), other.state_dict()
    assert {name for name in before if not torch.equal(before[name], after[name])} == {
        "act.weight",
        "memory.act.weight",
        "motion.from_buttons.0.weight",
    }


@torch.no_grad()
def test_permuted_actions_are_the_same_deeds(model):
    tokens, actions = clips()
    order = torch.tensor([2, 0, 1])  # the old action of each new one
    other = model.with_actions(torch.eye(3)[order])
    taken = torch.where(actions < 0, -1, order.argsort()[actions])
    assert torch.allclose(other.next_logits(tokens, taken), model.next_logits(tokens, actions), atol=1e-3)


def test_a_level_that_scrolls_is_learned_from_few_frames(tokenizer):
    """RIGHT scrolls a random texture by a pixel and a half, everything else leaves it: far better than repeating."""
    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    model = ConvDynamics(replace(SMALL, max_corruption=0.0, masked_past_share=0.0, rollout_share=0.2))
    model.adopt_codebook(tokenizer)
    optimizer = torch.optim.AdamW(model.parameters(), 5e-3)

    def batch(count: int) -> dict[str, torch.Tensor]:
        levels = torch.nn.functional.interpolate(torch.rand(count, 3, 8, 20), scale_factor=4.0, mode="bilinear")
        actions = torch.from_numpy(rng.integers(0, 3, (count, 5)))
        actions[:, 0] = -1
        places = (1.5 * (actions == 1)).cumsum(1)
        columns = places[..., None] + torch.arange(32)
        low, part = columns.floor().long(), (columns % 1)[:, :, None, None]
        rows = torch.arange(count)[:, None, None]
        frames = [levels.permute(0, 3, 1, 2)[rows, low + i].permute(0, 1, 3, 4, 2) for i in (0, 1)]
        tokens = tokenizer.encode(frames[0] * (1 - part) + frames[1] * part)
        changed = torch.zeros_like(tokens, dtype=torch.bool)
        changed[:, 1:] = tokens[:, 1:] != tokens[:, :-1]
        outcomes = torch.zeros(count, 5)
        return {
            "tokens": tokens, "actions": actions, "changed": changed, "rewards": outcomes, "terminated": outcomes > 0
        }  # fmt: skip

    for _ in range(150):
        loss, _ = model.train()(batch(8))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    fresh = batch(16)
    with torch.no_grad():
        logits = model.eval().next_logits(fresh["tokens"], fresh["actions"])
    moved = fresh["changed"][:, 1:]
    codes, truth = tokenizer.codebook.codes, fresh["tokens"][:, 1:]
    error = (codes[logits.argmax(-1)] - codes[truth]).square().sum(-1)[moved].mean()
    repeated = (codes[fresh["tokens"][:, :-1]] - codes[truth]).square().sum(-1)[moved].mean()
    assert error < 0.7 * repeated  # with 32 codes no guess could go below half of it


@torch.no_grad()
def test_a_past_it_predicted_counts_in_training_as_in_a_rollout(model):
    """With the motion that the predictions meant, not only what their tokens show."""
    torch.nn.init.normal_(model.moved.weight)
    torch.nn.init.normal_(model.motion.to_shifts[-1].weight, std=1e-3)
    torch.nn.init.zeros_(model.motion.to_shifts[-1].bias)
    tokens, actions = clips()
    still = tokens[:, :1].expand(-1, 6, -1)
    draft = torch.full_like(tokens[:, :1], model.mask_token)
    cache = model.new_cache(2)
    model.features(still[:, :5], draft, actions[:, :6], cache)
    assert 0 < cache.meant[:, :2].abs().max() < 1  # moves a little, which the tokens of the next frame do not show
    trained, without = (model.training_features(still, draft, actions, x)[0] for x in (cache, None))
    stepped = model.features(still[:, 5:], draft, actions[:, 5:], cache)
    assert torch.allclose(trained, stepped, atol=1e-3) and not torch.allclose(without, stepped, atol=1e-2)


@torch.no_grad()
def test_logits_are_distances_to_codes_and_a_bonus_for_the_guess_itself(model):
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(2, 9, SMALL.dim + SMALL.code_dim, generator=generator)
    features[0, :, SMALL.dim :] = model.codebook[:9]
    model.bias.copy_(torch.randn(32, generator=generator))
    own, guess = np.split(features.double().numpy(), [SMALL.dim], -1)
    weights = {name: value.double().numpy() for name, value in model.state_dict().items()}

    def layer(name: str) -> np.ndarray:
        return own @ weights[f"{name}.weight"].T + weights[f"{name}.bias"]

    codes = weights["codebook"]
    apart = 0.5 * ((guess[..., None, :] - codes) ** 2).sum(-1)
    query = guess + layer("correction")
    near = (query[..., None, :] * codes).sum(-1) - 0.5 * (codes**2).sum(-1)
    scale = np.exp(weights["sharpness"] + 2 * np.tanh(layer("confidence")))
    expected = near * scale + weights["bias"] + np.exp(-8 * apart) * layer("exactness")
    np.testing.assert_allclose(model.to_logits(features).numpy(), expected, rtol=1e-4, atol=1e-3)


@torch.no_grad()
def test_what_is_guessed_exactly_can_be_kept_among_codes_that_are_nearly_alike(model):
    tokens = torch.arange(32)[None]
    guess = model.codebook[tokens]
    features = torch.cat([torch.zeros(1, 32, SMALL.dim), guess], -1)
    model.bias.copy_(torch.linspace(-9, 9, 32))
    model.sharpness.fill_(-4.0)
    model.exactness.bias.fill_(0.0)
    assert (model.to_logits(features).argmax(-1) == tokens).float().mean() < 0.5
    model.exactness.bias.fill_(40.0)
    assert (model.to_logits(features).argmax(-1) == tokens).all()


def test_it_is_trained_in_bfloat16_as_on_any_gpu(model):
    tokens, actions = clips()
    batch = {
        "tokens": tokens,
        "actions": actions,
        "rewards": torch.zeros(2, 7),
        "terminated": torch.zeros(2, 7, dtype=torch.bool),
        "changed": torch.ones(2, 7, 64, dtype=torch.bool),
        "camera": torch.full((2, 7, 2), 0.7),
    }
    losses, gradients = [], []
    for dtype in (torch.float32, torch.bfloat16):
        torch.manual_seed(0)
        model.zero_grad()
        with autocast(dtype, "cpu"):
            loss, _ = model(batch)
        loss.backward()
        losses.append(loss.item())
        gradients.append(torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None]))
    assert losses[1] == pytest.approx(losses[0], rel=0.02)
    assert torch.cosine_similarity(gradients[0], gradients[1], dim=0) > 0.98


def test_motions_are_measured_as_exactly_under_bfloat16():
    frames = torch.rand(3, 3, 3, 32, 32)
    exactly = matches(frames, 4)
    with autocast(torch.bfloat16, "cpu"):
        for one, other in zip(matches(frames, 4), exactly, strict=True):
            assert torch.equal(one, other)


def test_a_slow_motion_is_what_was_meant_and_a_contradicted_one_what_is_seen():
    measured = torch.tensor([[0.0, 0.0, 1], [0, 3, 1], [0, 0, 0], [0, 2, 1]])
    meant = torch.tensor([[0.0, 0.2, 1], [0, 0.2, 1], [0, 0.2, 1], [0, 0, 0]])
    assert torch.equal(agreed(measured, meant), torch.stack([meant[0], measured[1], measured[2], measured[3]]))


def test_a_motion_that_tokens_did_not_show_is_owed_until_they_do():
    still, slow = torch.tensor([[0.0, 0.0, 1.0]]), torch.tensor([[0.0, 0.4, 1.0]])
    owed = lagging(torch.zeros(1, 2), slow, still)
    assert torch.allclose(owed, torch.tensor([[0.0, 0.4]]))
    owed = lagging(owed, slow, torch.tensor([[0.0, 1.0, 1.0]]))  # the tokens went a whole pixel
    assert torch.allclose(owed, torch.tensor([[0.0, -0.2]]), atol=1e-6)
    assert not lagging(owed, torch.zeros(1, 3), still).any()  # a cut: nothing is known of the camera


@torch.no_grad()
def test_the_next_guess_makes_up_for_what_is_owed():
    guess = FrameGuess(size=16, patch=4, fine=4, coarse=4, action=4, told=4, shifts=1, reach=3)
    nn.init.zeros_(guess.to_blend.weight)
    guess.to_blend.bias.copy_(torch.tensor([0.0, 50.0, 0.0, 0.0]).repeat_interleave(16))  # the shifted frame alone
    frame, camera = torch.rand(1, 3, 16, 16), torch.tensor([[0.0, 1.0, 1.0]])
    pair = torch.stack([frame, frame], 1)
    guess.inertia.fill_(5.0)  # the camera goes on as it went: a pixel to the right
    others = (torch.zeros(1, 4), torch.zeros(1, 4), torch.zeros(1, 4, 4, 4), torch.zeros(1, 4, 4, 4))
    for lag, shift in ((0.0, 1), (1.0, 2), (-1.0, 0)):
        shown, _ = guess(pair, torch.tensor([[0.0, lag]]), camera, *others)
        assert torch.allclose(shown[..., 1:13], frame[..., 1 + shift : 13 + shift], atol=0.02)
    between, _ = guess(pair, torch.tensor([[0.0, 0.5]]), camera, *others)
    assert torch.allclose(between[..., :14], (frame[..., 1:15] + frame[..., 2:]) / 2, atol=0.02)


def test_the_motion_between_frames_is_told_to_a_part_of_a_pixel():
    """Against a picture of waves that is drawn where the camera stands, not shifted."""
    y, x = torch.meshgrid(torch.arange(64.0), torch.arange(64.0), indexing="ij")

    def drawn(down: float, right: float) -> torch.Tensor:
        waves = [((y + down) / 5 + (x + right) / 3).sin(), ((y + down) / 7 - (x + right) / 4).sin()]
        return 0.5 + 0.2 * torch.stack([sum(waves)] * 3)

    for down, right in ((0, 0), (0, 1), (0, 0.5), (0, -2.5), (2, 3), (-4, 1.5)):
        *_, motion = matches(torch.stack([drawn(0, 0), drawn(down, right)])[None], 4)
        assert motion[0].tolist() == pytest.approx([down, right, 1], abs=0.3)
    *_, cut = matches(torch.stack([drawn(0, 0), torch.zeros(3, 64, 64)])[None], 4)
    assert not cut.any()
