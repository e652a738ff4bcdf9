"""Dreams: batches against singles, rows on their own, the window's end, and devices that agree."""

import pytest
import torch

from genie_gym.errors import ConfigError
from genie_gym.models.maskgit import num_masked_after
from genie_gym.utils.images import from_model, to_model
from genie_gym.world_model import SamplingConfig, WorldModel
from genie_gym.world_model.rng import uniform
from tests.conftest import untrained, untrained_latent

STEPS = 8  # beyond the window of 3 frames
SAMPLINGS = [
    SamplingConfig(steps=3, temperature=0.0, order="confidence", min_p=0.0),
    SamplingConfig(steps=1, temperature=0.0),
    SamplingConfig(steps=3, temperature=1.0, order="confidence", min_p=0.0),
    SamplingConfig(steps=4, temperature=0.7, order="random", min_p=0.1),
]
NAMES = ["greedy", "one step", "three drawn", "random order"]
SEEDS = torch.tensor([11, 2**62, -7, 5])


@pytest.fixture(scope="module")
def checkpoint():
    return untrained()


@pytest.fixture(scope="module")
def model(checkpoint) -> WorldModel:
    return checkpoint.model


def inputs(checkpoint, dreams: int = 3) -> tuple[torch.Tensor, ...]:
    """Prompt frames and actions, then actions (b, STEPS) and seeds (b,)."""
    actions = torch.randint(4, (dreams, STEPS), generator=torch.Generator().manual_seed(0))
    return (
        checkpoint.initial_contexts["frames"][:dreams],
        checkpoint.initial_contexts["actions"][:dreams],
        actions,
        SEEDS[:dreams],
    )


def dream(model: WorldModel, prompt, prev_actions, actions, seeds, sampling: SamplingConfig) -> dict[str, torch.Tensor]:
    """Results of each step of some rollouts, stacked over time."""
    state, _ = model.start(prompt, prev_actions, seeds)
    outcomes = []
    for t in range(actions.shape[1]):
        outcome = model.step(state, actions[:, t], sampling)
        outcomes.append(vars(outcome) | {"tokens": state.tokens.clone()})  # the next step overwrites them
    return {key: torch.stack([outcome[key] for outcome in outcomes], 1) for key in outcomes[0]}


def assert_same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> None:
    assert torch.equal(one["tokens"], other["tokens"])
    assert (one["frames"].int() - other["frames"].int()).abs().max() <= 1  # of 255: rounding
    for key in ("logits", "rewards", "termination_prob"):
        torch.testing.assert_close(one[key], other[key], atol=1e-3, rtol=1e-3)


@pytest.mark.parametrize("sampling", SAMPLINGS, ids=NAMES)
def test_a_batch_equals_its_dreams_alone(checkpoint, model, sampling):
    given = inputs(checkpoint)
    together = dream(model, *given, sampling)
    for i in range(3):
        alone = dream(model, *(x[i : i + 1] for x in given), sampling)
        assert_same({key: value[i : i + 1] for key, value in together.items()}, alone)
    assert len(together["tokens"].flatten(1).unique(dim=0)) == 3  # the dreams differ


def test_a_seed_bears_on_its_own_dream_only(checkpoint, model):
    sampling = SAMPLINGS[2]
    prompt, prev_actions, actions, seeds = inputs(checkpoint)
    changed = seeds + torch.tensor([0, 1, 0])
    before = dream(model, prompt, prev_actions, actions, seeds, sampling)
    after = dream(model, prompt, prev_actions, actions, changed, sampling)
    for row in (0, 2):
        assert torch.equal(before["tokens"][row], after["tokens"][row])
        assert torch.equal(before["frames"][row], after["frames"][row])
    assert not torch.equal(before["tokens"][1], after["tokens"][1])


def test_the_seed_does_not_matter_where_nothing_is_drawn(checkpoint, model):
    prompt, prev_actions, actions, seeds = inputs(checkpoint)
    one = dream(model, prompt, prev_actions, actions, seeds, SAMPLINGS[0])
    other = dream(model, prompt, prev_actions, actions, seeds + 1, SAMPLINGS[0])
    assert torch.equal(one["frames"], other["frames"])


