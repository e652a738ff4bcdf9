"""Actions of other packages find their like by name."""

import pytest

from genie_gym import games
from genie_gym.errors import GameError
from genie_gym.games.ale import JOYSTICK

SIMPLE_MOVEMENT = ["NOOP", "right", "right A", "right B", "right A B", "A", "left"]  # of gym-super-mario-bros


def test_the_whole_joystick_drives_a_world_of_minimal_actions():
    minimal = games.find("Breakout-Ale").meanings
    chosen = [minimal[index] for index in games.match_actions(JOYSTICK, minimal)]
    found = dict(zip(JOYSTICK, chosen, strict=True))
    assert [found[name] for name in minimal] == minimal  # its own are themselves
    assert (found["UP"], found["UPRIGHT"], found["DOWN"]) == ("NOOP", "RIGHT", "NOOP")
    assert found["RIGHTFIRE"] in ("RIGHT", "FIRE")


def test_minimal_actions_drive_the_consoles_world_and_back():
    ale, console = games.find("Kangaroo-Ale").meanings, games.find("Kangaroo-Atari2600").meanings
    assert console == ["NOOP", "RIGHT", "LEFT", "UP", "DOWN", "PRIMARY"]
    assert console[games.match_actions(ale, console)[ale.index("FIRE")]] == "PRIMARY"
    assert ale[games.match_actions(console, ale)[5]] == "FIRE"


def test_simple_movement_is_known():
    mario = games.find("SuperMarioBros").meanings
    chosen = [mario[index] for index in games.match_actions(SIMPLE_MOVEMENT, mario)]
    assert chosen == [
        *("NOOP", "RIGHT", "RIGHT+PRIMARY", "RIGHT+SECONDARY", "RIGHT+PRIMARY+SECONDARY", "PRIMARY", "LEFT"),
    ]


def test_what_is_like_nothing_is_refused():
    with pytest.raises(GameError, match="'JUMP'"):
        games.match_actions(["JUMP"], ["RIGHT", "LEFT"])
