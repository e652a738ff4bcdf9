"""Specifications of games (name, speed, actions), known without an emulator."""

from dataclasses import asdict, dataclass, replace
from itertools import combinations
from typing import Any

from genie_gym.errors import GameError
from genie_gym.games.own_env.source import EnvSource

__all__ = ["Action", "GameSpec", "check_frame_skip", "key_names"]

MAX_FRAME_SKIP = 1000

# Codes of pygame (and so of gymnasium.utils.play) for keys that are not a single character.
_KEY_CODES = {"right": 1073741903, "left": 1073741904, "down": 1073741905, "up": 1073741906, "space": 32}


@dataclass(frozen=True)
class Action:
    """One action of a game.

    Attributes:
        meaning: Name of the action.
        buttons: Console buttons that are held.
        keys: Keys that a person presses for it.
    """

    meaning: str
    buttons: tuple[str, ...] = ()
    keys: tuple[str, ...] = ()


@dataclass(frozen=True)
class GameSpec:
    """The specification of a game.

    Attributes:
        name: Canonical name, `Title-System`.
        title: Name without the system.
        system: "Genesis", "Nes", ..., "Ale", "Procgen", "Numpy", or "Own" for your own environment.
        actions: Reduced action set; action i of the environment is `actions[i]`.
        fps: Agent steps per second of the real game.
        frame_skip: Emulator frames per agent step; 1 if the game has no frames between steps.
        noop_max: Maximum number of no-op steps at a random start; 0 if the seed already varies the start.
        env: Where the environment comes from, of an own game if that is known, and of those of ale-py.
        savestates: Names of a console game's savestates at which episodes begin; all of them by default.

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
    env: EnvSource | None = None
    savestates: tuple[str, ...] = ()

    @property
    def meanings(self) -> list[str]:
        """Names of the actions, in order."""
        return [action.meaning for action in self.actions]

    @property
    def noop(self) -> int | None:
        """Index of the no-op action, or None if the game has none."""
        return self.meanings.index("NOOP") if "NOOP" in self.meanings else None

    def keys_to_action(self) -> dict[tuple[int, ...], int]:
        """Return action indices by sorted pygame key codes, for `gymnasium.utils.play`.

        Two keys held together mean the later of their two actions (shooting takes precedence over moving), unless there
        is an action for both.
        """
        codes = [tuple(sorted(map(_key_code, action.keys))) for action in self.actions]
        own = {pressed: index for index, pressed in enumerate(codes) if pressed}
        single = [(pressed, index) for pressed, index in own.items() if len(pressed) == 1]
        both = {tuple(sorted(a + b)): later for (a, _), (b, later) in combinations(single, 2)}
        return {**both, **own}

    def with_frame_skip(self, frame_skip: int) -> "GameSpec":
        """Return the same game with another frame skip, and `fps` adapted to it."""
        check_frame_skip(frame_skip)
        return replace(self, frame_skip=frame_skip, fps=self.fps * self.frame_skip / frame_skip)

    def to_dict(self) -> dict[str, Any]:
        """Return the specification as JSON values."""
        plain = asdict(self)
        for action in plain["actions"]:
            action.update(buttons=list(action["buttons"]), keys=list(action["keys"]))
        del plain["env"], plain["savestates"]
        known: dict[str, Any] = {"env": self.env.to_dict()} if self.env else {}
        known |= {"savestates": list(self.savestates)} if self.savestates else {}
        return {**plain, "actions": list(plain["actions"]), **known}

    @classmethod
    def from_dict(cls, plain: dict[str, Any]) -> "GameSpec":
        """Return the specification from the result of `to_dict`; `make` then takes no `env` that would import code.

        Raises:
            GameError: A field is missing, unknown or invalid.
        """
        try:
            actions = [
                Action(str(action["meaning"]), tuple(action.get("buttons", ())), tuple(action.get("keys", ())))
                for action in plain["actions"]
            ]
            env = None if plain.get("env") is None else EnvSource.from_dict(plain["env"])
            savestates = plain.get("savestates", [])
            if not isinstance(savestates, list | tuple) or not all(isinstance(one, str) for one in savestates):
                raise ValueError("savestates must be a list of names")
            return cls(**{**plain, "actions": tuple(actions), "env": env, "savestates": tuple(savestates)})
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise GameError(f"Not the description of a game: {error!r} in {plain!r}.") from error


def check_frame_skip(frame_skip: int) -> None:
    """Raise GameError if a number of frames per step is less than 1, or more than any agent could play with."""
    if frame_skip < 1:
        raise GameError(f"frame_skip should be at least 1. Received {frame_skip}.")
    if frame_skip > MAX_FRAME_SKIP:
        raise GameError(f"frame_skip should be at most {MAX_FRAME_SKIP}. Received {frame_skip}.")


def key_names(pressed: str | int | tuple[str | int, ...]) -> tuple[str, ...]:
    """Return names of keys, as in `Action.keys`, for an entry of a Gymnasium key map: characters or key codes.

    >>> key_names((1073741903, "z"))
    ('right', 'z')
    """
    keys = pressed if isinstance(pressed, tuple) else (pressed,)
    name_of = {code: name for name, code in _KEY_CODES.items()}
    return tuple(key if isinstance(key, str) else name_of.get(key) or chr(key) for key in keys)


def _key_code(key: str) -> int:
    return _KEY_CODES.get(key) or ord(key)
