"""What a game is called, how fast it runs and which actions it takes: plain data, known without any emulator."""

from dataclasses import asdict, dataclass, replace
from itertools import combinations
from typing import Any

from genie_gym.errors import GameError

__all__ = ["Action", "GameSpec", "key_names"]

# The codes pygame (and so gymnasium.utils.play) gives the keys that are not a single character.
_KEY_CODES = {"right": 1073741903, "left": 1073741904, "down": 1073741905, "up": 1073741906, "space": 32}


@dataclass(frozen=True)
class Action:
    """One choice of the agent: its name, the console buttons it holds, and the keys a person presses for it."""

    meaning: str
    buttons: tuple[str, ...] = ()
    keys: tuple[str, ...] = ()


@dataclass(frozen=True)
class GameSpec:
    """One game.

    Attributes:
        name: canonical name, `Title-System`.
        title: the name without its system.
        system: "Genesis", "Nes", ..., "Procgen", "Numpy", or "Own" for a wrapped environment.
        actions: the reduced action set; action i of the environment is `actions[i]`.
        fps: agent steps a second of the real game.
        frame_skip: emulator frames in one agent step; 1 where the game has no frames between steps.
        noop_max: most idle agent steps at a random start; 0 where the seed already varies the start.

    >>> spec = GameSpec("Pong-Own", "Pong", "Own", (Action("NOOP"), Action("UP", keys=("up",))))
    >>> GameSpec.from_dict(spec.to_dict()) == spec
    True
    """

    name: str
    title: str
    system: str
    actions: tuple[Action, ...]
    fps: float = 15.0
    frame_skip: int = 4
    noop_max: int = 30

    @property
    def meanings(self) -> list[str]:
        """Names of the actions, in order."""
        return [action.meaning for action in self.actions]

    @property
    def noop(self) -> int | None:
        """Index of the action that does nothing, or None where the game has none."""
        return self.meanings.index("NOOP") if "NOOP" in self.meanings else None

    def keys_to_action(self) -> dict[tuple[int, ...], int]:
        """Sorted pygame key codes to action index, as `gymnasium.utils.play` takes it.

        Two keys held at once mean the later of their two actions (shooting goes before moving), unless an action of its
        own has both.
        """
        codes = [tuple(sorted(map(_key_code, action.keys))) for action in self.actions]
        own = {pressed: index for index, pressed in enumerate(codes) if pressed}
        single = [(pressed, index) for pressed, index in own.items() if len(pressed) == 1]
        both = {tuple(sorted(a + b)): later for (a, _), (b, later) in combinations(single, 2)}
        return {**both, **own}

    def with_frame_skip(self, frame_skip: int) -> "GameSpec":
        """The same game stepped at another rate; `fps` follows."""
        if frame_skip < 1:
            raise GameError(f"frame_skip should be at least 1. Received {frame_skip}.")
        return replace(self, frame_skip=frame_skip, fps=self.fps * self.frame_skip / frame_skip)

    def to_dict(self) -> dict[str, Any]:
        """Plain values that JSON can hold."""
        plain = asdict(self)
        for action in plain["actions"]:
            action.update(buttons=list(action["buttons"]), keys=list(action["keys"]))
        return {**plain, "actions": list(plain["actions"])}

    @classmethod
    def from_dict(cls, plain: dict[str, Any]) -> "GameSpec":
        """The inverse of `to_dict`; raises GameError if a field is missing, unknown or no list of actions."""
        try:
            actions = [
                Action(str(action["meaning"]), tuple(action.get("buttons", ())), tuple(action.get("keys", ())))
                for action in plain["actions"]
            ]
            return cls(**{**plain, "actions": tuple(actions)})
        except (KeyError, TypeError, AttributeError) as error:
            raise GameError(f"Not the description of a game: {error!r} in {plain!r}.") from error


def key_names(pressed: str | int | tuple[str | int, ...]) -> tuple[str, ...]:
    """Names, as in `Action.keys`, of one entry of a Gymnasium key map: characters, key codes, or a tuple of them.

    >>> key_names((1073741903, "z"))
    ('right', 'z')
    """
    keys = pressed if isinstance(pressed, tuple) else (pressed,)
    name_of = {code: name for name, code in _KEY_CODES.items()}
    return tuple(key if isinstance(key, str) else name_of.get(key) or chr(key) for key in keys)


def _key_code(key: str) -> int:
    return _KEY_CODES.get(key) or ord(key)
