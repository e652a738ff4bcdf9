"""The worlds inside the package: each is found by its id, steps, and is small enough to ship."""

from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest

import genie_gym
from genie_gym.world_model import Checkpoint

WORLDS = sorted(Path(genie_gym.__file__).parent.glob("weights/*/config.json"))


@pytest.mark.parametrize("config", WORLDS, ids=[config.parent.name for config in WORLDS])
def test_it_steps_is_small_and_says_how_it_was_made(config):
    folder = config.parent
    assert sum(file.stat().st_size for file in folder.iterdir()) < 16e6
    env = gym.make(f"GenieRedux/{folder.name}-v0")
    first, _ = env.reset(seed=3)
    frames = [env.step(i % env.action_space.n)[0] for i in range(3)]
    assert first.shape == (64, 64, 3) and len(np.unique(np.stack(frames).reshape(3, -1), axis=0)) == 3
    metadata = Checkpoint.load(folder).metadata
    assert metadata.data and metadata.stages and metadata.commands
