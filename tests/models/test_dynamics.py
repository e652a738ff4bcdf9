"""The dynamics: equation 1, what bears on the logits, the ablations, and cached steps against the whole pass."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from genie_gym.models.dynamics import Dynamics, DynamicsConfig
from genie_gym.models.masked_prediction import token_distance_cross_entropy
from genie_gym.models.transformer import with_drafts
from genie_gym.training.presets import get_preset
from tests.conftest import excited

SMALL = DynamicsConfig(num_actions=3, dim=16, blocks=2, heads=2, side=2, window=4, codes=8, code_dim=4)
TINY = DynamicsConfig(num_actions=6)  # the sizes of the preset
PAPER = DynamicsConfig(num_actions=5, dim=64, blocks=3, heads=8, side=4, window=5, codes=64, code_dim=32)  # scaled down


def make(config: DynamicsConfig = SMALL, std: float = 0.2) -> Dynamics:
    model = excited(Dynamics(config), std)
    model.codebook.copy_(torch.nn.functional.normalize(torch.randn(config.codes, config.code_dim), dim=-1))
    return model


def clip(config: DynamicsConfig = SMALL, frames: int = 6, batch: int = 2, seed: int = 1) -> dict[str, torch.Tensor]:
    g = torch.Generator().manual_seed(seed)
    n = config.side**2
    return {
        "tokens": torch.randint(config.codes, (batch, frames, n), generator=g),
        "actions": torch.randint(config.num_actions, (batch, frames), generator=g),
        "rewards": torch.randn(batch, frames, generator=g),
        "terminated": torch.rand(batch, frames, generator=g) < 0.2,
        "changed": torch.rand(batch, frames, n, generator=g) < 0.5,
    }


def predict(model: Dynamics, batch: dict[str, torch.Tensor]) -> torch.Tensor:
    """Logits of each frame but the first, all its tokens masked, given the real frames before it."""
    return model.next_logits(batch["tokens"], batch["actions"])


@pytest.mark.parametrize("weight", [0.0, 1.0, 2.5])
def test_equation_1_in_numpy(weight):
    rng = np.random.default_rng(0)
    x, y, codes = rng.normal(size=(7, 5)), rng.integers(5, size=7), rng.normal(size=(5, 3))
    codes /= np.linalg.norm(codes, axis=1, keepdims=True)
    distance = 1 - codes @ codes.T
    p = np.exp(x) / np.exp(x).sum(1, keepdims=True)
    one_hot = np.eye(5)[y]
    expected = [weight * (one_hot[i] @ distance) @ p[i] - np.log(p[i, y[i]]) for i in range(7)]
    got = token_distance_cross_entropy(torch.from_numpy(x), torch.from_numpy(y), torch.tensor(codes).float(), weight)
    np.testing.assert_allclose(got, expected, rtol=1e-5)


@torch.no_grad()
def test_the_action_matters_for_its_own_frame_and_not_before():
    model, batch = make(), clip()
    other = batch | {"actions": batch["actions"].clone()}
    other["actions"][:, 3] = (batch["actions"][:, 3] + 1) % 3
    before, after = predict(model, batch), predict(model, other)
    assert torch.equal(before[:, :2], after[:, :2])  # of frames 1 and 2
    assert (before[:, 2] - after[:, 2]).abs().amax((1, 2)).min() > 1e-3
    assert not torch.allclose(before[:, 3], after[:, 3])


@torch.no_grad()
def test_a_frame_bears_on_nothing_before_it_nor_on_its_own_prediction():
    model, batch = make(), clip()
    other = batch | {"tokens": batch["tokens"].clone()}
    other["tokens"][:, 3] = (batch["tokens"][:, 3] + 1) % 8
    before, after = predict(model, batch), predict(model, other)
    assert torch.equal(before[:, :3], after[:, :3])  # of frames 1 to 3
    assert not torch.allclose(before[:, 3], after[:, 3])


@torch.no_grad()
def test_a_hidden_token_carries_no_code():
    model = make()
    masked = torch.tensor([[model.mask_token, 2]])
    before = model.embeddings(masked)
    assert torch.equal(before[0, 0], model.embed.weight[model.mask_token])
    assert torch.allclose(before[0, 1], model.embed.weight[2] + model.skip.weight @ model.codebook[2], atol=1e-6)
    model.codebook += 1
    after = model.embeddings(masked)
    assert torch.equal(before[0, 0], after[0, 0]) and not torch.allclose(before[0, 1], after[0, 1])


@torch.no_grad()
def test_no_action_is_unlike_any_action():
    codes = make().one_hot(torch.tensor([0, 2, -1]))
    assert codes.tolist() == [[1, 0, 0], [0, 0, 1], [0, 0, 0]]


@pytest.mark.parametrize("change", [{"token_input": False}, {"tdce": 0.0}, {"token_input": False, "tdce": 0.0}])
def test_ablations_learn(change):
    torch.manual_seed(0)
    model = Dynamics(replace(SMALL, **change))
    model.codebook.copy_(torch.nn.functional.normalize(torch.randn(8, 4), dim=-1))
    assert (model.skip is None) == ("token_input" in change)
    optimizer, batch = torch.optim.Adam(model.parameters(), 0.01), clip()
    losses = []
    for _ in range(40):
        optimizer.zero_grad()
        loss, _ = model(batch)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert np.mean(losses[-5:]) < 0.8 * np.mean(losses[:5])


@torch.no_grad()
def test_without_token_input_the_codebook_bears_on_the_loss_alone():
    model, batch = make(replace(SMALL, token_input=False)), clip()
    before = predict(model, batch)
    model.codebook.mul_(-1)
    assert torch.equal(before, predict(model, batch))


@torch.no_grad()
@pytest.mark.parametrize("config", [SMALL, TINY, PAPER], ids=["small", "tiny preset", "like paper"])
def test_cached_refinement_equals_the_uncached_pass(config):
    """Every sampling pass of every step, from the prompt to beyond the window, against a pass over all frames."""
    model = make(config, std=0.05)
    frames = config.window + 3
    batch = clip(config, frames, batch=1)
    tokens, actions = batch["tokens"], batch["actions"]
    n, cache = tokens.shape[2], model.transformer.new_cache(1)
    model.features(tokens[:, :2], tokens[:, :0], actions[:, :2], cache)
    for t in range(2, frames):
        past = tokens[:, t - 1 : t] if t > 2 else tokens[:, :0]  # committed by the first pass of the next step
        for still_hidden in (n, n // 2, 1):
            draft = tokens[:, t : t + 1].clone()
            draft[:, :, :still_hidden] = model.mask_token
            prev_actions = actions[:, t - past.shape[1] : t + 1]
            cached = model.to_logits(model.features(past, draft, prev_actions, cache)[:, -1])
            whole = model.to_logits(model.features(tokens[:, :t], draft, actions[:, : t + 1])[:, -1])
            assert torch.allclose(cached, whole, atol=1e-4), (t, still_hidden)
            past = tokens[:, :0]
    assert whole.std() > 0.05  # the model says something


@torch.no_grad()
def test_next_frames_are_the_likeliest_given_the_real_past():
    model, batch = make(), clip()
    predicted = model.next_frames(batch["tokens"], batch["actions"])
    assert torch.equal(predicted[:, 0], batch["tokens"][:, 0])
    for t in range(1, 6):
        masked = torch.full_like(batch["tokens"][:, :1], model.mask_token)
        features = model.features(batch["tokens"][:, :t], masked, batch["actions"][:, : t + 1])
        assert torch.equal(predicted[:, t], model.to_logits(features[:, -1]).argmax(-1))


@torch.no_grad()
def test_a_model_for_other_actions_keeps_all_that_does_not_read_them():
    """Where no action is given, it predicts the same; the new actions are read by layers of their own."""
    model, batch = make(), clip()
    other = model.with_actions(torch.full((5, SMALL.num_actions), 1 / SMALL.num_actions)).eval()
    none = torch.full_like(batch["actions"], -1)
    assert torch.equal(other.next_logits(batch["tokens"], none), model.next_logits(batch["tokens"], none))
    assert torch.equal(other.codebook, model.codebook) and other.config == replace(SMALL, num_actions=5)
    last = other.next_logits(batch["tokens"], none + 5)  # action 4, which the first model does not have
    assert not torch.allclose(last, other.next_logits(batch["tokens"], none))
    assert model.config == SMALL


@torch.no_grad()
def test_permuted_actions_are_the_same_deeds():
    model, batch = make(), clip()
    order = torch.tensor([2, 0, 1])  # the old action of each new one
    other = model.with_actions(torch.eye(3)[order])
    taken = order.argsort()[batch["actions"]]
    assert torch.equal(other.next_logits(batch["tokens"], taken), model.next_logits(batch["tokens"], batch["actions"]))


def seeded_loss(model: Dynamics, batch: dict[str, torch.Tensor], seed: int = 0) -> float:
    torch.manual_seed(seed)
    return model(batch)[0].item()


@torch.no_grad()
def test_loss_ignores_what_the_first_frame_should_be():
    """Its rewards, end and mask do not count: with one frame only there is nothing to learn."""
    model, batch = make(), clip()
    other = {name: value.clone() for name, value in batch.items()}
    other["rewards"][:, 0] += 100
    other["terminated"][:, 0] ^= True
    other["changed"][:, 0] ^= True
    assert seeded_loss(model, batch) == seeded_loss(model, other)
    other["rewards"][:, 1] += 100
    assert seeded_loss(model, batch) != seeded_loss(model, other)


@torch.no_grad()
def test_loss_against_numpy():
    """All tokens masked and no noise: the weighted mean of equation 1 over frames 1 onwards, and the heads' losses."""
    model, batch = make(replace(SMALL, fully_masked_share=1.0)), clip()
    loss, metrics = model(batch)
    logits = predict(model, batch).numpy().astype(float)
    p = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    tokens, changed = batch["tokens"][:, 1:].numpy(), batch["changed"][:, 1:].numpy()
    codes, y = model.codebook.numpy().astype(float), np.eye(8)[tokens]
    entropy = -np.log((p * y).sum(-1))
    each = entropy + ((y @ (1 - codes @ codes.T)) * p).sum(-1)
    weight = 1 + 4.0 * changed
    expected = (weight * each).sum() / weight.sum() + float(metrics["reward"]) + float(metrics["termination"])
    assert loss.item() == pytest.approx(expected, rel=1e-4)
    assert metrics["cross_entropy"].item() == pytest.approx(entropy.mean(), rel=1e-4)
    right = logits.argmax(-1) == tokens
    assert metrics["accuracy"].item() == pytest.approx(right.mean())
    assert metrics["accuracy_changed"].item() == pytest.approx(right[changed].mean())


