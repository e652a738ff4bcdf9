"""Console games, Procgen, the toy game and your own environments behind one interface; emulators load lazily."""

from genie_gym.games.action_names import match_actions
from genie_gym.games.catalogue import find, names, short_titles
from genie_gym.games.factory import available, make, wrap
from genie_gym.games.game_env import GameEnv
from genie_gym.games.own_env.describe import own
from genie_gym.games.retroact.game_set import GameSet
from genie_gym.games.spec import Action, GameSpec

__all__ = [
    "Action",
    "GameEnv",
    "GameSet",
    "GameSpec",
    "available",
    "find",
    "make",
    "match_actions",
    "names",
    "own",
    "short_titles",
    "wrap",
]
