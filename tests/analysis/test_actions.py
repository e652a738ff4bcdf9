"""Rollouts by action against rollouts stepped by hand; the shipped model's actions have different effects."""

import numpy as np
import pytest
import torch

from genie_gym.analysis.actions import action_differences, differences_from_median, rollouts_by_action
from genie_gym.world_model import SamplingConfig
from tests.conftest import untrained


@pytest.fixture(scope="module")
def toy():
    return untrained()


def contexts(checkpoint, rows) -> tuple[np.ndarray, np.ndarray]:
    return tuple(checkpoint.initial_contexts[name][rows].numpy() for name in ("frames", "actions"))


def test_each_action_is_held_from_the_same_context_with_the_same_noise(toy):
    sampling = SamplingConfig(steps=2)
    rollouts = rollouts_by_action(toy, *contexts(toy, slice(0, 3)), 5, seed=7, sampling=sampling)
    assert rollouts.shape == (3, 4, 5, 64, 64, 3) and rollouts.dtype == np.uint8
    seeds = torch.from_numpy(np.random.default_rng(7).integers(2**63, size=3))
    for row, action in ((0, 2), (2, 0), (2, 3)):
        prompt, prev_actions = (torch.from_numpy(x) for x in contexts(toy, slice(row, row + 1)))
        state, _ = toy.model.start(prompt, prev_actions, seeds[row : row + 1])
        for step in range(5):
            frame = toy.model.step(state, torch.tensor([action]), sampling).frames[0].numpy()
            np.testing.assert_array_equal(rollouts[row, action, step], frame)


def test_another_seed_is_other_noise(toy):
    one, same, other = (rollouts_by_action(toy, *contexts(toy, slice(0, 1)), 3, seed=seed) for seed in (0, 0, 1))
    np.testing.assert_array_equal(one, same)
    assert not np.array_equal(one, other)


def test_what_an_action_changes_is_its_distance_from_the_median():
    rollouts = np.full((1, 3, 2, 4, 4, 3), 50, np.uint8)
    rollouts[0, 1, 1, 2, 3, 0] = 90  # the second action alone lights a pixel, red by 40 levels
    rollouts[0, :, 0, 0, 0] = 200  # and all of them another one
    changes = differences_from_median(rollouts)
    assert changes.shape == (1, 3, 2, 4, 4)
    assert np.argwhere(changes).tolist() == [[0, 1, 1, 2, 3]] and changes.max() == 40


def test_actions_differ_by_the_mean_level_of_their_last_frames():
    rng = np.random.default_rng(0)
    rollouts, other_noise = (rng.integers(0, 256, (2, 3, 2, 4, 4, 3), np.uint8) for _ in range(2))
    differences = action_differences(rollouts, other_noise)
    np.testing.assert_allclose(differences, differences.T)
    for i, j in np.ndindex(3, 3):
        pairs = [np.abs(rollouts[:, p, -1].astype(float) - other_noise[:, q, -1]).mean() for p, q in ((i, j), (j, i))]
        assert differences[i, j] == pytest.approx(np.mean(pairs))


def test_left_and_right_lead_apart_further_than_chance(shipped):
    """Figure 4: the ship goes where it is steered, from any initial context."""
    meanings = [action["meaning"] for action in shipped.game["actions"]]
    left, right = meanings.index("LEFT"), meanings.index("RIGHT")
    prompts, prev_actions = contexts(
        shipped, slice(0, 64, 4)
    )  # many, as a wave of enemies may come in one rollout and not in the other
    rollouts, other_noise = (rollouts_by_action(shipped, prompts, prev_actions, 4, seed=seed) for seed in (0, 1))
    differences = action_differences(rollouts, other_noise)
    assert differences[left, right] > 1.25 * max(differences[left, left], differences[right, right])
