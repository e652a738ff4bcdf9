"""The ways to weigh plans give the same returns, or nothing is reported."""

import time

import numpy as np
import pytest
import torch

from benchmarks.common.operation_clock import OperationClock
from benchmarks.speed import planning
from genie_gym.envs import WorldModelEnv

PLANS = np.random.default_rng(0).integers(0, 4, (8, 4))


@pytest.fixture(params=["transformer", "convolutional"])
def env(request, toy_checkpoint, conv_checkpoint) -> WorldModelEnv:
    checkpoint = toy_checkpoint if request.param == "transformer" else conv_checkpoint
    made = WorldModelEnv(checkpoint=checkpoint, temperature=1.0, terminate=False)
    made.reset(seed=0)
    made.step(1)
    return made


def test_returns_by_branch_are_those_by_deepcopy(env):
    expected = planning.by_deepcopy(env, PLANS)
    assert len(np.unique(expected)) > 1
    np.testing.assert_allclose(planning.by_branch(env, PLANS), expected, rtol=1e-4)
    np.testing.assert_allclose(planning.by_look_ahead(env, PLANS), expected, rtol=1e-4)
    figures = planning.measure(env, PLANS, rounds=1)
    for clock in ("wall", "processor"):
        assert figures[clock]["times_as_fast"].keys() == {"deepcopy", "branch", "look_ahead"}
        assert figures[clock]["times_as_fast"]["deepcopy"] == 1


def test_other_returns_are_not_reported(env, monkeypatch):
    monkeypatch.setitem(planning.WAYS, "branch", lambda env, plans: planning.by_branch(env, plans) * 2)
    with pytest.raises(AssertionError):
        planning.measure(env, PLANS, rounds=1)


def test_bounds_follow_from_where_the_time_goes(env):
    found = planning.least(env, PLANS, 100.0)
    taken = found["seconds"]
    assert taken.keys() == {"products", "attention", "rest"} and taken["products"] > 0 and taken["rest"] > 0
    bounds = found["times_as_fast_at_most"]
    assert bounds["products and attention"] == pytest.approx(100 / (taken["products"] + taken["attention"]), rel=0.2)
    assert bounds["products and attention"] <= bounds["products"]


def test_operations_are_told_apart():
    x = torch.ones(300, 300)
    started = time.thread_time()
    with OperationClock() as clock:
        for _ in range(10):
            x = (x @ x).clamp(max=1.0)
    whole = time.thread_time() - started
    assert clock.seconds["products"] > clock.seconds["rest"] > 0
    assert clock.seconds["attention"] == 0
    assert 0.5 * whole < sum(clock.seconds.values()) <= whole