@torch.no_grad()
def test_the_loss_is_of_hidden_tokens_alone_and_heads_read_the_frame_that_came(monkeypatch):
    model, batch, given = make(), clip(), []
    masks = torch.rand(2, 5, 4, generator=torch.Generator().manual_seed(0)) < 0.5
    monkeypatch.setattr("genie_gym.models.masked_prediction.random_masks", lambda *_: masks)
    monkeypatch.setattr(model.heads, "loss", lambda *told: given.append(told) or (torch.zeros(()), torch.zeros(())))
    loss, _ = model(batch)
    past, tokens = batch["tokens"][:, :-1], batch["tokens"][:, 1:]
    drafts = model.embeddings(tokens.masked_fill(masks, model.mask_token))
    features = model.transformer(with_drafts(model.embeddings(past), drafts, model.one_hot(batch["actions"])))
    each = token_distance_cross_entropy(model.to_logits(features), tokens, model.codebook)
    weight = masks * (1 + 4.0 * batch["changed"][:, 1:])
    assert loss.item() == pytest.approx(((weight * each).sum() / weight.sum()).item(), rel=1e-5)
    frame = (model.codebook[tokens], batch["rewards"][:, 1:], batch["terminated"][:, 1:])
    for got, expected in zip(given[0], (features, *frame), strict=True):
        assert torch.equal(got, expected)