@pytest.mark.parametrize("sampling", SAMPLINGS[2:], ids=NAMES[2:])
def test_each_pass_draws_with_noise_of_its_own(checkpoint, model, sampling, monkeypatch):
    given, n = inputs(checkpoint), checkpoint.model.tokens
    before = dream(model, *given, sampling)["tokens"]
    for i in range(sampling.steps):
        for j in range(2):  # the draws, and the order in which tokens are settled
            place = 1 + (2 * i + j) * n

            def other(*args, place=place):
                noise = uniform(*args)
                noise[:, place : place + n] = 1 - noise[:, place : place + n]
                return noise

            monkeypatch.setattr("genie_gym.world_model.model.uniform", other)
            after = dream(model, *given, sampling)["tokens"]
            # the last pass settles all that is left, in whatever order
            matters = j == 0 or (sampling.order == "random" and i < sampling.steps - 1)
            assert torch.equal(before, after) != matters, (i, j)


def test_ends_come_with_their_probability():
    checkpoint = untrained()
    torch.nn.init.constant_(checkpoint.model.dynamics.heads.termination.bias, -1.0)
    prompt = checkpoint.initial_contexts["frames"][:1, :1].expand(2000, -1, -1, -1, -1)
    state, _ = checkpoint.model.start(prompt)
    outcome = checkpoint.model.step(state, torch.zeros(2000, dtype=torch.int64), SAMPLINGS[1])
    assert 0.1 < outcome.termination_prob.mean() < 0.9
    assert abs(outcome.terminated.float().mean() - outcome.termination_prob.mean()) < 0.035  # three standard errors


def test_actions_matter(checkpoint, model):
    prompt, prev_actions, actions, seeds = inputs(checkpoint)
    one = dream(model, prompt, prev_actions, actions, seeds, SAMPLINGS[0])
    other = dream(model, prompt, prev_actions, (actions + 1) % 4, seeds, SAMPLINGS[0])
    assert ((one["logits"] - other["logits"]).abs().amax((2, 3))[:, 0] > 1e-3).all()


def test_put_replaces_its_rows_only(checkpoint, model):
    sampling = SAMPLINGS[2]
    prompt, prev_actions, actions, seeds = inputs(checkpoint)
    undisturbed = dream(model, prompt, prev_actions, actions, seeds, sampling)
    new = checkpoint.initial_contexts["frames"][3:5, :2], checkpoint.initial_contexts["actions"][3:5, :1]
    renewed = dream(model, *new, actions[[2, 0], 4:], seeds[[2, 0]] + 1, sampling)

    state, _ = model.start(prompt, prev_actions, seeds)
    tokens, frames = [], []
    for t in range(STEPS):
        if t == 4:
            state.put(torch.tensor([2, 0]), model.start(*new, seeds[[2, 0]] + 1)[0])
        frames.append(model.step(state, actions[:, t], sampling).frames)
        tokens.append(state.tokens.clone())
    assert torch.equal(actions, inputs(checkpoint)[2])  # the caller's own are left alone
    got = torch.stack(tokens, 1)
    assert torch.equal(got[1], undisturbed["tokens"][1])
    assert torch.equal(got[:, :4], undisturbed["tokens"][:, :4])
    assert torch.equal(got[[2, 0], 4:], renewed["tokens"])
    seen = torch.stack(frames, 1).int()
    assert (seen[1] - undisturbed["frames"][1].int()).abs().max() <= 1
    assert (seen[[2, 0], 4:] - renewed["frames"].int()).abs().max() <= 1


def test_a_step_is_the_uncached_pass_over_all_frames(checkpoint, model):
    """With one sampling step, beyond the window: tokens, reward, end and picture by the plain causal passes."""
    prompt, prev_actions, actions, seeds = inputs(checkpoint)
    got = dream(model, prompt, prev_actions, actions, seeds, SAMPLINGS[1])
    with torch.inference_mode():
        tokens = model.tokenizer.encode(prompt.permute(0, 1, 4, 2, 3).float() / 255)
        all_led = torch.cat([torch.full((3, 1), -1), prev_actions, actions], 1)
        for t in range(STEPS):
            hidden = torch.full_like(tokens[:, :1], model.dynamics.mask_token)
            features = model.dynamics.features(tokens, hidden, all_led[:, : tokens.shape[1] + 1])[:, -1]
            logits = model.dynamics.to_logits(features)
            torch.testing.assert_close(got["logits"][:, t], logits, atol=1e-4, rtol=1e-4)
            codes = model.dynamics.codebook[logits.argmax(-1)]
            reward, end = model.dynamics.heads(features, codes)
            torch.testing.assert_close(
                got["rewards"][:, t], model.dynamics.heads.expected(reward), atol=1e-2, rtol=1e-3
            )
            torch.testing.assert_close(got["termination_prob"][:, t], end.sigmoid(), atol=1e-4, rtol=1e-4)
            tokens = torch.cat([tokens, logits.argmax(-1)[:, None]], 1)
            picture = (model.tokenizer.decode(tokens)[:, -1] * 255).round().clamp(0, 255).permute(0, 2, 3, 1)
            assert (got["frames"][:, t] - picture).abs().max() <= 1


