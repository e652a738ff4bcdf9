"""Planners: returns are those of copies of the environment, good plans are found, and the real game is played."""

import copy
import json

import numpy as np
import pytest

from genie_gym import games
from genie_gym.envs import WorldModelEnv
from genie_gym.envs.engine import LookAhead
from tests.training_recipes.test_recipes import recipe


@pytest.fixture(params=["transformer", "convolutional"])
def dream(request, toy_checkpoint, conv_checkpoint) -> WorldModelEnv:
    checkpoint = toy_checkpoint if request.param == "transformer" else conv_checkpoint
    env = WorldModelEnv(checkpoint=checkpoint, temperature=1.0, terminate=False)
    env.reset(seed=0)
    return env


def test_returns_are_those_of_copies_of_the_environment(dream):
    plans = np.random.default_rng(0).integers(0, 4, (10, 5))
    expected = []
    for plan in plans:
        twin, total, weight = copy.deepcopy(dream), 0.0, 1.0
        for action in plan:
            _, reward, _, _, info = twin.step(action)
            total += weight * reward
            weight *= 0.9 * (1 - info["termination_prob"])
        expected.append(total)
    np.testing.assert_allclose(recipe("plan_in_dream").returns_of(dream, plans, 0.9), expected, rtol=1e-3)


class Target:
    """In place of a dream: plans are worth as many rewards as they have actions of a hidden one."""

    def __init__(self, hidden: list[int]):
        self.hidden = np.array(hidden)

    def get_action_meanings(self) -> list[str]:
        return ["A", "B", "C", "D"]

    def reset(self, **_) -> None:
        pass

    def look_ahead(self, plans: np.ndarray) -> LookAhead:
        rewards = (plans == self.hidden).astype(np.float32)
        return LookAhead(rewards, rewards.copy(), np.zeros_like(rewards), np.zeros(plans.shape, bool))


@pytest.mark.parametrize("name", ["shooting", "cem"])
def test_both_find_the_action_that_pays(name):
    module, hidden = recipe("plan_in_dream"), [2, 0, 1, 3]
    search = module.Search(steps=4, plans=256)
    planner = module.PLANNERS[name](Target(hidden), search, seed=0)
    frames, actions = np.zeros((1, 64, 64, 3), np.uint8), np.zeros(0, int)
    assert [planner(frames, actions) for _ in range(2)] == hidden[:2]


def test_cross_entropy_finds_long_plans_that_chance_does_not():
    module = recipe("plan_in_dream")
    hidden = np.random.default_rng(5).integers(0, 4, 12).tolist()
    search, target = module.Search(steps=12, rounds=8), Target(hidden)
    planner = module.CrossEntropy(target, search, seed=0)
    assert (planner.best_plan() == hidden).mean() > 0.8
    assert (planner.odds.argmax(1)[:-2] == hidden[2:]).mean() > 0.8  # where the next search begins
    plans = planner.rng.integers(4, size=(32 * 8, 12))
    assert target.look_ahead(plans).rewards.mean(1).max() < 0.8


@pytest.mark.parametrize("name", ["shooting", "cem"])
def test_an_episode_is_played_in_the_real_game_and_again_the_same(toy_checkpoint, tmp_path, name):
    module = recipe("plan_in_dream")
    options = {"planner": name, "seeds": (0, 1), "steps": 6, "checkpoint": toy_checkpoint, "threads": 1}
    options["search"] = module.Search(plans=4, steps=3, rounds=2, elite=2)
    returns = module.main("Toy-Numpy", out=tmp_path / "returns.json", **options)
    assert returns.keys() == {name, "random"} and all(len(one) == 2 for one in returns.values())
    assert json.loads((tmp_path / "returns.json").read_text())["returns"] == returns
    assert module.main("Toy-Numpy", **options) == returns


@pytest.mark.retro
@pytest.mark.slow
def test_airstriker_is_played_by_plans():
    pytest.importorskip("stable_retro", reason="needs stable-retro: pip install genie_gym[retro]")
    if not games.available("Airstriker"):
        pytest.skip("needs Airstriker's ROM")
    module = recipe("plan_in_dream")
    search = module.Search(plans=4, steps=3, rounds=1, elite=2)
    returns = module.main("Airstriker-Genesis", seeds=(0,), steps=5, search=search, threads=1)
    assert np.isfinite(returns["cem"]).all()