@torch.no_grad()
def test_a_share_of_the_unchanged_tokens_stands_for_all_of_them():
    """The loss of many draws is on average that of all tokens."""
    sizes = replace(SMALL, fully_masked_share=1.0, max_corruption=0.0, masked_past_share=0.0, action_dropout=0.0)
    whole, part = (make(replace(sizes, still_share=share)).train() for share in (1.0, 0.3))
    batch = {name: torch.cat([value] * 40) for name, value in clip().items()}
    torch.manual_seed(0)
    drawn = [part(batch) for _ in range(20)]
    losses, accuracies = (torch.stack(x) for x in ([loss for loss, _ in drawn], [m["accuracy"] for _, m in drawn]))
    loss, metrics = whole(batch)
    assert losses.std() > 0
    assert losses.mean().item() == pytest.approx(loss.item(), rel=0.01)
    assert accuracies.mean().item() == pytest.approx(metrics["accuracy"].item(), abs=0.02)


@torch.no_grad()
def test_actions_are_dropped_in_training():
    model, batch = make(replace(SMALL, action_dropout=1.0)).train(), clip()
    without = batch | {"actions": torch.full_like(batch["actions"], -1)}
    assert seeded_loss(model, batch) == seeded_loss(model, without)


def test_the_past_is_disturbed_in_training_only():
    torch.manual_seed(0)
    model, tokens = (
        make(replace(SMALL, max_corruption=0.5, masked_past_share=0.5)),
        torch.zeros(400, 6, 4, dtype=torch.int64),
    )
    actions = torch.ones(400, 6, dtype=torch.int64)
    past, blind = model._noisy_past(tokens)
    assert torch.equal(past, tokens) and not blind.any()
    assert torch.equal(model._with_dropout(actions), actions)

    model.train()
    past, blind = model._noisy_past(tokens)
    # from frame 2, 3, 4, 5 or 6 on, of which the last is beyond the clip
    assert blind.any((1, 2)).float().mean().item() == pytest.approx(0.5 * 4 / 5, abs=0.1)
    assert not blind[:, :2].any()  # something is left to predict from
    assert (past[blind] == model.mask_token).all()
    assert torch.equal(blind[:, 1:] | blind[:, :-1], blind[:, 1:])  # to the clip's end
    # a rate uniform in [0, 0.5], of random codes of which one in eight is the right one
    assert (past[~blind] != 0).float().mean().item() == pytest.approx(0.25 * 7 / 8, abs=0.03)
    assert (model._with_dropout(actions) == -1).float().mean().item() == pytest.approx(0.05, abs=0.02)


