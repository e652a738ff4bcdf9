"""One episode of a real game, from reset to end."""

import hashlib
from collections.abc import Callable

import gymnasium as gym
import numpy as np

from genie_gym import data
from genie_gym.frames import square
from genie_gym.pipeline.policies import Policy

__all__ = ["episode_seed", "play_episode"]

REPORT_STEPS = 50  # steps between two calls of `on_steps`; a progress bar needs no more


def episode_seed(seed: int, index: int, policy: str = "") -> int:
    """The seed of one episode, in [0, 2^31).

    A hash, so that runs with neighbouring seeds share no episode; nor do runs of two policies with the same seed share
    levels, of which one run may be held out or tested on and the other trained on.
    """
    digest = hashlib.blake2b(f"{policy}/{seed}/{index}".encode(), digest_size=4).digest()
    return int.from_bytes(digest, "big") >> 1


def play_episode(
    env: gym.Env,
    policy: Policy,
    seed: int,
    max_steps: int,
    on_steps: Callable[[int], None] = lambda steps: None,
    large: int | None = None,
) -> data.Episode:
    """Plays until the game ends or `max_steps` actions were taken; the latter counts as truncated.

    Args:
        env: pixel observations uint8 (h, w, 3), Discrete actions.
        seed: seeds the reset and the policy.
        on_steps: called now and then with the number of steps taken since the last call.
        large: side of the finer pictures to keep beside the frames, made of what `env.render` gives; none by default.
    """
    if start := getattr(policy, "start", None):
        assert isinstance(env.action_space, gym.spaces.Discrete)
        # Gymnasium seeds the game with `seed` alone; from the same stream, actions would echo the game's luck.
        start(int(env.action_space.n), np.random.default_rng([seed, 1]))
    frame, _ = env.reset(seed=seed)
    frames, actions, rewards = [np.array(frame)], [], []
    finer = [_finer(env, large)] if large else []
    terminated = truncated = False
    while not (terminated or truncated):
        action = int(policy(frame))
        frame, reward, terminated, truncated, _ = env.step(action)
        frames.append(np.array(frame))
        if large:
            finer.append(_finer(env, large))
        actions.append(action)
        rewards.append(reward)
        truncated = bool(truncated or len(actions) >= max_steps)
        if len(actions) % REPORT_STEPS == 0:
            on_steps(REPORT_STEPS)
    on_steps(len(actions) % REPORT_STEPS)
    return data.Episode(
        np.stack(frames),
        np.array(actions, np.int64),
        np.array(rewards, np.float32),
        bool(terminated),
        truncated and not terminated,
        {"seed": seed},
        np.stack(finer) if large else None,
    )


def _finer(env: gym.Env, side: int) -> np.ndarray:
    """The present picture in the game's own resolution, made a square: uint8 (side, side, 3)."""
    return square(np.asarray(env.render()), side)
