"""Dreams drawn larger by the upscaler: the same dream, in Gymnasium's contract, alone and many at once."""

import warnings

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium.utils.env_checker import check_env

import genie_gym  # noqa: F401 (registers the ids)
from genie_gym.envs import WorldModelEnv, WorldModelVectorEnv
from genie_gym.errors import CheckpointError
from genie_gym.world_model import Checkpoint

ACTIONS = [1, 2, 3, 0]


def drawn(checkpoint: str, frames: np.ndarray) -> np.ndarray:
    """Frames of a dream uint8 (n, 64, 64, 3) as the upscaler draws them one by one, which may round by a level."""
    upscaler = Checkpoint.load(checkpoint).upscaler
    return np.concatenate([upscaler.upscale(torch.from_numpy(frame)[None]).numpy() for frame in frames])


def test_passes_gymnasiums_check_without_a_warning(upscaled_checkpoint):
    env = gym.make("GenieRedux/Toy-v0", checkpoint=upscaled_checkpoint, upscale=True, render_mode="rgb_array")
    assert env.observation_space == gym.spaces.Box(0, 255, (256, 256, 3), np.uint8)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_env(env.unwrapped)


def test_it_is_the_same_dream_drawn_larger(upscaled_checkpoint):
    plain = WorldModelEnv(checkpoint=upscaled_checkpoint)
    large = WorldModelEnv(checkpoint=upscaled_checkpoint, upscale=True, render_mode="rgb_array")
    small, shown = [plain.reset(seed=3)[0]], [large.reset(seed=3)[0]]
    for action in ACTIONS:
        (frame, *others), (picture, *theirs) = plain.step(action), large.step(action)
        assert others == theirs
        small.append(frame)
        shown.append(picture)
        np.testing.assert_array_equal(large.render(), picture)
    assert np.abs(np.stack(shown).astype(int) - drawn(upscaled_checkpoint, np.stack(small))).max() <= 1


def test_a_prompt_keeps_its_size(upscaled_checkpoint):
    prompt = np.random.default_rng(0).integers(0, 256, (3, 64, 64, 3), np.uint8)
    plain, large = (WorldModelEnv(checkpoint=upscaled_checkpoint, upscale=upscale) for upscale in (False, True))
    small, _ = plain.reset(seed=0, options={"prompt": prompt})
    frame, _ = large.reset(seed=0, options={"prompt": prompt})
    assert np.abs(frame.astype(int) - drawn(upscaled_checkpoint, small[None])[0]).max() <= 1
    again, _ = large.reset(seed=0, options={"prompt": frame})  # an observation may be one too
    assert again.shape == (256, 256, 3)


@pytest.mark.parametrize("mode", ["NextStep", "SameStep"])
def test_many_at_once_are_as_many_single_ones(upscaled_checkpoint, mode):
    options = {"max_episode_steps": 3, "terminate": False, "autoreset_mode": mode}
    plain = WorldModelVectorEnv(3, checkpoint=upscaled_checkpoint, **options)
    large = WorldModelVectorEnv(3, checkpoint=upscaled_checkpoint, upscale=True, render_mode="rgb_array", **options)
    assert large.observation_space.shape == (3, 256, 256, 3)
    assert large.single_observation_space.shape == (256, 256, 3)
    frames, pictures = plain.reset(seed=0)[0], large.reset(seed=0)[0]
    for action in ACTIONS:
        # a batch may round otherwise than single pictures, which shows as a level of colour at most
        assert np.abs(drawn(upscaled_checkpoint, frames).astype(int) - pictures).max() <= 1
        assert large.observation_space.contains(pictures)
        np.testing.assert_array_equal(np.stack(large.render()), pictures)
        (frames, *_), (pictures, *_, infos) = plain.step(np.full(3, action)), large.step(np.full(3, action))
        if "final_obs" in infos:
            assert infos["final_obs"][0].shape == (256, 256, 3)


def test_tensors(upscaled_checkpoint):
    env = WorldModelVectorEnv(2, checkpoint=upscaled_checkpoint, upscale=True, tensors=True)
    frames, _ = env.reset(seed=0)
    assert frames.shape == (2, 256, 256, 3) and frames.dtype == torch.uint8
    assert env.step(torch.tensor([0, 1]))[0].shape == (2, 256, 256, 3)


@pytest.mark.parametrize("make", [WorldModelEnv, lambda **options: WorldModelVectorEnv(2, **options)])
def test_without_an_upscaler_the_error_says_what_to_type(toy_checkpoint, make):
    with pytest.raises(CheckpointError) as error:
        make(checkpoint=toy_checkpoint, upscale=True)
    assert f"genie-gym collect Toy-Numpy --high-res && genie-gym train-upscaler {toy_checkpoint}" in str(error.value)
