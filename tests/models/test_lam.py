"""The latent action model: what each part may see, the arithmetic of its loss, and actions found in pictures alone."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from genie_gym.metrics.latent_actions import count_pairs, mutual_information, one_to_one_accuracy
from genie_gym.models import lam
from genie_gym.models.lam import LatentActionConfig, LatentActionModel
from tests.conftest import excited

SIZES = LatentActionConfig(size=32, patch=8, dim=32, heads=2, encoder_blocks=1, decoder_blocks=1, code_dim=8, warmup=60)


@pytest.fixture
def model() -> LatentActionModel:
    return excited(LatentActionModel(SIZES))


@pytest.fixture
def frames() -> Tensor:
    return torch.rand(3, 7, 3, 32, 32, generator=torch.Generator().manual_seed(0))


def blobs(rng: np.random.Generator, clips: int, length: int) -> tuple[Tensor, np.ndarray]:
    """A white square that stays or moves three pixels to one of four sides, at random, over some grey."""
    moves = np.array([[0, 0], [3, 0], [-3, 0], [0, 3], [0, -3]])
    actions = rng.integers(0, 5, (clips, length - 1))
    frames = np.repeat(rng.random((clips, 1, 1, 1, 1)) * 0.4, length, 1) * np.ones((1, 1, 3, 32, 32))
    for clip, taken in zip(frames, actions, strict=True):
        place = rng.integers(8, 18, 2)
        for t in range(length):
            place = np.clip(place + moves[taken[t - 1]], 0, 26) if t else place
            clip[t, :, place[0] : place[0] + 6, place[1] : place[1] + 6] = 1
    return torch.from_numpy(frames).float(), actions


def test_a_code_follows_from_the_frames_up_to_the_one_it_leads_to(model, frames):
    changed = frames.clone()
    changed[:, 4] = 1 - changed[:, 4]
    before, after = (model._encodings(x) for x in (frames, changed))
    assert before.shape == (3, 6, 8)
    assert torch.equal(before[:, :3], after[:, :3])  # these lead to frames 1 to 3
    assert not torch.allclose(before[:, 3], after[:, 3])
    codes = model.codes(frames)
    assert codes.shape == (3, 6) and codes.dtype == torch.int64
    nearest = (torch.nn.functional.normalize(before, dim=-1) @ model.codebook.codes.T).argmax(-1)
    assert torch.equal(codes, nearest)


def test_the_decoder_sees_the_past_and_the_code_only(model, frames):
    codes = torch.arange(21).reshape(3, 7) % 8
    changed, other = frames.clone(), codes.clone()
    changed[:, 4] = 1 - changed[:, 4]
    other[:, 5] = (other[:, 5] + 1) % 8
    with torch.no_grad():
        before, new_frame, new_code = (model.predict(*x) for x in ((frames, codes), (changed, codes), (frames, other)))
    assert before.shape == frames.shape
    assert torch.equal(before[:, :4], new_frame[:, :4])  # entry 3 is the guess of frame 4
    others = [0, 1, 2, 3, 4, 6]  # what led to earlier frames is seen in them
    assert torch.equal(before[:, others], new_code[:, others])
    for after, entry in ((new_frame, 4), (new_code, 5)):
        assert not torch.allclose(before[:, entry], after[:, entry])


def test_a_long_clip_in_pieces_has_the_same_codes(model, monkeypatch):
    frames = torch.rand(2, 12, 3, 32, 32)
    with torch.no_grad():
        model.codebook.codes.copy_(torch.nn.functional.normalize(model._encodings(frames)[0, :8], dim=-1))
    whole = model.codes(frames)
    assert len(whole.unique()) == 8
    for piece in (1, 3, 11):
        monkeypatch.setattr(lam, "CHUNK", piece)
        assert torch.equal(model.codes(frames), whole), piece


def test_untrained_it_repeats_the_last_frame(frames):
    model = LatentActionModel(replace(SIZES, commitment_weight=0)).eval()
    frames[:, 5] = frames[:, 4]
    torch.testing.assert_close(model.predict(frames, torch.zeros(3, 7, dtype=torch.int64)), frames)
    loss, metrics = model({"frames": frames})
    assert loss.item() == pytest.approx(1, abs=1e-4)  # the loss is a share of what repeating misses
    expected = np.square(np.diff(frames.numpy(), axis=1)).mean()
    assert metrics["mse"].item() == pytest.approx(expected, rel=1e-4)


def test_the_loss_in_numpy(model, frames):
    frames[:, 1:, :, :16] = frames[:, :1, :, :16]  # the upper half stands still
    loss, metrics = model({"frames": frames})
    with torch.no_grad():
        seen = torch.nn.functional.normalize(model._encodings(frames), dim=-1).numpy()
        codes = model.codes(frames)
        predicted = model.predict(frames[:, :-1], codes).numpy()
    real, last = frames.numpy()[:, 1:], frames.numpy()[:, :-1]
    weight = 1 + 4 * (np.abs(real - last).max(2, keepdims=True) > 0.02)
    share = (weight * (predicted - real) ** 2).mean() / (weight * (last - real) ** 2).mean()
    commitment = np.square(seen - model.codebook.codes.numpy()[codes.numpy()]).mean()
    assert loss.item() == pytest.approx(share + 0.25 * commitment, rel=1e-4)
    assert metrics["commitment"].item() == pytest.approx(commitment, rel=1e-4)
    assert metrics["codes"] == len(codes.unique())


def test_encodings_are_told_apart_however_alike_they_begin(frames):
    torch.manual_seed(0)
    alike = 0.5 + 0.001 * frames
    model = LatentActionModel(SIZES)
    seen = model._encodings(alike).detach().numpy()
    np.testing.assert_allclose(seen.mean((0, 1)), 0, atol=1e-4)
    assert (seen.std((0, 1)) > 0.1).all()
    assert len(model.codebook(model._encodings(alike))[1].unique()) > 2


def test_pixels_are_taken_from_where_the_motion_points():
    frames = torch.rand(1, 1, 3, 8, 8)
    motion = torch.zeros(1, 1, 8, 8, 2)
    motion[..., 0], motion[..., 1] = 2, -1  # from two pixels to the right and one above
    moved = lam._moved(frames, motion)[0, 0].numpy()
    expected = np.roll(frames[0, 0].numpy(), (1, -2), (1, 2))
    np.testing.assert_allclose(moved[:, 1:, :6], expected[:, 1:, :6], atol=1e-5)
    motion[..., 0], motion[..., 1] = 0.5, 0
    half = lam._moved(frames, motion)[0, 0].numpy()
    np.testing.assert_allclose(half[..., :7], (frames[0, 0, ..., :7] + frames[0, 0, ..., 1:]).numpy() / 2, atol=1e-5)


def test_a_code_does_the_same_at_every_place(model):
    frames, past, code = torch.rand(1, 1, 3, 64, 64), torch.zeros(1, 1, 16, 32), torch.randn(1, 1, 8)
    aside = torch.roll(frames, (2, -6), (3, 4))  # to no multiple of a patch

    def drawn(clip: Tensor) -> tuple[Tensor, Tensor]:
        motion, change = model.drawing(clip, past, code)
        return motion.movedim(-1, 2), change

    inside = (..., slice(18, 48), slice(16, 42))  # out of reach of the edges, before and after
    for here, there in zip(drawn(frames), drawn(aside), strict=True):
        assert here.std() > 0.01
        torch.testing.assert_close(torch.roll(here, (2, -6), (-2, -1))[inside], there[inside], atol=1e-4, rtol=1e-4)


@pytest.mark.slow
def test_actions_are_found_in_pictures_alone():
    torch.manual_seed(0)
    model, rng = LatentActionModel(SIZES), np.random.default_rng(0)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3, betas=(0.9, 0.99))
    for step in range(200):
        frames, _ = blobs(rng, 16, 4)
        loss, _ = model({"frames": frames, "progress": torch.tensor(step / 200)})
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
    frames, actions = blobs(np.random.default_rng(1), 256, 6)  # fewer tell something of each other by chance
    codes = model.eval().codes(frames).numpy()
    counts, chance = count_pairs(codes, actions), count_pairs(rng.permuted(codes), actions)
    assert (counts.sum(1) > 0).sum() >= 5  # no fewer codes than actions are in use
    assert mutual_information(counts) > 0.3 > 10 * mutual_information(chance)
    assert one_to_one_accuracy(counts) > one_to_one_accuracy(chance) + 0.15
