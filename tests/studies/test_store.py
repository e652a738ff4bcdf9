"""The file of a study: no answer is lost when a process is killed, and what is damaged is said in a line."""

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
from dataclasses import replace

import pytest

from genie_gym.errors import DataError
from genie_gym.studies.order import trials
from genie_gym.studies.store import Answer, StudyFile

KILLED = """
import os, signal, sys
from pathlib import Path
from genie_gym.studies.store import Answer, StudyFile
study = StudyFile(Path(sys.argv[1]))
for number in range(24):
    study.put(Answer("anna", number, 3.0, False, 1.0))
    print(number, flush=True)
"""


@pytest.fixture
def study(rating_study, tmp_path) -> StudyFile:
    return StudyFile(shutil.copy(rating_study.path, tmp_path / "study.sqlite"))


def test_answers_are_kept_and_can_be_changed(study):
    given = [Answer("anna", 3, 4.0, True, 2.5), Answer("ben", 3, 1.0, False, 1.0), Answer("anna", 5, 2.0, False, 3.0)]
    for answer in given:
        study.put(answer)
    study.put(changed := replace(given[0], value=5.0))
    again = StudyFile(study.path)
    assert sorted(again.answers("anna"), key=lambda one: one.sample) == [changed, given[2]]
    assert len(again.answers()) == 3


@pytest.mark.slow
def test_a_killed_process_loses_no_answer(study):
    command = [sys.executable, "-c", KILLED, str(study.path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as writing:
        said = [int(writing.stdout.readline()) for _ in range(5)]
        os.kill(writing.pid, signal.SIGKILL)
    kept = [answer.sample for answer in StudyFile(study.path).answers("anna")]
    assert kept[:5] == said
    study.put(Answer("anna", 23, 1.0, False, 1.0))  # the lock of the killed one is gone


def test_participants_write_at_the_same_time(study):
    def answer_all(rater: str) -> None:
        own = StudyFile(study.path)
        for number in range(10):
            own.put(Answer(rater, number, 2.0, False, 1.0))

    threads = [threading.Thread(target=answer_all, args=(f"rater-{i}",)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(study.answers()) == 40


def test_a_file_that_is_none_is_refused(tmp_path, study):
    with pytest.raises(DataError, match="begin one"):
        StudyFile(tmp_path / "nowhere")
    (tmp_path / "text").write_text("no database\n" * 100)
    empty = sqlite3.connect(tmp_path / "empty")
    empty.execute("CREATE TABLE plan (content TEXT)")
    empty.commit()
    half = study.path.read_bytes()[:5000]
    (tmp_path / "half").write_bytes(half)
    for name in ("text", "empty", "half"):
        with pytest.raises(DataError, match="is no study"):
            StudyFile(tmp_path / name)


@pytest.mark.parametrize(
    "command",
    [
        "UPDATE plan SET content = '{}'",
        "UPDATE plan SET content = x'ff00'",
        "UPDATE samples SET facts = '[1]' WHERE number = 3",
        "UPDATE samples SET facts = NULL",
        "DROP TABLE samples",
    ],
)
def test_a_file_of_somebody_else_cannot_do_harm(study, command):
    with sqlite3.connect(study.path) as file:
        file.execute("PRAGMA ignore_check_constraints = 1")
        try:
            file.execute(command)
        except sqlite3.IntegrityError:
            return  # the format itself forbids it
    with pytest.raises(DataError):
        StudyFile(study.path)


def test_strange_answers_are_refused(study):
    for row in ("('../x', 1, 2, 0, 1)", "('a', 99, 2, 0, 1)", "('a', 1, 'five', 0, 1)", "('a', 1, 2, 0, x'00')"):
        with sqlite3.connect(study.path) as file:
            file.execute("DELETE FROM answers")
            file.execute(f"INSERT INTO answers VALUES {row}")
        with pytest.raises(DataError):
            study.answers()


def test_each_participant_has_an_order_of_its_own_with_sides_in_balance():
    one, same, other = trials(7, "anna", 40), trials(7, "anna", 40), trials(7, "ben", 40)
    assert one == same != other and trials(8, "anna", 40) != one
    for order in (one, other):
        assert sorted(number for number, _ in order) == list(range(40))
        assert sum(swapped for _, swapped in order) == 20
