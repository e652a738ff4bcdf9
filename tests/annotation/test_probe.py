"""The probe on games whose buttons are known, and the recordings that it looks at."""

import numpy as np
import pytest

from genie_gym import games
from genie_gym.annotation import look_at, propose, record_game
from genie_gym.annotation.buttons import button_game
from genie_gym.annotation.record import HELD, NOTHING, STARTS
from genie_gym.errors import GameError
from genie_gym.games.retroact.table import BUTTONS, load_own


@pytest.fixture(scope="module")
def toy():
    return record_game("Toy", seed=3)


def test_the_toy_game(toy):
    proposal, known = propose(toy), load_own()["Toy-Numpy"]
    assert proposal.effects == known.effects
    assert (proposal.motion, proposal.camera) == (known.motion, known.camera)
    assert (proposal.blinking, proposal.delayed) == (known.blinking, known.delayed)


def test_clips_are_what_the_game_shows_from_the_same_state(toy):
    assert toy.missing == ("UP", "DOWN", "ACTION_SECONDARY") and len(toy.starts) == len(STARTS)
    env = games.make("Toy", size=64)
    for start in toy.starts[:3]:
        for button, action in ((NOTHING, 0), ("RIGHT", 1), ("ACTION_PRIMARY", 3)):
            env.reset(seed=3)
            for _ in range(start.waited):
                env.step(0)
            frames = [env.render(), *(_shown(env, action) for _ in range(HELD))]
            assert (start.clips[button] == np.stack(frames)).all()


def _shown(env, action):
    env.step(action)
    return env.render()


def test_the_same_seed_records_the_same(toy):
    again, other = record_game("Toy", seed=3), record_game("Toy", seed=4)
    clips = [[start.clips["LEFT"] for start in one.starts] for one in (toy, again, other)]
    assert all((one == two).all() for one, two in zip(clips[0], clips[1], strict=True))
    assert any((one != two).any() for one, two in zip(clips[0], clips[2], strict=True))


@pytest.mark.parametrize("name", ["Airstriker-Genesis", "SuperMarioBros-Nes", "Breakout-Ale", "CoinRun-Procgen", "Toy"])
def test_every_game_has_an_action_that_does_nothing_and_its_buttons(name):
    known = button_game(name)
    assert set(known.actions) == set(BUTTONS) and known.game.noop == 0
    assert all(action is None or action > 0 for action in known.actions.values())
    assert all(known.actions[side] is not None for side in ("RIGHT", "LEFT"))


def test_buttons_of_a_console_are_those_of_retroact():
    pressed = {action.meaning: action.buttons for action in button_game("SuperMarioBros-Nes").game.actions}
    assert pressed["ACTION_PRIMARY"] == ("A",) and pressed["ACTION_SECONDARY"] == ("B",)
    assert button_game("SuperMarioWorld-Snes").game.actions[-1].buttons == ("Y",)


@pytest.mark.slow
def test_it_is_looked_at_in_another_process(toy):
    look = look_at("Toy", seed=3)
    assert look.proposal == propose(toy) and set(look.clips) == {NOTHING, "RIGHT", "LEFT", "ACTION_PRIMARY"}
    assert look.clips[NOTHING].shape == (HELD + 1, 160, 160, 3)
    with pytest.raises(GameError, match="No ROM"):
        look_at("SuperMarioBros-Nes")


@pytest.mark.slow
@pytest.mark.retro
def test_airstriker():
    look = look_at("Airstriker")
    assert look.proposal.effects["RIGHT"] == "right" and look.proposal.effects["LEFT"] == "left"
    assert look.proposal.effects["UP"] == look.proposal.effects["DOWN"] == "none" and look.proposal.motion == "h"
    assert look.proposal.effects["ACTION_SECONDARY"] == "shoot"


@pytest.mark.slow
@pytest.mark.retro
def test_breakout():
    pytest.importorskip("ale_py")
    look = look_at("Breakout-Ale")
    effects = look.proposal.effects
    assert [effects[button] for button in BUTTONS[:4]] == ["right", "left", "none", "none"]
    assert look.proposal.motion == "h"
