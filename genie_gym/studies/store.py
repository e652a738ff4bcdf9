"""A study in one SQLite file: what is compared, the clips, and the answers, each on the disk when it is given.

A killed process loses none: SQLite writes them in transactions. Several processes may read while one writes.
"""

import json
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from genie_gym.errors import DataError
from genie_gym.utils import paths
from genie_gym.utils.images import to_strip
from genie_gym.utils.jsonable import from_jsonable, parse_json
from genie_gym.utils.validation import is_name

__all__ = ["REAL", "Answer", "Facts", "Plan", "Sample", "StudyFile"]

FORMAT = "genie_gym study 1"
REAL = "real"  # the source of a pair that shows the real clip twice
SECONDS = 30.0  # to wait for another process that writes
MOST_RATERS = 10_000
TABLES = """
CREATE TABLE plan (content TEXT NOT NULL);
CREATE TABLE samples (number INTEGER PRIMARY KEY, facts TEXT NOT NULL, first BLOB NOT NULL, second BLOB NOT NULL);
CREATE TABLE answers (
    rater TEXT NOT NULL, sample INTEGER NOT NULL REFERENCES samples, value REAL NOT NULL, swapped INTEGER NOT NULL,
    seconds REAL NOT NULL, PRIMARY KEY (rater, sample)
);
"""


@dataclass(frozen=True)
class Plan:
    """What a study compares.

    Attributes:
        kind: "rate" or "choose".
        seed: Random seed.
        fps: Frames per second of its clips.
        frames: Frames of a clip.
        settings: The options it was made with, as JSON values.
        format: Format of the file.
    """

    kind: str
    seed: int
    fps: float
    frames: int
    settings: dict[str, Any]
    format: str = FORMAT


@dataclass(frozen=True)
class Facts:
    """What is known of a pair of clips, and not shown.

    Attributes:
        game: Name of the game.
        first: Label of what the first clip is of: "real" in a pair to rate.
        second: Label of what the second clip is of.
        scene: Number of the real clip, or of the frame, that it is made from; pairs of one game share them.
        action: Name of the action, in a pair to choose from.
        psnr: PSNR in dB of the second clip against the first, in frames that a model predicted; None to choose from.
    """

    game: str
    first: str
    second: str
    scene: int
    action: str = ""
    psnr: float | None = None


@dataclass(frozen=True)
class Sample:
    """A pair of clips, uint8 (t, s, s, 3) each."""

    facts: Facts
    first: np.ndarray
    second: np.ndarray


@dataclass(frozen=True)
class Answer:
    """What one participant said of one pair.

    Attributes:
        rater: Name of the participant.
        sample: Number of the pair.
        value: 1 to 5 for how alike; or 0 for the first model, 1 for the second and 0.5 for neither.
        swapped: Whether the first clip was shown on the right.
        seconds: How long it took.
    """

    rater: str
    sample: int
    value: float
    swapped: bool
    seconds: float


class StudyFile:
    """An open study.

    Args:
        path: Its file.

    Attributes:
        plan: What it compares.
        facts: What is known of each pair of clips, in the order of their numbers.

    Raises:
        DataError: There is no such file, or it is none of ours.
    """

    def __init__(self, path: Path):
        self.path = path
        if not paths.is_file(path):
            raise DataError(f"there is no study {path}; begin one: genie-gym study run MODEL --file {path}")
        with self._open() as file:
            (content,) = file.execute("SELECT content FROM plan").fetchone() or (None,)
            self.plan: Plan = self._checked(Plan, content)
            if self.plan.format != FORMAT:
                raise self._damaged(f"it has the format {self.plan.format}")
            rows = file.execute("SELECT facts FROM samples ORDER BY number").fetchall()
            self.facts: list[Facts] = [self._checked(Facts, facts) for (facts,) in rows]

    @classmethod
    def write(cls, path: Path, plan: Plan, samples: Sequence[Sample]) -> "StudyFile":
        """Write a new study; its file appears once it is whole.

        Raises:
            DataError: The file cannot be written.
        """
        partial = path.with_name(f".{path.name}.partial")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            partial.unlink(missing_ok=True)
            with closing(sqlite3.connect(partial)) as file, file:
                file.executescript(TABLES)
                file.execute("INSERT INTO plan VALUES (?)", [json.dumps(asdict(plan))])
                rows = [
                    (number, json.dumps(asdict(one.facts)), to_strip(one.first), to_strip(one.second))
                    for number, one in enumerate(samples)
                ]
                file.executemany("INSERT INTO samples VALUES (?, ?, ?, ?)", rows)
            partial.replace(path)
        except (OSError, sqlite3.Error) as error:
            raise DataError(f"cannot write the study {path} ({error}); give another --file") from error
        return cls(path)

    def clip(self, sample: int, second: bool) -> bytes:
        """Return a clip as a PNG of its frames below one another."""
        with self._open() as file:
            row = file.execute(
                f"SELECT {'second' if second else 'first'} FROM samples WHERE number = ?", [sample]
            ).fetchone()
        if row is None or not isinstance(row[0], bytes):
            raise self._damaged(f"it lacks clip {sample}")
        return row[0]

    def put(self, answer: Answer) -> None:
        """Keep an answer, in place of an earlier one of the same participant to the same pair.

        Raises:
            DataError: The file cannot be written, or has the most participants that a study may have.
        """
        with self._open() as file, file:
            file.execute("BEGIN IMMEDIATE")  # no other process may come in between
            others = file.execute("SELECT COUNT(DISTINCT rater) FROM answers WHERE rater != ?", [answer.rater])
            if others.fetchone()[0] >= MOST_RATERS:
                raise DataError(f"{self.path} has answers of {MOST_RATERS} participants; begin another study")
            row = (answer.rater, answer.sample, answer.value, int(answer.swapped), answer.seconds)
            file.execute("INSERT OR REPLACE INTO answers VALUES (?, ?, ?, ?, ?)", row)

    def answers(self, rater: str | None = None) -> list[Answer]:
        """Return all answers, or those of one participant.

        Raises:
            DataError: The file is damaged.
        """
        with self._open() as file:
            rows = file.execute("SELECT rater, sample, value, swapped, seconds FROM answers ORDER BY rowid").fetchall()
        found = [self._answer(row) for row in rows]
        return found if rater is None else [answer for answer in found if answer.rater == rater]

    def _answer(self, row: tuple[Any, ...]) -> Answer:
        rater, sample, value, swapped, seconds = row
        numbers = isinstance(sample, int) and isinstance(value, float | int) and isinstance(seconds, float | int)
        if not numbers or not is_name(rater) or not 0 <= sample < len(self.facts):
            raise self._damaged("it holds an answer to no question")
        return Answer(rater, sample, float(value), bool(swapped), float(seconds))

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        try:
            # "rw": no new file appears where this one was removed.
            address = f"{self.path.absolute().as_uri()}?mode=rw"
            with closing(sqlite3.connect(address, uri=True, timeout=SECONDS, isolation_level=None)) as file:
                file.text_factory = lambda content: content.decode(errors="replace")
                yield file
        except sqlite3.Error as error:
            raise self._damaged(str(error)) from error

    def _checked(self, kind: type, content: Any) -> Any:
        try:
            return from_jsonable(kind, parse_json(content if isinstance(content, str) else ""))
        except ValueError as error:
            raise self._damaged(str(error)) from error

    def _damaged(self, why: str) -> DataError:
        return DataError(f"{self.path} is no study, or damaged ({why}); begin another with --file")
