"""Strips of actions against dreams stepped by hand; the trained model's actions do different things."""

import numpy as np
import pytest
import torch

from genie_gym.pipeline.studies import action_differences, action_strips, changes_by_action
from genie_gym.world_model import Sampling
from tests.conftest import untrained


@pytest.fixture(scope="module")
def toy():
    return untrained()


def starts(checkpoint, rows) -> tuple[np.ndarray, np.ndarray]:
    return tuple(checkpoint.starts[name][rows].numpy() for name in ("frames", "actions"))


def test_each_action_is_held_from_the_same_start_with_the_same_noise(toy):
    sampling = Sampling(steps=2)
    strips = action_strips(toy, *starts(toy, slice(0, 3)), 5, seed=7, sampling=sampling)
    assert strips.shape == (3, 4, 5, 64, 64, 3) and strips.dtype == np.uint8
    seeds = torch.from_numpy(np.random.default_rng(7).integers(2**63, size=3))
    for start, action in ((0, 2), (2, 0), (2, 3)):
        prompt, led = (torch.from_numpy(x) for x in starts(toy, slice(start, start + 1)))
        state, _ = toy.model.start(prompt, led, seeds[start : start + 1])
        for step in range(5):
            frame = toy.model.step(state, torch.tensor([action]), sampling).frames[0].numpy()
            np.testing.assert_array_equal(strips[start, action, step], frame)


def test_another_seed_is_other_noise(toy):
    one, same, other = (action_strips(toy, *starts(toy, slice(0, 1)), 3, seed=seed) for seed in (0, 0, 1))
    np.testing.assert_array_equal(one, same)
    assert not np.array_equal(one, other)


def test_what_an_action_changes_is_its_distance_from_the_median():
    strips = np.full((1, 3, 2, 4, 4, 3), 50, np.uint8)
    strips[0, 1, 1, 2, 3, 0] = 90  # the second action alone lights a pixel, red by 40 levels
    strips[0, :, 0, 0, 0] = 200  # and all of them another one
    changes = changes_by_action(strips)
    assert changes.shape == (1, 3, 2, 4, 4)
    assert np.argwhere(changes).tolist() == [[0, 1, 1, 2, 3]] and changes.max() == 40


def test_actions_differ_by_the_mean_level_of_their_last_pictures():
    rng = np.random.default_rng(0)
    strips, again = (rng.integers(0, 256, (2, 3, 2, 4, 4, 3), np.uint8) for _ in range(2))
    differences = action_differences(strips, again)
    np.testing.assert_allclose(differences, differences.T)
    for i, j in np.ndindex(3, 3):
        pairs = [np.abs(strips[:, p, -1].astype(float) - again[:, q, -1]).mean() for p, q in ((i, j), (j, i))]
        assert differences[i, j] == pytest.approx(np.mean(pairs))


def test_left_and_right_lead_apart_further_than_chance(shipped):
    """Figure 4: the ship goes where it is steered, from starts anywhere in real play."""
    meanings = [action["meaning"] for action in shipped.game["actions"]]
    left, right = meanings.index("LEFT"), meanings.index("RIGHT")
    prompts, led = starts(shipped, slice(0, 64, 4))  # many, as a wave may come in one dream and not in the other
    strips, again = (action_strips(shipped, prompts, led, 4, seed=seed) for seed in (0, 1))
    differences = action_differences(strips, again)
    assert differences[left, right] > 1.25 * max(differences[left, left], differences[right, right])
