"""The position read from a game's memory changes as the player moves."""

from dataclasses import replace

import numpy as np
import pytest

from genie_gym import games
from genie_gym.games import roms
from genie_gym.games.ram_positions import MEMORY, position


def test_variables_named_by_the_game_are_used():
    env = games.make("Toy-Numpy")
    assert position(env.game, env.source, {"lives": 3}) is None
    assert position(env.game, env.source, {"lives": 3, "y": 5}) is None
    assert position(env.game, env.source, {"x": 7, "y": 5, "act": 1}) == (7, 5, 1)
    assert position(env.game, env.source, {"xscrollLo": np.uint8(9), "xscrollHi": 2, "levelHi": 0}) == (2, 9, 0)
    assert env.reset(seed=0)[1]["position"] == env.reset(seed=1)[1]["position"] == (16, 40)


@pytest.mark.parametrize("x", [None, "left", np.zeros(3), float("nan")])
def test_an_environment_of_ones_own_may_tell_anything(x):
    env = games.make("Toy-Numpy")
    assert position(replace(env.game, system="Own"), env.source, {"x": x}) is None


def test_all_addresses_lie_in_an_ataris_memory():
    assert all(f"{title}-Ale" in games.names() and max(found) < 128 for title, found in MEMORY.items())


def walk(game: str, meaning: str, steps: int) -> list[tuple[int, ...]]:
    env = games.make(game, random_start=False)
    env.reset(seed=0)
    try:
        positions = []
        for step in range(60 + steps):  # games do not react immediately
            action = env.game.meanings.index(meaning) if step >= 60 else env.game.noop
            _, _, _, _, info = env.step(action)
            if step >= 59:
                positions.append(info["position"])
        return positions
    finally:
        env.close()


@pytest.mark.retro
@pytest.mark.parametrize("game", ["Kangaroo-Atari2600", "Kangaroo-Ale", "MontezumaRevenge-Atari2600"])
def test_walking_moves_x_and_nothing_moves_nothing(game):
    pytest.importorskip("stable_retro", reason="needs stable-retro: pip install genie_gym[retro]")
    pytest.importorskip("ale_py", reason="needs ale-py: pip install genie_gym[atari]")
    roms.import_ale_roms()
    rest = walk(game, "NOOP", 8)
    assert len(set(rest)) == 1
    right = [position[0] for position in walk(game, "RIGHT", 8)]
    left = [position[0] for position in walk(game, "LEFT", 8)]
    assert max(right) > rest[0][0]
    assert min(left) < rest[0][0]
