"""RetroAct: annotations of games (genre, view, motion, the effect of each button), and sets of games chosen by them."""

from genie_gym.games.retroact.game_set import GameSet
from genie_gym.games.retroact.meanings import action_names
from genie_gym.games.retroact.published import fetch, find_file
from genie_gym.games.retroact.query import SETS, GameQuery
from genie_gym.games.retroact.table import COLUMNS, Annotation, load, load_own, save

__all__ = [
    "COLUMNS",
    "SETS",
    "Annotation",
    "GameQuery",
    "GameSet",
    "action_names",
    "fetch",
    "find_file",
    "load",
    "load_own",
    "save",
]
