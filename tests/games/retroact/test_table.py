"""RetroAct tables are read, and other files are refused."""

from pathlib import Path

import pytest

from genie_gym import games
from genie_gym.errors import GameError
from genie_gym.games import retroact

PUBLISHED = Path(__file__).parents[4] / "shared" / "retroact" / "RetroAct_v1.4.csv"
HEADER = ",".join(retroact.COLUMNS) + "\n"


def test_rows_become_annotations(tmp_path):
    file = tmp_path / "some.csv"
    file.write_text(
        HEADER
        + "Hop-Nes,side,h,pl,none,right,left,climb-u,crouch,jump,none,YES,NO\n"
        + "Hop-Nes,top,h,maze,none,,,,,,,,\n"
        + "Fly-Nes,side,free,space_shooter,right,right,left,up,down,shoot,none,NO,YES\n"
    )
    rows = retroact.load(file)
    assert rows["Hop-Nes"] == retroact.Annotation(
        game="Hop-Nes",
        view="side",
        motion="h",
        genre="pl",
        camera="none",
        effects={
            "RIGHT": "right",
            "LEFT": "left",
            "UP": "climb-u",
            "DOWN": "crouch",
            "ACTION_PRIMARY": "jump",
            "ACTION_SECONDARY": "none",
        },
        blinking=True,
        delayed=False,
    )
    assert list(rows) == ["Hop-Nes", "Fly-Nes"] and rows["Fly-Nes"].platform == "Nes"


@pytest.mark.parametrize("content", [b"", b"a,b\n1,2\n", b"\xff\xfe\x00"])
def test_another_file_is_refused(tmp_path, content):
    file = tmp_path / "other.csv"
    file.write_bytes(content)
    with pytest.raises(GameError, match=r"other\.csv"):
        retroact.load(file)


def test_a_missing_file_is_an_error(tmp_path, monkeypatch):
    with pytest.raises(GameError, match="Cannot read"):
        retroact.load(tmp_path / "none.csv")
    monkeypatch.setenv("GENIE_GYM_RETROACT", str(tmp_path / "none.csv"))
    with pytest.raises(GameError, match="GENIE_GYM_RETROACT names"):
        retroact.find_file()


def test_the_published_table():
    if not PUBLISHED.is_file():
        pytest.skip("RetroAct's table is not here")
    rows = retroact.load(PUBLISHED)
    assert len(rows) == 973 and set(rows) <= set(games.names())
    assert sum(row.genre == "pl" for row in rows.values()) == 480
    assert next(iter(rows)) == "PowerStrikeII-Sms"  # in the order of the file
    # Our override for the bundled game: its main button does nothing, the other one shoots; up and down do nothing.
    effects = rows["Airstriker-Genesis"].effects
    assert (effects["ACTION_PRIMARY"], effects["ACTION_SECONDARY"]) == ("none", "shoot")
    assert (effects["UP"], effects["DOWN"]) == ("none", "none")


def test_our_own_table_is_of_known_games_whose_actions_it_fits():
    rows = retroact.load_own()
    assert set(rows) <= set(games.names()) and len(rows) >= 100
    for name, row in rows.items():
        spec = games.find(name)
        for side in ("RIGHT", "LEFT", "UP", "DOWN"):  # a direction that no action holds has no effect
            held = any(
                side in {*action.buttons, action.meaning} or side.lower() in action.keys for action in spec.actions
            )
            assert held or row.effects[side] == "none", (name, side)
