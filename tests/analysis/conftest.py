"""Shared by the tests of analyses: the shipped model and real clips of its game."""

import pytest

from genie_gym.analysis.samples import SampledClips
from genie_gym.world_model import Checkpoint
from genie_gym.world_model.resolve import load_checkpoint, shipped_checkpoint


@pytest.fixture(scope="session")
def shipped() -> Checkpoint:
    return load_checkpoint(str(shipped_checkpoint("Airstriker-Genesis")), "cpu", "float32")


@pytest.fixture(scope="session")
def real_clips(shipped) -> SampledClips:
    """Every fourth initial context of the checkpoint, four frames each."""
    frames, actions = (shipped.initial_contexts[name][::4].numpy() for name in ("frames", "actions"))
    return SampledClips(frames, actions)
