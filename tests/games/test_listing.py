"""The list shows what is present for each game, and filters by system, genre and ROM."""

import pytest

from genie_gym import games
from genie_gym.errors import GameError
from genie_gym.games.listing import game_rows
from genie_gym.games.retroact import COLUMNS
from genie_gym.utils import paths

HEADER = ",".join(COLUMNS) + "\n"
MARIO = "SuperMarioBros-Nes,side,h,pl,none,right,left,none,none,jump,none,NO,NO\n"


def row(name, **choice):
    return next(row for row in game_rows(**choice) if row.name == name)


def test_every_game_has_a_row():
    assert [entry.name for entry in game_rows()] == games.names()


def test_what_is_present_shows():
    assert row("Toy-Numpy").rom and not row("Toy-Numpy").data
    paths.data_dir("Toy-Numpy").mkdir(parents=True)
    assert not row("Toy-Numpy").data  # an empty folder holds no datasets
    (paths.data_dir("Toy-Numpy") / "0.h5").touch()
    paths.weights_dir("SuperMarioBros-Nes").mkdir(parents=True)
    (paths.weights_dir("SuperMarioBros-Nes") / "config.json").touch()
    assert row("Toy-Numpy").data and not row("Toy-Numpy").weights
    assert row("SuperMarioBros-Nes").weights and not row("SuperMarioBros-Nes").rom


def test_filters(home):
    assert {entry.system for entry in game_rows(system="nes")} == {"Nes"}
    assert all(entry.rom for entry in game_rows(with_rom=True))
    home.mkdir()
    (home / "retroact.csv").write_text(HEADER + MARIO.replace(",pl,", ",jumping,"))  # it counts before our own table
    assert [entry.name for entry in game_rows(genre="jumping")] == ["SuperMarioBros-Nes"]
    assert row("SuperMarioBros-Nes").genre == "jumping" and row("Toy-Numpy").genre == "pl"
    assert game_rows(genre="jumping", with_rom=True) == []


def test_wrong_filters_list_the_choices(home):
    with pytest.raises(GameError, match=r"Unknown system 'Ness'.*Nes, "):
        game_rows(system="Ness")
    with pytest.raises(GameError, match=r"Unknown genre 'platformer'.*pl"):
        game_rows(genre="platformer")


def test_ones_own_games_show_where_they_are_recorded_or_fitted():
    for place, file in ((paths.data_dir("Clip-Own"), "0.h5"), (paths.weights_dir("Pinball-Own"), "config.json")):
        place.mkdir(parents=True)
        (place / file).touch()
    own = {entry.name: (entry.data, entry.weights, entry.rom) for entry in game_rows(system="own")}
    assert own == {"Clip-Own": (True, False, False), "Pinball-Own": (False, True, False)}
    assert row("Clip-Own").system == "Own" and row("Airstriker-Genesis").weights
