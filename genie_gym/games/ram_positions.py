"""The player's position read from the game's memory, to count the positions that an agent visited.

stable-retro names such variables for few games. For some Atari games their addresses are known from AtariARI (Anand et
al. 2019) and OCAtari (Delfosse et al. 2024).
"""

from collections.abc import Callable
from typing import Any

import gymnasium as gym
import numpy as np

from genie_gym.games.spec import GameSpec

__all__ = ["MEMORY", "position"]

# Addresses of the player's x and y and of the room or level, in the 128 bytes of an Atari 2600, by the game's title.
MEMORY: dict[str, tuple[int, ...]] = {
    "Frostbite": (102, 100),
    "Hero": (27, 31, 28, 117),
    "Kangaroo": (17, 16, 36),
    "MontezumaRevenge": (42, 43, 3),
    "PrivateEye": (63, 86, 92),
    "Venture": (85, 26, 90),
}
# How a game's working memory is read, uint8 (128,), by system.
ATARI: dict[str, Callable[[Any], np.ndarray]] = {
    "Atari2600": lambda source: source.memory(),
    "Ale": lambda source: source.unwrapped.ale.getRAM(),
}
HORIZONTAL = ("x", "xscrollHi", "xscrollLo", "x_position")  # stable-retro's names; without one there is no position
OTHER = ("y", "levelHi", "levelLo", "zone", "act")


def position(game: GameSpec, source: gym.Env, info: dict[str, Any]) -> tuple[int, ...] | None:
    """Return the player's coordinates and room in the game's own units, None if they are unknown.

    Those of environments of one's own are.

    Args:
        game: Specification of the game.
        source: Environment of the game itself, after a reset.
        info: Info of its last `reset` or `step`.
    """
    addresses = MEMORY.get(game.title)
    if addresses is not None and game.system in ATARI:
        memory = ATARI[game.system](source)
        return tuple(int(memory[address]) for address in addresses)
    if game.system == "Own" or not any(name in info for name in HORIZONTAL):  # "x" may be anything in somebody's own
        return None
    return tuple(int(info[name]) for name in (*HORIZONTAL, *OTHER) if name in info)
