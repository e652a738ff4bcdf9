"""Steering: a model that shows what the game shows is always right, one that mixes up its actions is not."""

import numpy as np
import pytest

from benchmarks.quality.branches import Branches, branch, dream
from benchmarks.quality.steering import score
from genie_gym import games
from genie_gym.collection.policies import StickyPolicy
from genie_gym.world_model import Checkpoint


def branches(moments: int = 5) -> Branches:
    """A bright square that three actions move to different places; a fourth one does what the first does."""
    real = np.zeros((moments, 4, 16, 16, 3), np.uint8)
    for action, x in enumerate((2, 6, 10, 2)):
        real[:, action, 4:8, x : x + 4] = 200
    prompts = np.zeros((moments, 4, 16, 16, 3), np.uint8)
    prompts[:, :, 4:8, 2:6] = 200
    return Branches(prompts, np.zeros((moments, 3), np.int64), real[:, :, None])


def test_a_perfect_model_is_always_right():
    shown = branches()
    figures = score(shown, shown.real.copy())
    assert (figures["moments_that_count"], figures["right"], figures["standard_error"]) == (5, 1.0, 0.0)
    assert figures["chance"] == pytest.approx((2 + 1 + 1 + 2) / 16)
    assert figures["repeating"] == 0.5  # right for both actions that leave the square where it is


def test_actions_that_are_mixed_up_are_wrong():
    shown = branches()
    assert score(shown, shown.real[:, [1, 2, 0, 3]])["right"] == 0.25


def test_moments_at_which_nothing_matters_do_not_count():
    shown = branches()
    shown.held[2:] = shown.held[2:, :1]
    assert score(shown, shown.real)["moments_that_count"] == 2


@pytest.mark.retro
def test_the_emulator_is_branched_and_goes_on_as_if_it_had_not_been():
    pytest.importorskip("stable_retro", reason="needs stable-retro: pip install genie_gym[retro]")
    env = games.make("Airstriker")
    try:
        found = branch(env, StickyPolicy(), 2, 4, seed=3)
        again = branch(env, StickyPolicy(), 2, 2, seed=3)  # branched elsewhere, played alike
    finally:
        env.close()
    assert found.real.shape == (2, 4, 64, 64, 3) and len(np.unique(found.real.reshape(8, -1), axis=0)) > 2
    assert np.array_equal(found.prompts, again.prompts) and np.array_equal(found.prev_actions, again.prev_actions)


def test_each_action_is_held_in_the_model(toy_checkpoint):
    checkpoint = Checkpoint.load(toy_checkpoint)
    contexts = {name: values.numpy() for name, values in checkpoint.initial_contexts.items()}
    shown = Branches(contexts["frames"][:3], contexts["actions"][:3], np.zeros((3, 4, 2, 64, 64, 3), np.uint8))
    frames = dream(checkpoint, shown, hold=2)
    assert frames.shape == (3, 4, 2, 64, 64, 3)
    assert all(len(np.unique(moment.reshape(4, -1), axis=0)) > 1 for moment in frames)
