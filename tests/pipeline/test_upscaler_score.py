"""The upscaler's figures, against OpenCV and torchmetrics taken picture by picture."""

import cv2
import numpy as np
import pytest
import torch
from torchmetrics.image import StructuralSimilarityIndexMeasure

from genie_gym import data, games
from genie_gym.metrics import psnr
from genie_gym.pipeline.policies import RandomPolicy
from genie_gym.pipeline.rollout import play_episode
from genie_gym.pipeline.upscaler_score import enlarged, score_upscaler
from genie_gym.world_model import Checkpoint
from genie_gym.world_model.weights import shipped_weights
from tests.conftest import untrained_upscaler


@pytest.fixture
def pairs(tmp_path) -> data.Pairs:
    rng = np.random.default_rng(0)
    large = rng.integers(0, 256, (19, 8, 8, 3), np.uint8).repeat(8, 1).repeat(8, 2)
    frames = np.stack([cv2.resize(picture, (16, 16), interpolation=cv2.INTER_AREA) for picture in large])
    steps = np.zeros(18, np.int64), np.zeros(18, np.float32)
    with data.RecordingWriter(tmp_path, {"game": {"name": "Toy-Numpy"}, "actions": ["A"]}) as writer:
        writer.append(data.Episode(frames, *steps, large=large))
    return data.Pairs(data.Recording(tmp_path))


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
    frames, large = (read(0, 0, 19) for read in (pairs.recording.frames, pairs.recording.large))
    for name, by_hand in draw.items():
        drawn = [(by_hand(frame), real) for frame, real in zip(frames, large, strict=True)]
        assert scores[name]["psnr"] == pytest.approx(np.mean([psnr(*pair) for pair in drawn]), abs=0.01)
        expected = np.mean([similarity(*pair) for pair in drawn])
        assert scores[name]["ssim"] == pytest.approx(expected, abs=1e-3)
    assert scores["nearest"]["psnr"] == pytest.approx(60)  # of blocks that are all of one colour


def test_what_is_seen_is_what_is_enlarged(pairs):
    plain = score_upscaler(untrained_upscaler(), pairs, 5)
    dark = score_upscaler(untrained_upscaler(), pairs, 5, seen=lambda low: low // 2)
    for name in ("nearest", "bicubic"):
        assert dark[name]["psnr"] < plain[name]["psnr"] - 5


def test_shapes():
    low = np.random.default_rng(0).integers(0, 256, (2, 8, 8, 3), np.uint8)
    for pictures in enlarged(untrained_upscaler(), low).values():
        assert pictures.shape == (2, 32, 32, 3) and pictures.dtype == np.uint8


@pytest.mark.retro
def test_the_upscaler_that_ships_beats_bicubic_on_play_it_has_not_seen(tmp_path):
    pytest.importorskip("stable_retro", reason="needs stable-retro: pip install genie_gym[retro]")
    env = games.make("Airstriker")
    try:
        episode = play_episode(env, RandomPolicy(), seed=99, max_steps=60, large=256)
    finally:
        env.close()
    with data.RecordingWriter(tmp_path, {"game": env.game.to_dict(), "actions": env.game.meanings}) as writer:
        writer.append(episode)
    upscaler = Checkpoint.load(shipped_weights("Airstriker-Genesis")).upscaler
    scores = score_upscaler(upscaler, data.Pairs(data.Recording(tmp_path)), frames=16)
    assert scores["upscaler"]["psnr"] > scores["bicubic"]["psnr"] + 2
    assert scores["upscaler"]["ssim"] > scores["bicubic"]["ssim"]
