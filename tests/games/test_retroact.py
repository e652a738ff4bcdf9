"""RetroAct tables are read, and other files are refused."""

from pathlib import Path

import pytest

from genie_gym import games
from genie_gym.errors import GameError
from genie_gym.games import retroact

PUBLISHED = Path(__file__).parents[3] / "shared" / "retroact" / "RetroAct_v1.4.csv"
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
    assert [row.game for row in retroact.select(rows.values(), motion="free")] == ["Fly-Nes"]
    assert retroact.select(rows.values(), genre="pl", view="top") == []
    assert len(retroact.select(rows.values())) == 2


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
    assert len(retroact.select(rows.values(), genre="pl")) == 480
    # Our override for the bundled game: its main button does nothing, the other one shoots; up and down do nothing.
    effects = rows["Airstriker-Genesis"].effects
    assert (effects["ACTION_PRIMARY"], effects["ACTION_SECONDARY"]) == ("none", "shoot")
    assert (effects["UP"], effects["DOWN"]) == ("none", "none")
