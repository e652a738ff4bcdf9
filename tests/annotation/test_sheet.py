"""The table that annotation reads and writes: RetroAct's columns, and nobody else's rows lost."""

import csv
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from genie_gym.annotation.config import AnnotateConfig
from genie_gym.annotation.sheet import Sheet, known_words
from genie_gym.errors import ConfigError, GameError
from genie_gym.games.retroact import COLUMNS, Annotation, load, load_own, save

OWN = load_own()


@pytest.fixture
def file(tmp_path) -> Path:
    return tmp_path / "table.csv"


def row(game: str = "Toy-Numpy", **labels) -> Annotation:
    return replace(OWN["Toy-Numpy"], game=game, **labels)


def test_a_saved_table_is_read_back_by_us_and_by_csv(file):
    save(file, OWN)
    assert load(file) == OWN
    with file.open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert tuple(rows[0]) == COLUMNS and len(rows) == len(OWN)
    assert rows[0]["blinking"] in ("YES", "NO")


def test_rows_are_added_and_replaced_and_others_stay(file):
    save(file, {"Pong-Atari2600": row("Pong-Atari2600", genre="pong")})
    sheet = Sheet(AnnotateConfig(games=("Toy",), file=file))
    sheet.save(row(genre="pl"))
    sheet.save(row(genre=" maze "))
    found = load(file)
    assert list(found) == ["Pong-Atari2600", "Toy-Numpy"] and found["Toy-Numpy"].genre == "maze"


def test_only_new_ones_or_only_those_to_edit(file):
    given = {"games": ("Toy", "Airstriker"), "file": file}
    pytest.importorskip("stable_retro")
    assert Sheet(AnnotateConfig(only="new", **given)).games == ["Toy-Numpy", "Airstriker-Genesis"]
    save(file, {"Toy-Numpy": row()})
    assert Sheet(AnnotateConfig(only="new", **given)).games == ["Airstriker-Genesis"]
    assert Sheet(AnnotateConfig(only="edit", **given)).games == ["Toy-Numpy"]
    assert len(Sheet(AnnotateConfig(**given)).games) == 2
    with pytest.raises(ConfigError, match="no new game"):
        Sheet(AnnotateConfig(games=("Toy",), file=file, only="new"))


def test_names_from_a_file_and_all_games(file, tmp_path):
    (tmp_path / "games.txt").write_text("Toy\nToy-Numpy\n")
    assert Sheet(AnnotateConfig(games=(str(tmp_path / "games.txt"),), file=file)).games == ["Toy-Numpy"]
    assert "Toy-Numpy" in Sheet(AnnotateConfig(file=file)).games
    with pytest.raises(GameError, match="roms import"):
        Sheet(AnnotateConfig(games=("SuperMarioBros-Nes",), file=file))


@pytest.mark.parametrize(
    "wrong",
    [
        {"view": ""},
        {"genre": "x" * 41},
        {"motion": "a\nb"},
        {"camera": "\x1b[2J"},
        {"game": "../x"},
        {"game": "Pong-Ale"},
    ],
    ids=str,
)
def test_what_is_no_row_is_refused(file, wrong):
    sheet = Sheet(AnnotateConfig(games=("Toy",), file=file))
    with pytest.raises(ConfigError):
        sheet.save(replace(row(), **wrong))
    assert not file.exists()


def test_a_file_that_is_no_table(file):
    file.write_text("not,a,table\n1,2,3\n")
    with pytest.raises(GameError, match="no RetroAct table"):
        Sheet(AnnotateConfig(games=("Toy",), file=file))


def test_rows_saved_at_the_same_time_are_all_kept(file):
    names = [f"Game{number}-Own" for number in range(12)]
    sheets = []
    for name in names:
        sheet = Sheet(AnnotateConfig(games=("Toy",), file=file))
        sheet.games = [name]
        sheets.append((sheet, row(name)))
    threads = [threading.Thread(target=sheet.save, args=(one,)) for sheet, one in sheets]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(load(file)) == sorted(names)


def test_words_that_are_offered_are_the_most_common_first():
    words = known_words(list(OWN.values()))
    assert words["RIGHT"][0] == "right" and words["view"][0] == "side" and "pl" in words["genre"]
