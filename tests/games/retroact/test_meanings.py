"""Names of actions by what they do: from the tables where they say something, else from the buttons."""

import csv

import pytest

from genie_gym import games
from genie_gym.games.retroact import COLUMNS, action_names


@pytest.mark.parametrize(
    ("game", "meanings", "expected"),
    [
        ("SuperMarioBros-Nes", ["NOOP", "PRIMARY", "RIGHT+PRIMARY"], ("NOOP", "jump", "right+jump")),
        ("Kangaroo-Ale", ["UPRIGHTFIRE", "DOWN"], ("right+jump+punch", "crouch")),
        ("BeamRider-Ale", ["FIRE", "UP", "RIGHTFIRE"], ("shoot", "up", "right+shoot")),  # UP shoots as well
        ("Frostbite-Ale", ["DOWN"], ("jump/backward",)),
        ("Mine-Own", ["0.5 1", "1 0.5", "LATENT 3"], ("0.5 1", "1 0.5", "3+latent")),
    ],
)
def test_names(game, meanings, expected):
    assert action_names(game, meanings) == expected


def test_actions_of_every_game_have_names_of_their_own():
    for game in games.names():
        meanings = games.find(game).meanings
        found = action_names(game, meanings)
        assert len(set(found)) == len(meanings)
        assert all((name == "NOOP") == (meaning == "NOOP") for name, meaning in zip(found, meanings, strict=True))


def test_the_same_effects_have_one_name_in_any_order_of_buttons():
    assert action_names("CoinRun-Procgen", ["RIGHT+UP"]) == action_names("SuperMarioBros-Nes", ["RIGHT+PRIMARY"])


def test_the_published_table_knows_more_games(home):
    name = next(name for name in games.names() if name.endswith("-Snes"))
    assert action_names(name, ["PRIMARY", "SECONDARY"]) == ("primary", "secondary")
    row = dict.fromkeys(COLUMNS, "none") | {"game": name, "ACTION_PRIMARY": "Jump", "ACTION_SECONDARY": "shoot run"}
    home.mkdir(exist_ok=True)
    with (home / "retroact.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        writer.writerow(row)
    assert action_names(name, ["PRIMARY", "SECONDARY"]) == ("jump", "shoot/run")
