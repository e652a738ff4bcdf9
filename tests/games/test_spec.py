"""Specifications survive JSON, and map keys as pygame does."""

import json
from dataclasses import replace

import pytest

from genie_gym.errors import GameError
from genie_gym.games import Action, GameSpec, find, names


def test_every_spec_survives_json():
    chosen = replace(find("Airstriker"), savestates=("Level1", "Level2"))
    for spec in (*map(find, names()), chosen):
        assert GameSpec.from_dict(json.loads(json.dumps(spec.to_dict()))) == spec


@pytest.mark.parametrize(
    "spoiled", [{}, {"actions": "RIGHT"}, {"actions": [{"keys": []}]}, {"colour": "red"}, {"savestates": "Level1"}]
)
def test_a_foreign_description_is_refused(spoiled):
    plain = find("Airstriker").to_dict()
    with pytest.raises(GameError, match="Not the description of a game"):
        GameSpec.from_dict({**plain, **spoiled} if spoiled else {})


def test_frame_skip_keeps_the_speed_of_the_game():
    faster = find("Airstriker").with_frame_skip(2)
    assert (faster.frame_skip, faster.fps) == (2, 30)
    with pytest.raises(GameError, match="Received 0"):
        faster.with_frame_skip(0)


def test_keys_are_pygames():
    pygame = pytest.importorskip("pygame", reason="needs pygame: pip install genie_gym[play]")
    expected = {(pygame.K_RIGHT,): 1, (pygame.K_LEFT,): 2, (pygame.K_UP,): 3, (pygame.K_DOWN,): 4, (pygame.K_z,): 5}
    assert {keys: i for keys, i in find("Kangaroo").keys_to_action().items() if len(keys) == 1} == expected


def test_two_keys_at_once():
    keys = find("Kangaroo").keys_to_action()
    assert keys[(ord("z"), 1073741903)] == find("Kangaroo").meanings.index("PRIMARY")  # right and z: it jumps
    keys = find("CoinRun").keys_to_action()
    assert keys[(1073741903, 1073741906)] == find("CoinRun").meanings.index("RIGHT+UP")


def test_keys_are_sorted_as_gymnasium_expects():
    spec = GameSpec("X-Own", "X", "Own", (Action("NOOP"), Action("JUMP", keys=("up", "right", "z"))))
    (pressed,) = spec.keys_to_action()
    assert list(pressed) == sorted(pressed)
