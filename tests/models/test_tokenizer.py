"""The tokenizer: causality, the cache, what its loss weighs, and that it learns a toy clip."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from genie_gym import games
from genie_gym.models.tokenizer import Tokenizer, TokenizerConfig
from genie_gym.utils.images import to_model
from tests.conftest import excited

SMALL = TokenizerConfig(
    size=16, patch=8, dim=16, heads=2, window=3, encoder_blocks=1, decoder_blocks=2, codes=32, code_dim=4
)


def pictures(frames: int, batch: int = 2, size: int = 16) -> torch.Tensor:
    return torch.rand(batch, frames, 3, size, size, generator=torch.Generator().manual_seed(1))


def toy_clip(frames: int) -> np.ndarray:
    env = games.make("Toy-Numpy")
    picture, _ = env.reset(seed=0)
    clip = [picture]
    for _ in range(frames - 1):
        clip.append(env.step(1)[0])
    return np.stack(clip)


@torch.no_grad()
@pytest.mark.parametrize("patch", [4, 8, 16])
def test_shapes(patch):
    model = excited(Tokenizer(replace(SMALL, patch=patch)))
    tokens = model.encode(pictures(4))
    assert tokens.shape == (2, 4, (16 // patch) ** 2) and tokens.dtype == torch.int64
    assert tokens.min() >= 0 and tokens.max() < 32
    assert model.decode(tokens).shape == (2, 4, 3, 16, 16)


@torch.no_grad()
def test_tokens_lie_on_the_grid_row_by_row():
    """With encoder and decoder silent a patch of the picture bears on its own token and patch alone."""
    model = Tokenizer(SMALL).eval()  # its residual branches start at zero
    frames = pictures(2)
    changed = frames.clone()
    changed[:, 1, :, :8, 8:] += 1  # upper right
    before, after = model._encodings(frames), model._encodings(changed)
    assert (before != after).any(-1).nonzero().tolist() == [[0, 1, 1], [1, 1, 1]]
    tokens = model.encode(frames)
    other = tokens.clone()
    other[:, :, 2] = (other[:, :, 2] + 1) % 32
    difference = (model.decode(tokens) != model.decode(other)).any(2)[0, 0]
    assert difference[8:, :8].all() and not difference[:8].any() and not difference[:, 8:].any()


@torch.no_grad()
def test_a_later_frame_changes_no_token_or_picture_before_it():
    model, frames = excited(Tokenizer(SMALL)), pictures(6)
    changed = frames.clone()
    changed[:, 4] = 1 - changed[:, 4]
    before, after = model._encodings(frames), model._encodings(changed)
    assert torch.equal(before[:, :4], after[:, :4])
    assert not torch.allclose(before[:, 4], after[:, 4]) and not torch.allclose(before[:, 5], after[:, 5])
    tokens = model.encode(frames)
    other = tokens.clone()
    other[:, 4] = (other[:, 4] + 1) % 32
    before, after = model.decode(tokens), model.decode(other)
    assert torch.equal(before[:, :4], after[:, :4])
    assert not torch.allclose(before[:, 4], after[:, 4])


@torch.no_grad()
def test_decoding_frame_by_frame_equals_decoding_the_whole_beyond_the_window():
    model = excited(Tokenizer(SMALL))
    tokens = torch.randint(32, (2, 11, 4), generator=torch.Generator().manual_seed(2))
    whole, cache = model.decode(tokens), model.decoder.new_cache(2)
    pieces = [model.decode(tokens[:, :3], cache)] + [model.decode(tokens[:, t : t + 1], cache) for t in range(3, 11)]
    assert torch.allclose(torch.cat(pieces, 1), whole, atol=1e-5)


@torch.no_grad()
def test_moving_pixels_weigh_more():
    model = excited(Tokenizer(replace(SMALL, commitment_weight=0.0)))
    frames = pictures(1).repeat(1, 5, 1, 1, 1)
    frames[:, 3, :, 4:9, 4:9] += 0.3  # a sprite comes by
    frames[:, 2, 1, 0, 0] += 0.01  # too little to be called motion
    loss, metrics = model({"frames": frames})

    real = frames.numpy().astype(float)
    error = np.square(model.decode(model.encode(frames)).numpy() - real)
    weight = np.ones_like(error)
    weight[:, 3, :, 4:9, 4:9] = 1 + 4
    assert loss.item() == pytest.approx((weight * error).mean(), rel=1e-4)
    assert metrics["mse"].item() == pytest.approx(error.mean(), rel=1e-4)
    assert metrics["codes"].item() == len(np.unique(model.encode(frames)))


def test_warm_up_trains_without_codes_then_starts_them_at_encodings():
    torch.manual_seed(0)
    model, batch = Tokenizer(replace(SMALL, warmup=2)), {"frames": pictures(3)}
    for step in (1, 2):
        _, metrics = model(batch)
        assert model.steps == step and not model.codebook.started and metrics["commitment"] == 0
    encodings = torch.nn.functional.normalize(model._encodings(batch["frames"]), dim=-1).flatten(0, -2)
    _, metrics = model(batch)
    assert model.codebook.started and metrics["commitment"] > 0
    similarity = (model.codebook.codes @ encodings.T).amax(1)
    torch.testing.assert_close(similarity, torch.ones(32), atol=2e-3, rtol=0)  # one step of averaging later


@torch.no_grad()
def test_evaluation_changes_nothing():
    model = excited(Tokenizer(SMALL))
    before = {name: value.clone() for name, value in model.state_dict().items()}
    model({"frames": pictures(3)})
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())


def test_overfits_a_toy_clip_to_28_db():
    torch.manual_seed(0)
    clip = toy_clip(35)[20::5, 32:56, 8:32]  # the ground, and sprites and dangers that pass over it
    frames = to_model(torch.from_numpy(clip))[None]
    sizes = {"dim": 64, "heads": 2, "encoder_blocks": 1, "decoder_blocks": 1, "codes": 32, "code_dim": 16}
    model = Tokenizer(TokenizerConfig(size=24, warmup=60, **sizes))
    optimizer = torch.optim.AdamW(model.parameters(), betas=(0.9, 0.99))
    for step in range(200):
        for group in optimizer.param_groups:
            group["lr"] = 6e-3 * min(1, (step + 1) / 10) * (1 - step / 200)
        optimizer.zero_grad()
        model({"frames": frames})[0].backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
    with torch.no_grad():
        seen = model.eval().decode(model.encode(frames)).clamp(0, 1)
    reached = -10 * np.log10(np.square(seen.numpy() - frames.numpy()).mean())
    mean_picture = -10 * np.log10(np.square(frames.numpy() - frames.numpy().mean((0, 1))).mean())
    assert reached > 28 > mean_picture + 5, (reached, mean_picture)


def test_warm_up_ends_after_a_fifth_of_the_fit_however_few_steps_that_is():
    model = Tokenizer(TokenizerConfig(dim=8, heads=2, patch=32, codes=8, code_dim=4, warmup=1000))
    frames = torch.rand(2, 3, 3, 64, 64)
    model({"frames": frames, "progress": torch.tensor(0.1)})
    assert not model.codebook.started
    model({"frames": frames, "progress": torch.tensor(0.3)})
    assert model.codebook.started
