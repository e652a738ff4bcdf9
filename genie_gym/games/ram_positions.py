"""The player's position read from the game's memory, to count the positions that an agent visited.

stable-retro names such variables for few games. For some Atari games their addresses are known from AtariARI (Anand et
al. 2019) and OCAtari (Delfosse et al. 2024).
"""

from typing import Any

from genie_gym.games.game_env import GameEnv
from genie_gym.games.retro import RetroGame

__all__ = ["MEMORY", "position"]

# Addresses of the player's x and y and of the room or level, in the 128 bytes of an Atari 2600.
MEMORY: dict[str, tuple[int, ...]] = {
    "Frostbite-Atari2600": (102, 100),
    "Hero-Atari2600": (27, 31, 28, 117),
    "Kangaroo-Atari2600": (17, 16, 36),
    "MontezumaRevenge-Atari2600": (42, 43, 3),
    "PrivateEye-Atari2600": (63, 86, 92),
    "Venture-Atari2600": (85, 26, 90),
}
HORIZONTAL = ("x", "xscrollHi", "xscrollLo", "x_position")  # stable-retro's names; without one there is no position
OTHER = ("y", "levelHi", "levelLo", "zone", "act")


def position(env: GameEnv, info: dict[str, Any]) -> tuple[int, ...] | None:
    """Return the player's coordinates and room in the game's own units, None if their addresses are unknown.

    Args:
        env: The game, after a reset.
        info: Info of its last `reset` or `step`.
    """
    addresses = MEMORY.get(env.game.name)
    if addresses is not None and isinstance(env.source, RetroGame):
        memory = env.source.memory()
        return tuple(int(memory[address]) for address in addresses)
    if not any(name in info for name in HORIZONTAL):
        return None
    return tuple(int(info[name]) for name in (*HORIZONTAL, *OTHER) if name in info)
