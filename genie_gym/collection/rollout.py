"""One episode of a real game, from reset to end."""

import hashlib
from collections.abc import Callable

import gymnasium as gym
import numpy as np

from genie_gym import data
from genie_gym.collection.policies import Policy
from genie_gym.utils.images import letterbox

__all__ = ["episode_seed", "play_episode"]

REPORT_STEPS = 50  # steps between two calls of `on_steps`; a display needs no more


def episode_seed(seed: int, index: int, policy: str = "") -> int:
    """Return the seed of one episode, in [0, 2^31).

    The seed is a hash, so that neighbouring seeds share no episode, and neither do two policies with the same seed:
    one of them may serve as test data for a model trained on the other.
    """
    digest = hashlib.blake2b(f"{policy}/{seed}/{index}".encode(), digest_size=4).digest()
    return int.from_bytes(digest, "big") >> 1


def play_episode(
    env: gym.Env,
    policy: Policy,
    seed: int,
    max_steps: int,
    on_steps: Callable[[int], None] = lambda steps: None,
    high_res: int | None = None,
) -> data.Episode:
    """Run a policy until the game ends or `max_steps` actions were taken, in which case the episode is truncated.

    Args:
        env: Environment with observations uint8 (h, w, 3) and Discrete actions.
        policy: Policy that chooses the actions.
        seed: Seed of both the environment and the policy.
        max_steps: Maximum number of actions.
        on_steps: Called from time to time with the number of steps since the last call.
        high_res: Side in pixels of the high-resolution frames to keep as well, taken from `env.render`; none by
            default.

    Returns:
        The episode, with its seed in `info`.
    """
    if reset := getattr(policy, "reset", None):
        assert isinstance(env.action_space, gym.spaces.Discrete)
        # Gymnasium seeds the game with `seed` alone; drawn from the same stream, actions would correlate with it.
        reset(int(env.action_space.n), np.random.default_rng([seed, 1]))
    frame, _ = env.reset(seed=seed)
    frames, actions, rewards = [np.array(frame)], [], []
    high_res_frames = [_render(env, high_res)] if high_res else []
    terminated = truncated = False
    while not (terminated or truncated):
        action = int(policy(frame))
        frame, reward, terminated, truncated, _ = env.step(action)
        frames.append(np.array(frame))
        if high_res:
            high_res_frames.append(_render(env, high_res))
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
        np.stack(high_res_frames) if high_res else None,
    )


def _render(env: gym.Env, side: int) -> np.ndarray:
    """Return the current image in the game's own resolution, fitted into a square: uint8 (side, side, 3)."""
    return letterbox(np.asarray(env.render()), side)
