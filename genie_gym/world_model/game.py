"""The description of a game in a checkpoint or a dataset, checked: anybody may have written it."""

from dataclasses import dataclass
from typing import Any

from genie_gym.games import Action, GameSpec
from genie_gym.games.own_env.source import EnvSource
from genie_gym.models.limits import LIMITS
from genie_gym.utils.jsonable import from_jsonable
from genie_gym.utils.validation import is_name

__all__ = ["check_game_description"]


@dataclass(frozen=True)
class _Described:
    """Entries of a description that are used; all but two may be missing, and others may be there."""

    name: str
    actions: tuple[Action, ...]
    title: str = ""
    system: str = ""
    fps: float = 15.0
    frame_skip: int = 4
    noop_max: int = 30


def check_game_description(game: Any) -> None:
    """Check the description of a game, as in `GameSpec.to_dict`.

    Raises:
        ValueError: It is not the description of a game; its name, which is part of paths, could lead elsewhere; or it
            has more actions than a model can have.
    """
    if not isinstance(game, dict):
        raise ValueError(f"game should be a table, not {game!r:.60}")
    known = _Described.__dataclass_fields__
    found: _Described = from_jsonable(_Described, {name: game[name] for name in game if name in known}, "game")
    if game.get("env") is not None:
        EnvSource.from_dict(game["env"])
    if not is_name(found.name):
        raise ValueError(f"{found.name!r:.60} is not the name of a game")
    if not 0 < found.fps <= 1000 or not 1 <= found.frame_skip <= 1000 or not 0 <= found.noop_max <= 10**6:
        raise ValueError(f"fps {found.fps}, frame_skip {found.frame_skip!r:.20}, noop_max {found.noop_max!r:.20}")
    if not 1 <= len(found.actions) <= LIMITS["num_actions"]:
        raise ValueError(f"a game has from 1 to {LIMITS['num_actions']} actions; got {len(found.actions)}")
    try:
        GameSpec(found.name, found.title, found.system, found.actions).keys_to_action()
    except TypeError as error:
        raise ValueError(f"an action has a key that is none ({error})") from error