def test_a_prompts_unknown_actions_are_found_in_its_frames():
    latent = untrained_latent()
    frames, codes = latent.initial_contexts["frames"], latent.initial_contexts["actions"]
    assert len(codes.unique()) > 1
    actions, seeds = torch.randint(5, (6, 3), generator=torch.Generator().manual_seed(0)), torch.arange(6)
    with_actions = dream(latent.model, frames, codes, actions, seeds, SamplingConfig())
    for prev_actions in (None, torch.full_like(codes, -1), torch.where(torch.arange(3) == 1, -1, codes)):
        assert_same(dream(latent.model, frames, prev_actions, actions, seeds, SamplingConfig()), with_actions)
    other = dream(latent.model, frames, (codes + 1) % 5, actions, seeds, SamplingConfig())
    assert not torch.equal(other["logits"], with_actions["logits"])  # the actions given count


@pytest.mark.parametrize("frames", [1, 2, 4])
def test_start_shows_the_prompts_last_frame_as_the_tokenizer_sees_it(checkpoint, model, frames):
    prompt = checkpoint.initial_contexts["frames"][:2, :frames]
    _, seen = model.start(prompt)
    assert seen.shape == (2, 64, 64, 3) and seen.dtype == torch.uint8
    with torch.inference_mode():
        tokens = model.tokenizer.encode(prompt.permute(0, 1, 4, 2, 3).float() / 255)
        expected = (model.tokenizer.decode(tokens)[:, -1] * 255).round().clamp(0, 255).permute(0, 2, 3, 1)
    assert (seen - expected).abs().max() <= 1


def test_shapes_and_ranges(checkpoint, model):
    prompt, prev_actions, actions, _ = inputs(checkpoint)
    state, _ = model.start(prompt, prev_actions)
    outcome = model.step(state, actions[:, 0], SAMPLINGS[0])
    assert outcome.frames.shape == (3, 64, 64, 3) and outcome.frames.dtype == torch.uint8
    assert outcome.rewards.shape == outcome.termination_prob.shape == (3,)
    assert ((outcome.termination_prob >= 0) & (outcome.termination_prob <= 1)).all()
    assert outcome.logits.shape == (3, 16, 16)
    assert (state.tokens >= 0).all() and (state.tokens < 16).all()  # none stays hidden


@pytest.mark.parametrize("order", ["confidence", "random"])
def test_logits_are_those_each_token_was_drawn_with(checkpoint, model, order):
    prompt, prev_actions, actions, _ = inputs(checkpoint)
    state, _ = model.start(prompt, prev_actions)
    outcome = model.step(state, actions[:, 0], SamplingConfig(steps=4, temperature=0.0, order=order))
    assert torch.equal(outcome.logits.argmax(-1), state.tokens)


def test_the_surest_tokens_are_settled_first(checkpoint, model):
    def logits(steps: int) -> torch.Tensor:
        state, _ = model.start(checkpoint.initial_contexts["frames"], checkpoint.initial_contexts["actions"])
        return model.step(state, torch.zeros(6, dtype=torch.int64), SamplingConfig(steps, 0.0, "confidence")).logits

    once, twice = logits(1), logits(2)
    surest = once.softmax(-1).amax(-1).topk(16 - num_masked_after(0, 2, 16)).indices
    same = torch.isclose(once, twice, atol=1e-5).all(-1)  # settled in the first of the two passes
    assert same.gather(1, surest).all() and not same.all(1).any()


def test_a_single_pass_draws_with_the_noise_of_its_frames(checkpoint, model, monkeypatch):
    drawn = []

    def noted(seeds, counts, number):
        drawn.append(counts.clone())
        return uniform(seeds, counts, number)

    monkeypatch.setattr("genie_gym.world_model.model.uniform", noted)
    prompt, prev_actions, actions, seeds = inputs(checkpoint)
    dream(model, prompt, prev_actions, actions, seeds, SAMPLINGS[0])
    stepped, drawn[:] = [counts.tolist() for counts in drawn], []
    model.single_pass(prompt, prev_actions, actions, seeds, SAMPLINGS[0])
    assert len(stepped) == STEPS and [counts.tolist() for counts in drawn] == stepped


