"""`genie-gym retroact` lists games by their annotations."""

import pytest

from genie_gym.cli import main
from genie_gym.games.retroact import COLUMNS

TABLE = (
    ",".join(COLUMNS) + "\n"
    "Hop-Nes,side,free,pl,none,right,left,none,none,jump,none,NO,NO\n"
    "Toy-Numpy,side,free,pl,none,right,left,none,none,jump,none,NO,NO\n"
    "Shot-Nes,side,h,shooter,none,right,left,none,none,shoot,none,NO,NO\n"
)


@pytest.fixture
def table(tmp_path):
    (tmp_path / "table.csv").write_text(TABLE)
    return str(tmp_path / "table.csv")


def test_one_line_chooses_games(table, capsys):
    line = (
        "--genre pl --view side --motion free --camera none --action PRIMARY=jump --not-blinking --platform Nes Numpy"
    )
    assert main(["retroact", "--file", table, *line.split()]) == 0
    text = capsys.readouterr().out
    assert "Hop-Nes" in text and "Toy-Numpy" in text and "Shot-Nes" not in text
    assert "2 games" in text and "1 can be started" in text and "primary jump" in text


def test_names_are_those_that_can_be_started(table, capsys):
    assert main(["retroact", "--file", table, "--names"]) == 0
    assert capsys.readouterr().out == "Toy-Numpy\n"
    assert main(["retroact", "--file", table, "--genre", "shooter", "--names"]) == 0
    assert capsys.readouterr().out == ""


def test_what_is_wrong_is_told_in_one_line(table, capsys):
    assert main(["retroact", "--file", table, "--genre", "jumping"]) == 2
    assert "pl, shooter" in capsys.readouterr().err
    assert main(["retroact", "--file", table + "x"]) == 2
    assert "table.csvx" in capsys.readouterr().err
