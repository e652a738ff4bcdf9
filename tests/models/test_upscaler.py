"""The upscaler: bicubic before it has learnt anything, the same for one picture as for many, and able to learn."""

import cv2
import numpy as np
import pytest
import torch

from genie_gym.models.upscaler import BATCH, Upscaler, UpscalerConfig
from genie_gym.utils.images import to_model
from tests.conftest import excited

SMALL = UpscalerConfig(widths=(8, 12, 16))


def noise(count: int, side: int, seed: int = 0) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(seed).integers(0, 256, (count, side, side, 3), np.uint8))


@pytest.mark.parametrize("scale", [2, 4])
def test_before_training_it_enlarges_bicubically(scale):
    frames = noise(3, 16)
    drawn = Upscaler(UpscalerConfig(scale=scale)).upscale(frames)
    assert drawn.shape == (3, 16 * scale, 16 * scale, 3) and drawn.dtype == torch.uint8
    for mine, frame in zip(drawn.numpy(), frames.numpy(), strict=True):
        theirs = cv2.resize(frame, None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC)
        assert np.abs(mine.astype(int) - theirs).max() <= 1  # OpenCV rounds its weights


def test_a_picture_is_drawn_alike_alone_and_among_many():
    model, frames = excited(Upscaler(SMALL), 0.1), noise(BATCH + 3, 16)
    everything = model.upscale(frames)
    assert torch.equal(everything, model.upscale(frames))
    alone = torch.cat([model.upscale(frame[None]) for frame in frames])
    assert (everything.int() - alone.int()).abs().max() <= 1
    assert not torch.equal(everything, Upscaler(SMALL).upscale(frames))


def test_sides_need_not_be_equal():
    assert Upscaler(SMALL).enlarge(torch.rand(1, 3, 8, 20)).shape == (1, 3, 32, 80)


def test_the_loss_in_numpy():
    model = excited(Upscaler(SMALL), 0.1)
    low, high = to_model(noise(2, 8)), to_model(noise(2, 32, seed=1))
    with torch.no_grad():
        loss, metrics = model({"low": low, "high": high, "progress": torch.tensor(0.0)})
        error = model.enlarge(low).numpy() - high.numpy()
    assert float(loss) == pytest.approx(np.hypot(error, 0.03).mean(), rel=1e-5)
    assert float(metrics["mse"]) == pytest.approx(np.square(error).mean(), rel=1e-5)


def test_everything_takes_part():
    model = excited(Upscaler(UpscalerConfig(widths=(8, 12, 16), blocks=2)), 0.1)
    loss, _ = model({"low": to_model(noise(2, 8)), "high": to_model(noise(2, 32, seed=1))})
    loss.backward()
    assert all(parameter.grad.abs().sum() > 0 for parameter in model.parameters())


def test_sizes_survive_json():
    assert UpscalerConfig(widths=[8, 12]) == UpscalerConfig(widths=(8, 12))


def test_it_learns_what_bicubic_cannot_know():
    """Pictures made of a few hard-edged shapes, at places that never come twice."""
    rng = np.random.default_rng(0)

    def pictures(count: int) -> tuple[torch.Tensor, torch.Tensor]:
        high = np.zeros((count, 64, 64, 3), np.uint8)
        for picture in high:
            for top, left in rng.integers(0, 50, (6, 2)):
                picture[top : top + 10, left : left + 3] = picture[top : top + 3, left : left + 10] = (255, 80, 0)
        low = np.stack([cv2.resize(picture, (16, 16), interpolation=cv2.INTER_AREA) for picture in high])
        return to_model(torch.from_numpy(low)), to_model(torch.from_numpy(high))

    torch.manual_seed(0)
    model = Upscaler(UpscalerConfig(widths=(16, 24)))
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
    low, high = pictures(8)
    bicubic = (model.enlarge(low).clamp(0, 1) - high).square().mean()
    for _ in range(150):
        loss, _ = model(dict(zip(("low", "high"), pictures(8), strict=True)))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        ours = (model.enlarge(low).clamp(0, 1) - high).square().mean()
    assert -10 * torch.log10(ours / bicubic) > 2  # dB
