"""The convolutional tokenizer: k-means on patches at first, patch by patch for ever, and able to learn."""

import numpy as np
import pytest
import torch
from einops import rearrange
from scipy.cluster.vq import kmeans2, vq

from genie_gym.models.conv.tokenizer import ConvTokenizer, ConvTokenizerConfig

SMALL = ConvTokenizerConfig(size=16, codes=24, encoder_width=8, width=8, fine_width=8, blocks=1)


def pictures(count: int, seed: int = 0) -> torch.Tensor:
    """Smooth pictures with a bright square somewhere, float (count, 3, 16, 16) in [0, 1]."""
    rng = np.random.default_rng(seed)
    slopes, ramp = rng.random((count, 3, 1, 1)), np.linspace(0, 1, 16)
    frames = slopes * ramp[:, None] * 0.5 + (1 - slopes) * ramp * 0.5
    for frame in frames:
        y, x = rng.integers(0, 12, 2)
        frame[:, y : y + 4, x : x + 4] = 1.0
    return torch.from_numpy(frames).float()


def patches_of(frames: torch.Tensor) -> np.ndarray:
    return rearrange(frames, "b k (h p) (w q) -> (b h w) (k p q)", p=4, q=4).detach().numpy()


@pytest.fixture(scope="module")
def prepared() -> ConvTokenizer:
    torch.manual_seed(0)
    model = ConvTokenizer(SMALL)
    model.prepare(pictures(200))
    return model.eval()


def test_prepared_it_is_nearest_neighbour_quantisation_of_patches(prepared):
    frames = pictures(5, seed=1)
    patches = patches_of(frames)
    known = prepared.linear_patches().detach().numpy()
    nearest, distance = vq(patches, known)  # SciPy's
    tokens = prepared.encode(frames[:, None])
    assert np.array_equal(tokens.flatten().numpy(), nearest)
    assert np.allclose(patches_of(prepared.decode(tokens)[:, 0]), known[nearest], atol=1e-4)
    theirs, _ = kmeans2(patches_of(pictures(200)), SMALL.codes, seed=0, minit="points")
    assert (distance**2).sum() < 1.3 * (vq(patches, theirs)[1] ** 2).sum()


def test_a_token_depends_on_its_own_patch_alone(prepared):
    frames = pictures(1)[None]
    changed = frames.clone()
    changed[..., 4:8, 8:12] = torch.tensor([1.0, 0.0, 0.5])[:, None, None]
    same = (prepared.encode(frames) == prepared.encode(changed))[0, 0]
    assert same.sum() >= 15 and same[torch.arange(16) != 6].all()


def test_clips_and_single_frames_are_coded_and_decoded_alike(prepared):
    clip = pictures(6)[None]
    tokens = prepared.encode(clip)
    alone = torch.cat([prepared.encode(clip[:, i : i + 1]) for i in range(6)], 1)
    assert torch.equal(tokens, alone)
    frames = [prepared.decode(tokens[:, i : i + 1], prepared.new_cache(1)) for i in range(6)]
    assert torch.allclose(torch.cat(frames, 1), prepared.decode(tokens), atol=1e-6)


def test_training_makes_it_better_and_uses_the_codes():
    torch.manual_seed(0)
    model, frames = ConvTokenizer(SMALL), pictures(64)[:, None]
    model.prepare(pictures(200))
    optimizer = torch.optim.AdamW(model.parameters(), 3e-3)
    errors = []
    for _ in range(60):
        loss, metrics = model({"frames": frames})
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        errors.append(float(metrics["mse"]))
    assert errors[-1] < 0.8 * errors[0]
    assert metrics["codes"] > 12
    assert all(parameter.grad.any() for parameter in model.parameters())
