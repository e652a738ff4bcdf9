"""Games whose actions are RetroAct's buttons: nothing, four directions, the main and the second button."""

from dataclasses import dataclass, replace

from genie_gym import games
from genie_gym.games import Action, GameSpec
from genie_gym.games.ale import JOYSTICK, SYSTEM
from genie_gym.games.catalogue import console_buttons
from genie_gym.games.retroact.table import BUTTONS

__all__ = ["ButtonGame", "button_game"]

# Names of actions that press one button alone, by RetroAct's name of the button.
NAMES = {button: {button.removeprefix("ACTION_")} for button in BUTTONS}
NAMES["ACTION_PRIMARY"] |= {"FIRE", "JUMP"}


@dataclass(frozen=True)
class ButtonGame:
    """A game under RetroAct's buttons.

    Attributes:
        game: Its specification; action 0 does nothing.
        actions: The action of each button, by RetroAct's names; None where the game has no such button.
    """

    game: GameSpec
    actions: dict[str, int | None]


def button_game(name: str) -> ButtonGame:
    """Return a game whose actions are the buttons, whatever its reduced actions are.

    Games that are no console's have the buttons that their actions name.

    Raises:
        GameError: There is no such game.

    >>> button_game("Toy").actions["ACTION_PRIMARY"], button_game("Toy").actions["UP"]
    (3, None)
    """
    game = games.find(name)
    if game.system == SYSTEM:
        return _of_joystick(game)
    if (pair := console_buttons(game.system)) is None:
        return _of_named_actions(game)
    pressed = {button: button for button in BUTTONS[:4]} | dict(zip(BUTTONS[4:], pair, strict=True))
    actions = [Action("NOOP"), *(Action(button, (key,)) for button, key in pressed.items() if key is not None)]
    return _numbered(replace(game, actions=tuple(actions)))


def _of_joystick(game: GameSpec) -> ButtonGame:
    """An Atari game of ale-py: a joystick with one button, which the published table counts twice."""
    assert game.env is not None
    codes = [JOYSTICK.index(name) for name in ("NOOP", *BUTTONS[:4], "FIRE", "FIRE")]
    actions = tuple(Action(name) for name in ("NOOP", *BUTTONS))
    return _numbered(replace(game, actions=actions, env=replace(game.env, actions=codes)))


def _of_named_actions(game: GameSpec) -> ButtonGame:
    found: dict[str, int | None] = {}
    for button in BUTTONS:
        numbers = [number for number, name in enumerate(game.meanings) if name in NAMES[button]]
        found[button] = numbers[0] if numbers else None
    return ButtonGame(game, found)


def _numbered(game: GameSpec) -> ButtonGame:
    known = game.meanings
    return ButtonGame(game, {button: known.index(button) if button in known else None for button in BUTTONS})
