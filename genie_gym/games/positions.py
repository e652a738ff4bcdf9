"""Where the player stands in a game, as the game's own memory says: for counting the places an agent reached.

stable-retro names such variables for few games; for some of Atari their addresses are known from AtariARI (Anand et al.
2019) and OCAtari (Delfosse et al. 2024).
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
ACROSS = ("x", "xscrollHi", "xscrollLo", "x_position")  # stable-retro's names; without one there is no position
ELSE = ("y", "levelHi", "levelLo", "zone", "act")


def position(env: GameEnv, info: dict[str, Any]) -> tuple[int, ...] | None:
    """The player's coordinates and room, in the game's own units; None where nobody knows where they are kept.

    Args:
        env: the game, reset.
        info: what its last `reset` or `step` returned.
    """
    addresses = MEMORY.get(env.game.name)
    if addresses is not None and isinstance(env.source, RetroGame):
        memory = env.source.memory()
        return tuple(int(memory[address]) for address in addresses)
    if not any(name in info for name in ACROSS):
        return None
    return tuple(int(info[name]) for name in (*ACROSS, *ELSE) if name in info)
