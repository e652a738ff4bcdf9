"""A dream that never ends, and one that is begun again and again: nothing grows, and nothing drifts."""

import gc
import resource
import sys
from pathlib import Path

import numpy as np
import pytest

from genie_gym.envs import WorldModelEnv, WorldModelVectorEnv
from tests.conftest import LONG

GROWTH = 32 * 2**20  # bytes, for what allocators keep; 100,000 steps that kept a frame each would take 1.2 GB


def resident() -> int:
    """Memory of this process in bytes."""
    gc.collect()
    statm = Path("/proc/self/statm")
    if statm.exists():
        return int(statm.read_text().split()[1]) * resource.getpagesize()
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def rollout(env, actions: np.ndarray, seed: int) -> list[np.ndarray]:
    """The frames of a rollout from a seed, and its rewards."""
    frames, rewards = [env.reset(seed=seed)[0]], []
    for action in actions:
        frame, reward, *_ = env.step(action)
        frames.append(frame)
        rewards.append(np.atleast_1d(reward))
    return [np.stack(frames), np.stack(rewards)]


def same(one: list[np.ndarray], other: list[np.ndarray]) -> bool:
    return all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


@pytest.mark.parametrize("steps", [200, pytest.param(100_000, marks=LONG)])
def test_one_long_dream_neither_grows_nor_drifts(toy_checkpoint, steps):
    env = WorldModelEnv(checkpoint=toy_checkpoint, device="cpu", terminate=False, reward="autoexplore")
    actions = np.random.default_rng(0).integers(0, 4, steps)
    before = rollout(env, actions[:20], seed=7)
    for action in actions[:100]:  # until everything is allocated
        env.step(int(action))
    memory = resident()
    for action in actions:
        env.step(int(action))
    assert resident() - memory < GROWTH
    assert same(before, rollout(env, actions[:20], seed=7))
    fresh = WorldModelEnv(checkpoint=toy_checkpoint, device="cpu", terminate=False, reward="autoexplore")
    assert same(before, rollout(fresh, actions[:20], seed=7))


@pytest.mark.parametrize("resets", [20, pytest.param(1000, marks=LONG)])
def test_partial_resets_neither_grow_nor_drift(toy_checkpoint, resets):
    count, rng = 64, np.random.default_rng(0)
    options = {"checkpoint": toy_checkpoint, "device": "cpu", "autoreset_mode": "Disabled", "terminate": False}
    env = WorldModelVectorEnv(count, **options)
    actions = rng.integers(0, 4, (10, count))
    before = rollout(env, actions, seed=7)
    memory = 0
    for number in range(resets):
        mask = rng.random(count) < 0.3
        mask[rng.integers(count)] = True
        env.reset(options={"reset_mask": mask})
        env.step(rng.integers(0, 4, count))
        if number == resets // 10:
            memory = resident()
    assert resident() - memory < GROWTH
    assert same(before, rollout(env, actions, seed=7))
    # Rows that were begun anew beside others that went on are those of an environment that never saw the others.
    mask = np.arange(count) % 2 == 0
    env.reset(seed=9, options={"reset_mask": mask})
    fresh = WorldModelVectorEnv(count, **options)
    fresh.reset(seed=9)
    for some in actions:
        frames, expected = (one.step(some)[0].astype(int) for one in (env, fresh))
        assert np.abs(frames[mask] - expected[mask]).max() <= 1  # rounded otherwise at other places of the ring buffer
