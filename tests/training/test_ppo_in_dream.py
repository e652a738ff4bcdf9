"""What training/ppo_in_dream.py shows an agent of the real game is what it saw in the dream."""

import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("stable_baselines3", reason="needs stable-baselines3: pip install genie_gym[sb3]")
sys.path.append(str(Path(__file__).parents[2] / "training"))

from ppo_in_dream import dream, play
from stable_baselines3.common.vec_env import DummyVecEnv, VecFrameStack, VecTransposeImage

from genie_gym import games

RUN, JUMP = 1, 3


class Watcher:
    """Runs and jumps at every third step, and keeps what it was shown."""

    def __init__(self):
        self.seen = []

    def predict(self, seen):
        self.seen.append(seen.copy())
        return np.array(jumping(len(self.seen) - 1)), None


def jumping(step: int) -> int:
    return RUN if step % 3 else JUMP


def test_real_frames_are_stacked_as_the_dreams_are(toy_checkpoint):
    watcher = Watcher()
    play("Toy-Numpy", watcher, 2, seed=3, length=6)
    env = VecTransposeImage(VecFrameStack(DummyVecEnv([lambda: games.make("Toy-Numpy", max_steps=6)]), 4))
    expected = []
    for seed in (3, 4):
        env.seed(seed)
        expected.append(env.reset()[0].copy())  # the stack is written over
        for step in range(len(expected) - 1, len(expected) + 4):
            expected.append(env.step(np.array([jumping(step)]))[0][0].copy())
    np.testing.assert_array_equal(watcher.seen, expected)
    assert dream("Toy-Numpy", 2, 6, seed=0, checkpoint=toy_checkpoint).observation_space == env.observation_space


def test_returns_are_the_games():
    got = play("Toy-Numpy", Watcher(), 3, seed=5, length=60)
    env, expected, step = games.make("Toy-Numpy", max_steps=60), [], 0
    for seed in (5, 6, 7):
        env.reset(seed=seed)
        total, over = 0.0, False
        while not over:
            _, reward, ended, cut, _ = env.step(jumping(step))
            total, over, step = total + reward, ended or cut, step + 1
        expected.append(total)
    assert got == expected and len(set(expected)) > 1
    assert play("Toy-Numpy", None, 2, seed=5, length=20) == play("Toy-Numpy", None, 2, seed=5, length=20)