@torch.no_grad()
def test_a_frame_without_a_past_is_hidden_whole(monkeypatch):
    """Of a clip masked from frame 3 on, the loss counts frames 3 to 5, of which no token shows."""
    model, batch = make(), clip()
    blind = torch.zeros_like(batch["tokens"], dtype=torch.bool)
    blind[:, 3:] = True
    past = batch["tokens"].masked_fill(blind, model.mask_token)
    monkeypatch.setattr(model, "_noisy_past", lambda tokens: (past, blind))
    monkeypatch.setattr("genie_gym.models.masked_prediction.random_masks", lambda *_: torch.zeros_like(blind[:, 1:]))
    _, metrics = model(batch)
    logits = predict(model, batch | {"tokens": past})
    entropy = torch.nn.functional.cross_entropy(logits[:, 2:].flatten(0, 2), batch["tokens"][:, 3:].flatten())
    torch.testing.assert_close(metrics["cross_entropy"], entropy)


def test_learns_what_an_action_does():
    """Action 1 turns every token to code 1, action 2 to code 2, none of them recognisable from the past."""
    torch.manual_seed(0)
    model = Dynamics(replace(SMALL, blocks=1))
    model.codebook.copy_(torch.nn.functional.normalize(torch.randn(8, 4), dim=-1))
    optimizer = torch.optim.Adam(model.parameters(), 0.01)

    def batch() -> dict[str, torch.Tensor]:
        actions = torch.randint(3, (8, 4))
        still = {"rewards": torch.zeros(8, 4), "terminated": torch.zeros(8, 4, dtype=torch.bool)}
        tokens = actions[..., None].expand(8, 4, 4).contiguous()
        return still | {"tokens": tokens, "actions": actions, "changed": torch.ones_like(tokens, dtype=torch.bool)}

    for _ in range(60):
        optimizer.zero_grad()
        model(batch())[0].backward()
        optimizer.step()
    fresh = batch()
    assert torch.equal(model.eval().next_frames(fresh["tokens"], fresh["actions"]), fresh["tokens"])


@pytest.mark.slow
@pytest.mark.parametrize("size", ["tiny-transformer", "paper"])
def test_cached_logits_of_a_whole_window_at_the_presets_sizes(size):
    torch.manual_seed(0)
    model = Dynamics(get_preset(size).dynamics_for(7)).eval()
    for parameter in model.parameters():
        if not parameter.any():  # what starts at zero would hide a fault behind it
            torch.nn.init.normal_(parameter, std=0.02)
    window, n = model.config.window, model.config.side**2
    tokens, actions = torch.randint(1024, (1, window, n)), torch.randint(7, (1, window))
    masked = torch.full((1, 1, n), model.mask_token)
    with torch.no_grad():
        cache = model.transformer.new_cache(1)
        for t in range(window - 1):
            cached = model.features(tokens[:, t : t + 1], masked, actions[:, t : t + 2], cache)[:, -1]
        whole = model.features(tokens[:, :-1], masked, actions)[:, -1]
        torch.testing.assert_close(model.to_logits(cached), model.to_logits(whole), atol=1e-4, rtol=0)
    assert whole.std() > 0.1
