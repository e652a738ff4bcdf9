"""Shared by the tests of studies: the trained model that ships, and real play of it."""

import pytest

from genie_gym.pipeline.studies import Play
from genie_gym.world_model import Checkpoint
from genie_gym.world_model.weights import load_weights, shipped_weights


@pytest.fixture(scope="session")
def shipped() -> Checkpoint:
    return load_weights(str(shipped_weights("Airstriker-Genesis")), "cpu", "float32")


@pytest.fixture(scope="session")
def real_play(shipped) -> Play:
    """The pieces of four frames that lie in the checkpoint, every fourth one."""
    frames, actions = (shipped.starts[name][::4].numpy() for name in ("frames", "actions"))
    return Play(frames, actions)
