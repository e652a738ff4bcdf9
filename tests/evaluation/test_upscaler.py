"""Metrics of the upscaler against OpenCV and torchmetrics, frame by frame."""

import cv2
import numpy as np
import pytest
import torch
from torchmetrics.image import StructuralSimilarityIndexMeasure

from genie_gym import data, games
from genie_gym.collection.policies import RandomPolicy
from genie_gym.collection.rollout import play_episode
from genie_gym.evaluation.upscaler import enlarged, score_upscaler
from genie_gym.metrics.image import psnr
from genie_gym.world_model import Checkpoint
from genie_gym.world_model.resolve import shipped_checkpoint
from tests.conftest import untrained_upscaler


@pytest.fixture
def pairs(tmp_path) -> data.FramePairs:
    rng = np.random.default_rng(0)
    high_res = rng.integers(0, 256, (19, 8, 8, 3), np.uint8).repeat(8, 1).repeat(8, 2)
    frames = np.stack([cv2.resize(picture, (16, 16), interpolation=cv2.INTER_AREA) for picture in high_res])
    steps = np.zeros(18, np.int64), np.zeros(18, np.float32)
    with data.EpisodeWriter(tmp_path, {"game": {"name": "Toy-Numpy"}, "actions": ["A"]}) as writer:
        writer.append(data.Episode(frames, *steps, high_res=high_res))
    return data.FramePairs(data.EpisodeDataset(tmp_path))


def similarity(drawn: np.ndarray, real: np.ndarray) -> float:
    metric = StructuralSimilarityIndexMeasure(data_range=1.0)
    return float(metric(*(torch.from_numpy(x / 255).permute(2, 0, 1)[None].float() for x in (drawn, real))))


def test_means_over_all_frames(pairs):
    upscaler = untrained_upscaler()
    scores = score_upscaler(upscaler, pairs, frames=100)
    assert list(scores) == ["nearest", "bicubic", "upscaler"]
    draw = {
        "nearest": lambda low: cv2.resize(low, (64, 64), interpolation=cv2.INTER_NEAREST),
        "bicubic": lambda low: cv2.resize(low, (64, 64), interpolation=cv2.INTER_CUBIC),
        "upscaler": lambda low: upscaler.upscale(torch.from_numpy(low)[None])[0].numpy(),
    }
    frames, high_res = (read(0, 0, 19) for read in (pairs.dataset.frames, pairs.dataset.high_res))
    for name, by_hand in draw.items():
        drawn = [(by_hand(frame), real) for frame, real in zip(frames, high_res, strict=True)]
        assert scores[name].psnr == pytest.approx(np.mean([psnr(*pair) for pair in drawn]), abs=0.01)
        expected = np.mean([similarity(*pair) for pair in drawn])
        assert scores[name].ssim == pytest.approx(expected, abs=1e-3)
    assert scores["nearest"].psnr == pytest.approx(60)  # blocks of one colour each


def test_frames_are_enlarged_after_the_transform(pairs):
    plain = score_upscaler(untrained_upscaler(), pairs, 5)
    dark = score_upscaler(untrained_upscaler(), pairs, 5, transform=lambda low: low // 2)
    for name in ("nearest", "bicubic"):
        assert dark[name].psnr < plain[name].psnr - 5


def test_shapes():
    low = np.random.default_rng(0).integers(0, 256, (2, 8, 8, 3), np.uint8)
    for frames in enlarged(untrained_upscaler(), low).values():
        assert frames.shape == (2, 32, 32, 3) and frames.dtype == np.uint8


@pytest.mark.retro
def test_the_shipped_upscaler_beats_bicubic_on_a_new_episode(tmp_path):
    pytest.importorskip("stable_retro", reason="needs stable-retro: pip install genie_gym[retro]")
    env = games.make("Airstriker")
    try:
        episode = play_episode(env, RandomPolicy(), seed=99, max_steps=60, high_res=256)
    finally:
        env.close()
    with data.EpisodeWriter(tmp_path, {"game": env.game.to_dict(), "actions": env.game.meanings}) as writer:
        writer.append(episode)
    upscaler = Checkpoint.load(shipped_checkpoint("Airstriker-Genesis")).upscaler
    scores = score_upscaler(upscaler, data.FramePairs(data.EpisodeDataset(tmp_path)), frames=16)
    assert scores["upscaler"].psnr > scores["bicubic"].psnr + 2
    assert scores["upscaler"].ssim > scores["bicubic"].ssim