def test_dreaming_changes_no_weight(checkpoint, model):
    before = {name: value.clone() for name, value in model.state_dict().items()}
    dream(model, *inputs(checkpoint), SAMPLINGS[3])
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    assert not model.training and not any(p.requires_grad for p in model.parameters())


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"steps": 0}, "sampling steps must be a whole number from 1 to 4096; got 0"),
        ({"temperature": -0.1}, "temperature must be 0 or more; got -0.1"),
        ({"order": "best"}, "order must be one of confidence, random; got 'best'"),
        ({"min_p": 1.0}, r"min_p must lie in \[0, 1\); got 1.0"),
        ({"min_p": -0.5}, r"min_p must lie in \[0, 1\); got -0.5"),
    ],
)
def test_sampling_out_of_range(options, words):
    with pytest.raises(ConfigError, match=words):
        SamplingConfig(**options)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("sampling", SAMPLINGS, ids=NAMES)
def test_cpu_and_cuda_agree(sampling):
    mine, theirs = untrained(), untrained()
    given = inputs(mine)
    on_cpu = dream(mine.model, *given, sampling)
    theirs.model.to("cuda")
    on_cuda = {key: value.cpu() for key, value in dream(theirs.model, *given, sampling).items()}
    assert_same(on_cpu, on_cuda)


def likeliest_frames(model: WorldModel, prompt, prev_actions, actions) -> torch.Tensor:
    """A single pass written out: each frame the only draft, after the prompt and frames of which nothing is known."""
    dynamics, prompt_tokens = model.dynamics, model.tokenizer.encode(to_model(prompt))
    unknown = torch.full_like(prompt_tokens[:, :1], dynamics.mask_token)
    taken = torch.cat([torch.full_like(prev_actions[:, :1], -1), prev_actions, actions], 1)
    drawn = []
    for t in range(actions.shape[1]):
        past = torch.cat([prompt_tokens, unknown.expand(-1, t, -1)], 1)
        features = dynamics.features(past, unknown, taken[:, : past.shape[1] + 1])[:, -1]
        drawn.append(dynamics.to_logits(features).argmax(-1))
    tokens = torch.cat([prompt_tokens, torch.stack(drawn, 1)], 1)
    return from_model(model.tokenizer.decode(tokens)[:, prompt_tokens.shape[1] :])


def test_a_single_pass_draws_each_frame_without_the_others(checkpoint, model):
    prompt, prev_actions, actions, seeds = inputs(checkpoint)
    frames = model.single_pass(prompt, prev_actions, actions, seeds, SAMPLINGS[1])
    assert frames.shape == (3, STEPS, 64, 64, 3) and frames.dtype == torch.uint8
    expected = likeliest_frames(model, prompt, prev_actions, actions)
    assert (frames.int() - expected.int()).abs().max() <= 1
    shorter = model.single_pass(prompt[:2], prev_actions[:2], actions[:2, :5], seeds[:2], SAMPLINGS[1])
    assert (frames[:2, :5].int() - shorter.int()).abs().max() <= 1


@pytest.mark.parametrize("sampling", SAMPLINGS, ids=NAMES)
def test_a_single_pass_begins_as_a_dream_does(checkpoint, model, sampling):
    given = inputs(checkpoint)
    first = dream(model, *given, sampling)["frames"][:, 0]
    assert (model.single_pass(*given, sampling)[:, 0].int() - first.int()).abs().max() <= 1


def test_weights_rounded_once_dream_as_those_rounded_at_every_call():
    once, always = untrained_latent().model, untrained_latent().model
    once.run_in(torch.bfloat16)
    always.dtype = torch.bfloat16  # autocast does the rest
    frames = torch.randint(0, 256, (2, 3, 64, 64, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    states = [model.start(frames)[0] for model in (once, always)]
    for _ in range(4):
        one, other = (
            m.step(s, torch.tensor([1, 2]), SamplingConfig()) for m, s in zip((once, always), states, strict=True)
        )
        assert torch.equal(one.logits, other.logits) and torch.equal(one.frames, other.frames)
    # Recordings are seen with latent actions in float32, whatever the dreams run in.
    assert torch.equal(once.latent_actions.codes(to_model(frames)), always.latent_actions.codes(to_model(frames)))
