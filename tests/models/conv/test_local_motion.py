"""What moves by itself goes on moving, and mixtures of surroundings are those of loops in NumPy."""

import numpy as np
import pytest
import torch

from genie_gym.models.conv.local_motion import AROUND, BLOCK, REACH, LocalMotion

SIZE, PATCH = 16, 4
OFFSETS = [(i, j) for i in range(-REACH, REACH + 1) for j in range(-REACH, REACH + 1)]


@pytest.fixture
def local():
    torch.manual_seed(0)
    return LocalMotion(8, PATCH, SIZE).eval().requires_grad_(False)


def looked_up(frame: np.ndarray, y: int, x: int) -> np.ndarray:
    """A pixel of a frame (3, s, s), whose edge is repeated outside."""
    return frame[:, min(max(y, 0), SIZE - 1), min(max(x, 0), SIZE - 1)]


def test_what_rests_stays_and_what_moves_goes_on(local):
    rest = torch.rand(1, 3, 64, 64)
    wide = LocalMotion(8, PATCH, 64).requires_grad_(False)
    nothing = torch.zeros(1, 8, 16, 16)
    torch.testing.assert_close(wide(torch.stack([rest, rest], 1), nothing), rest, atol=1e-3, rtol=0)
    sky = torch.full((1, 3, 64, 64), 0.6)
    frames = []
    for step in range(3):  # a speckled square moves down and to the left
        frame = sky.clone()
        frame[:, :, 20 + step : 28 + step, 30 - 3 * step : 38 - 3 * step] = rest[:, :, :8, :8]
        frames.append(frame)
    guessed = wide(torch.stack(frames[:2], 1), nothing)
    assert (guessed - frames[2]).square().mean() < 0.1 * (frames[1] - frames[2]).square().mean()


def test_mismatches_are_means_over_a_block_and_what_lies_around_it(local):
    before, last = torch.rand(2, 1, 3, SIZE, SIZE)
    found = local.mismatches(before, last)[0]
    assert found.shape == (len(OFFSETS), SIZE // BLOCK, SIZE // BLOCK)
    then, now = before[0].numpy(), last[0].numpy()
    for o, gy, gx in ((0, 0, 0), (40, 3, 5), (71, 7, 7), (12, 4, 0)):
        down, right = OFFSETS[o]
        rows, columns = (range(max(BLOCK * g - AROUND, 0), min(BLOCK * (g + 1) + AROUND, SIZE)) for g in (gy, gx))
        errors = [abs(looked_up(then, y + down, x + right) - now[:, y, x]).mean() for y in rows for x in columns]
        assert found[o, gy, gx].item() == pytest.approx(np.mean(errors), abs=1e-6)


def test_each_block_is_a_mixture_of_its_surroundings(local):
    torch.nn.init.normal_(local.to_kernel.weight, std=0.5)
    pair, fine = torch.rand(2, 2, 3, SIZE, SIZE), torch.randn(2, 8, SIZE // PATCH, SIZE // PATCH)
    moved = local(pair, fine)[1].numpy()
    own = torch.nn.functional.pixel_shuffle(local.to_kernel(fine), PATCH // BLOCK)[1]
    logits = own - local.trust.exp() * local.mismatches(*pair[1:].unbind(1))[0] + local.rest[:, None, None]
    mixture, last = logits.softmax(0).numpy(), pair[1, 1].numpy()
    for y, x in ((0, 0), (7, 6), (15, 15), (4, 11)):
        shares = mixture[:, y // BLOCK, x // BLOCK]
        expected = sum(
            share * looked_up(last, y + down, x + right) for share, (down, right) in zip(shares, OFFSETS, strict=True)
        )
        np.testing.assert_allclose(moved[:, y, x], expected, atol=1e-5)
