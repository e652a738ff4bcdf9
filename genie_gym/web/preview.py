"""Moving thumbnails: a few seconds of each world's dream, made when they are first looked at."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import numpy as np
from einops import rearrange

from genie_gym.collection.policies import StickyPolicy
from genie_gym.web.batch import Batch, encode_png
from genie_gym.web.dream import Dream
from genie_gym.web.worlds import World

__all__ = ["FRAMES", "Previews"]

FRAMES = 24
SEED = 0


class Previews:
    """The thumbnails made so far.

    Args:
        in_a_pass: Runs work on models between the passes of those who play.
    """

    def __init__(self, in_a_pass: Callable[..., Awaitable[Any]]):
        self._in_a_pass = in_a_pass
        self._made: dict[str, asyncio.Task[bytes]] = {}

    async def of(self, world: World) -> bytes:
        """Return a PNG of a world: frames of a dream under random actions, below one another.

        Raises:
            CheckpointError, ConfigError: The world cannot be loaded.
        """
        task = self._made.get(world.id)
        if task is None or (task.done() and (task.cancelled() or task.exception() is not None)):
            task = self._made[world.id] = asyncio.ensure_future(self._make(world))
        return await asyncio.shield(task)  # others may wait for it too

    async def _make(self, world: World) -> bytes:
        loaded = await asyncio.to_thread(world.load)
        dream = await self._in_a_pass(Dream.begin, loaded, SEED, None, False)
        batch, frames, policy = Batch(loaded, world.temperature), [dream.first.frame], StickyPolicy()
        policy.reset(len(world.game.actions), np.random.default_rng(SEED))
        while len(frames) < FRAMES:  # one pass at a time, so that nobody who plays waits for long
            (drawn,) = await self._in_a_pass(batch.step, [dream.seat], [int(policy(frames[-1]))])
            frames.append(drawn.frame)
        return encode_png(rearrange(np.stack(frames), "t h w c -> (t h) w c"))
