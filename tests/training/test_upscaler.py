"""What feeds the upscaler, what its validation measures, and that `tiny` is small enough for two cores."""

import cv2
import numpy as np
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from genie_gym import data
from genie_gym.errors import ConfigError
from genie_gym.metrics.image import psnr
from genie_gym.models.upscaler import Upscaler, UpscalerConfig
from genie_gym.training.loop.config import TrainerConfig
from genie_gym.training.loop.trainer import StageReport
from genie_gym.training.upscaler import UPSCALER_PRESETS, get_upscaler_preset, train_upscaler
from tests.conftest import untrained_upscaler

HEADER = {"game": {"name": "Toy-Numpy"}, "actions": ["A"]}
CONFIG = TrainerConfig(steps=2, batch_size=4, precision="float32", warmup=1)


@pytest.fixture
def pairs(tmp_path) -> data.FramePairs:
    """Eleven frames of 16x16 pixels, each a hard-edged block of 4x4 in the larger picture."""
    rng = np.random.default_rng(0)
    high_res = rng.integers(0, 256, (11, 16, 16, 3), np.uint8).repeat(4, 1).repeat(4, 2)
    frames = np.stack([cv2.resize(picture, (16, 16), interpolation=cv2.INTER_AREA) for picture in high_res])
    steps = np.zeros(10, np.int64), np.zeros(10, np.float32)
    with data.EpisodeWriter(tmp_path / "recording", HEADER) as writer:
        writer.append(data.Episode(frames, *steps, high_res=high_res))
    return data.FramePairs(data.EpisodeDataset(tmp_path / "recording"))


def fed(monkeypatch) -> dict:
    """What the fit gives to the training loop, which does not run."""
    caught = {}

    def catch(model, sample, validate, config, folder, name):
        caught.update(sample=sample, validate=validate)
        return StageReport(0, 0.0)

    monkeypatch.setattr("genie_gym.training.upscaler.run_training", catch)
    return caught


def test_it_is_fed_pieces_of_frames(pairs, tmp_path, monkeypatch):
    caught = fed(monkeypatch)
    train_upscaler(untrained_upscaler(), pairs, pairs, CONFIG, tmp_path, crop=8)
    batch = caught["sample"](np.random.default_rng(3), 5)
    low, high = pairs.sample(np.random.default_rng(3), 5, crop=8)
    assert batch["low"].shape == (5, 3, 8, 8) and batch["high"].shape == (5, 3, 32, 32)
    for name, pictures in (("low", low), ("high", high)):
        np.testing.assert_allclose(batch[name].numpy(), pictures.transpose(0, 3, 1, 2) / 255, rtol=1e-6)


def test_the_figures_are_those_of_all_held_out_frames(pairs, tmp_path, monkeypatch):
    caught, model = fed(monkeypatch), untrained_upscaler()
    train_upscaler(model, pairs, pairs, CONFIG, tmp_path)
    figures = caught["validate"](model)

    recording, ours, bicubic = pairs.dataset, [], []
    for frame, real in zip(recording.frames(0, 0, 11), recording.high_res(0, 0, 11), strict=True):
        drawn = model.upscale(torch.from_numpy(frame)[None])[0].numpy()
        ours.append(psnr(drawn, real))
        bicubic.append(psnr(cv2.resize(frame, (64, 64), interpolation=cv2.INTER_CUBIC), real))
    assert float(figures["psnr"]) == pytest.approx(np.mean(ours), abs=0.02)
    assert float(figures["bicubic_psnr"]) == pytest.approx(np.mean(bicubic), abs=0.02)
    assert abs(np.mean(ours) - np.mean(bicubic)) > 0.1
    picture = figures["bicubic_upscaled_real"]
    assert picture.shape == (1, 4 * 64 + 3, 3 * 64 + 2, 3)
    np.testing.assert_array_equal(picture[0, :64, -64:], recording.high_res(0, 0, 1)[0])


def test_fitted_it_beats_bicubic(pairs, tmp_path):
    torch.manual_seed(0)
    model = Upscaler(UpscalerConfig(widths=(8, 12)))
    config = TrainerConfig(
        steps=40, batch_size=8, lr=1e-2, warmup=5, ema_decay=0.9, precision="float32", validate_every=100
    )
    report = train_upscaler(model, pairs, pairs, config, tmp_path / "run")
    assert report.finished and report.metrics["psnr"] > report.metrics["bicubic_psnr"] + 1


def test_presets():
    by_clock, by_steps = (get_upscaler_preset("tiny").recipe_for(minutes, seed=7) for minutes in (3.0, None))
    assert (by_clock.minutes, by_clock.steps, by_clock.seed) == (3.0, None, 7)
    assert (by_steps.minutes, by_steps.steps, by_steps.seed) == (None, UPSCALER_PRESETS["tiny"].training.steps, 7)
    with pytest.raises(ConfigError, match="unknown preset 'huge'; choose one of tiny, small, paper"):
        get_upscaler_preset("huge")


def test_tiny_is_small_enough_for_a_dream_in_real_time_on_two_cores():
    model = Upscaler(UPSCALER_PRESETS["tiny"].model)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model.enlarge(torch.rand(1, 3, 64, 64))
    assert counter.get_total_flops() < 2e9
    assert sum(parameter.numel() for parameter in model.parameters()) * 4 < 2e6  # bytes
    sizes = [sum(p.numel() for p in Upscaler(preset.model).parameters()) for preset in UPSCALER_PRESETS.values()]
    assert sizes == sorted(sizes)
