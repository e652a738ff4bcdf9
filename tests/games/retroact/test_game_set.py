"""Sets of games are those that RetroAct's columns, or a list, ask for."""

import csv

import pytest

import genie_gym
from genie_gym import games
from genie_gym.errors import ConfigError, GameError
from genie_gym.games import retroact
from genie_gym.games.retroact import GameSet
from tests.games.retroact.test_table import HEADER, PUBLISHED

ROWS = (
    "A-Nes,side,free,pl,none,right,left,none,crouch look-d,jump,none,NO,NO\n"
    "Toy-Numpy,side,free,pl,none,right,left,none,none,jump,none,YES,NO\n"
    "B-Snes,top,h,maze,right,right,left,none,down,shoot,none,NO,YES\n"
    "C-Snes,side,v,pl,none,left,right,jump,climb-d,none,jump,NO,NO\n"
)
LIST = "RetroAct_v0.1_control_GenieRedux-G-50_sublist.csv"


@pytest.fixture
def table(tmp_path):
    file = tmp_path / "table.csv"
    file.write_text(HEADER + ROWS)
    return file


@pytest.mark.parametrize(
    ("options", "chosen"),
    [
        ({}, "A T B C"),
        ({"genre": "pl"}, "A T C"),
        ({"genre": ("PL", "maze"), "view": "side"}, "A T C"),
        ({"motion": ("h", "v")}, "B C"),
        ({"camera": "right"}, "B"),
        ({"platform": "snes", "genre": "pl"}, "C"),
        ({"action": "PRIMARY=jump"}, "A T"),
        ({"action": ("ACTION_PRIMARY=jump", "down=look-d crouch")}, "A"),
        ({"action": "DOWN=none|climb-d"}, "T C"),
        ({"not_blinking": True, "genre": "pl"}, "A C"),
        ({"not_delayed": True, "limit": 2}, "A T"),
        ({"genre": "maze", "view": "side"}, ""),
    ],
)
def test_a_query_chooses_by_columns(table, options, chosen):
    assert [name[0] for name in GameSet.choose(file=table, **options).names] == chosen.split()


def test_games_that_cannot_be_started_are_told_apart(table):
    found = genie_gym.GameSet.choose(file=table)
    assert found.available == ("Toy-Numpy",) and found.missing == ("A-Nes", "B-Snes", "C-Snes")
    assert found.only_available().names == ("Toy-Numpy",)


def test_a_list_keeps_the_order_of_the_table_and_must_be_known(table, tmp_path):
    names = tmp_path / "names.csv"
    names.write_text("game,more\nc-snes,1\nA-NES,2\n")
    assert GameSet.choose(file=table, list=names).names == ("A-Nes", "C-Snes")
    assert GameSet.choose(file=table, list=names, limit=1).names == ("A-Nes",)
    names.write_text("game\nD-Nes\n")
    with pytest.raises(GameError, match="d-nes"):
        GameSet.choose(file=table, list=names)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"genre": "platformer"}, "platformer.*maze, pl"),
        ({"platform": "N64"}, "N64.*Nes"),
        ({"action": "jump"}, "PRIMARY=jump"),
        ({"action": "FIRE=jump"}, "PRIMARY=jump"),
        ({"action": "PRIMARY="}, "PRIMARY=jump"),
        ({"limit": 0}, "limit"),
        ({"genre": 3}, "genre.*3"),
        ({"set": "platformers-20"}, "platformers-200, platformers-50"),
        ({"own": True}, "own"),
        ({"genres": "pl"}, "did you mean 'genre'"),
    ],
)
def test_a_wrong_query_is_told(table, options, told):
    with pytest.raises(ConfigError, match=told):
        GameSet.choose(file=table, **options)


def test_without_the_published_table_there_is_our_own_and_no_set_of_the_paper(home):
    assert GameSet.choose().names == tuple(retroact.load_own()) == GameSet.choose(own=True).names
    for name in retroact.SETS:
        with pytest.raises(GameError, match="genie-gym retroact --fetch"):
            GameSet.choose(set=name)


def test_the_sets_of_the_paper(home):
    if not (PUBLISHED.is_file() and PUBLISHED.with_name(LIST).is_file()):
        pytest.skip("RetroAct's files are not here")
    home.mkdir()
    (home / "retroact.csv").write_bytes(PUBLISHED.read_bytes())
    (home / "retroact-platformers-50.csv").write_bytes(PUBLISHED.with_name(LIST).read_bytes())
    with PUBLISHED.open(newline="") as file:
        rows = list(csv.DictReader(file))
    platformers = list(dict.fromkeys(row["game"] for row in rows if row["genre"] == "pl"))
    assert GameSet.choose(set="Platformers-200").names == tuple(platformers[:200])
    with PUBLISHED.with_name(LIST).open(newline="") as file:
        listed = {row["game"] for row in csv.DictReader(file)}
    fifty = GameSet.choose(set="platformers-50").names
    assert {name.lower() for name in fifty} == listed and len(fifty) == 50 and set(fifty) <= set(games.names())
    line = {"genre": "pl", "view": "side", "motion": "free", "camera": "none", "platform": "Nes"}
    expected = [
        row["game"]
        for row in rows
        if all(row[key] == value for key, value in line.items() if key != "platform")
        and row["game"].endswith("-Nes")
        and (row["ACTION_PRIMARY"], row["blinking"]) == ("jump", "NO")
    ]
    assert list(GameSet.choose(**line, action="PRIMARY=jump", not_blinking=True).names) == expected
