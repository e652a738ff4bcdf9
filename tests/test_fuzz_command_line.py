"""Every command takes any options and values: it begins its work, or says in one line why not.

Work is cut off where it would begin, so that what comes before it is tried often: names, numbers, paths, folders.
"""

import inspect
import os
import shutil
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import MISSING, dataclass, fields
from pathlib import Path
from typing import Any, get_type_hints

import cv2
import numpy as np
import pytest

from genie_gym.cli import main
from genie_gym.cli.data import import_roms
from genie_gym.cli.judge import run_study, study_results
from genie_gym.cli.main import COMMANDS
from genie_gym.data import Episode, EpisodeWriter
from genie_gym.games import find
from genie_gym.utils.paths import data_dir, weights_dir
from tests.conftest import LONG

NAMES = {import_roms: ("roms", "import"), run_study: ("study", "run"), study_results: ("study", "results")}
ALL = (*COMMANDS, *NAMES)
SECONDS = 20  # for one command: more is a hang

INTEGERS = ("0", "1", "-1", "2", "7", "20", "100000", "4294967296", "9223372036854775808", "9" * 40, "1_0", "１")
FLOATS = ("0.5", "1", "-0.5", "nan", "inf", "-inf", "1e400", "1e-320", "1e308", "0.0", "3.0")
WORDS = (
    *(
        "",
        " ",
        "x",
        "None",
        "True",
        "toy",
        "Toy-Numpy",
        "GenieRedux/Toy-v0",
        "Pong",
        "tiny",
        "random",
        "sticky",
        "game",
    ),
    *(
        "none",
        "autoexplore",
        "cpu",
        "cuda:99",
        "--",
        "-",
        "--help",
        "é",
        "\x1b[31mred",
        "[bold]x[/bold]",
        "[/b]",
        "%s",
        "*",
    ),
)
PATHS = (
    *("/dev/null", "/dev/zero", "/proc/self/mem", "/", ".", "..", "~", "~nobody/x", "nowhere/at/all", "a\0b", "\udcff"),
    *("n" * 300, "n/" * 2500, "n" * 5000, "{data}", "{data}/recording.json", "{model}", "{model}/config.json"),
    *("{images}", "{images}/0.png", "{file}", "{loop}", "{locked}", "{fifo}"),
)


class WorkBegins(BaseException):
    """Raised in place of the first step of the work, which no command may catch as an error."""


class Hangs(BaseException):
    """Raised when a command has taken too long."""


@dataclass(frozen=True)
class Option:
    """An option of a command: its name, and the type that it declares."""

    name: str
    hint: str

    @property
    def flag(self) -> bool:
        return self.hint == str(bool)

    @property
    def many(self) -> bool:
        return "tuple" in self.hint

    @property
    def values(self) -> tuple[str, ...]:
        """Values of the right kind, if not of the right size."""
        kinds = {"int": INTEGERS, "float": FLOATS, "Path": PATHS, "str": (*WORDS, *PATHS)}
        return next((values for name, values in kinds.items() if name in self.hint), WORDS)


def begins(*args: Any, **options: Any) -> None:
    raise WorkBegins


# Where each activity begins to work, behind all that it checks.
WORK = (
    "genie_gym.training.stages.run_training",
    "genie_gym.training.upscaler.run_training",
    "genie_gym.training.replace_termination.train_termination",
    "genie_gym.training.map_actions.fit_action_map",
    "genie_gym.collection.collect.WorkerPool",
    "genie_gym.evaluation.evaluate.predict_clips",
    "genie_gym.evaluation.demo.play_episode",
    "genie_gym.analysis.inspect.imagined_clips",
    "genie_gym.analysis.inspect.recorded_clips",
    "genie_gym.refitting.round.Round.run",
    "genie_gym.web.server._listen",
    "genie_gym.web_export.runtime._fetched",
    "genie_gym.studies.make.rollout",
)


@pytest.fixture
def places(tmp_path, toy_checkpoint, monkeypatch) -> dict[str, str]:
    """A dataset, a checkpoint, images, and what is neither file nor folder; the work of all activities is cut off."""
    spec, rng = find("Toy"), np.random.default_rng(0)
    header = {"game": spec.to_dict(), "actions": spec.meanings, "frame_skip": 1}
    with EpisodeWriter(tmp_path / "data", header) as writer:
        for _ in range(3):
            frames = rng.integers(0, 256, (20, 64, 64, 3), np.uint8)
            writer.append(Episode(frames, rng.integers(0, 4, 19), np.zeros(19, np.float32)))
    shutil.copytree(tmp_path / "data", data_dir("Toy-Numpy"))
    shutil.copytree(toy_checkpoint, weights_dir("Toy-Numpy"))
    for name in ("images", "locked", "deep/er/here"):
        (tmp_path / name).mkdir(parents=True)
    for i in range(2):
        cv2.imwrite(str(tmp_path / "images" / f"{i}.png"), np.zeros((8, 8, 3), np.uint8))
    (tmp_path / "file").write_text("left\nright\n")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "locked").chmod(0)
    monkeypatch.chdir(tmp_path / "deep/er/here")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr("torch.set_num_threads", lambda count: None)
    for place in WORK:
        monkeypatch.setattr(place, begins)
    for place in ("genie_gym.sb3.resume_explorer", "gymnasium.utils.play.play"):
        try:
            monkeypatch.setattr(place, begins)
        except ImportError:  # an optional package
            continue
    names = ("data", "images", "file", "loop", "locked", "fifo")
    return {"model": toy_checkpoint} | {name: str(tmp_path / name) for name in names}


def options_of(command: Any) -> tuple[list[Option], int]:
    """The options of a command, and how many words it needs before them."""
    (parameter, *_) = inspect.signature(command).parameters
    kind = get_type_hints(command)[parameter]
    if not hasattr(kind, "__dataclass_fields__"):  # of so few options that they are the function's own
        if command is import_roms:  # its paths have no name
            return [Option("ale", str(bool))], 1
        hints = {name: hint for name, hint in get_type_hints(command).items() if name != "return"}
        return [Option(name, str(hint)) for name, hint in hints.items()], 0
    hints = get_type_hints(kind)
    needed = [one for one in fields(kind) if one.default is MISSING and one.default_factory is MISSING]
    named = [one for one in fields(kind) if one not in needed or one.name == "data"]
    return [Option(one.name, str(hints[one.name])) for one in named], 1 if needed else 0


def some_value(rng: np.random.Generator, places: dict[str, str], values: tuple[str, ...] = WORDS) -> str:
    """One of the values, or sometimes one of another kind."""
    kind = values if rng.random() < 0.9 else (INTEGERS, FLOATS, WORDS, PATHS)[rng.integers(4)]
    value = kind[rng.integers(len(kind))]
    return value.format(**places) if value.startswith("{") else value


def some_command(rng: np.random.Generator, places: dict[str, str]) -> list[str]:
    """A command with what it needs, mostly as it should be, and up to four options with any values."""
    command = ALL[rng.integers(len(ALL))]
    options, needed = options_of(command)
    subject = {"convert": places["images"], "coverage": places["data"]}.get(command.__name__, "Toy")
    first = subject if rng.random() < 0.7 else some_value(rng, places, (*WORDS, *PATHS))
    words = [*NAMES.get(command, (command.__name__.replace("_", "-"),)), *[first] * needed]
    if rng.random() < 0.6:  # far enough to find the data and the model
        known = {option.name for option in options}
        words += ["--data", places["data"]] if "data" in known else []
        words += ["--checkpoint", places["model"]] if "checkpoint" in known else []
        words += ["--episodes", "1"] if command.__name__ == "collect" else []
    for option in rng.permutation(np.array(options, object))[: rng.integers(5)]:
        values = [some_value(rng, places, option.values) for _ in range(rng.integers(1, 4) if option.many else 1)]
        words += [f"--{option.name.replace('_', '-')}", *([] if option.flag and rng.random() < 0.8 else values)]
    return words


@contextmanager
def limited(seconds: int) -> Iterator[None]:
    """Raise Hangs after so long."""

    def late(number: int, frame: Any) -> None:
        raise Hangs

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("count", [100, pytest.param(2000, marks=LONG)])
def test_any_command_begins_its_work_or_says_why_not(places, capfd, count):
    ends = {"work": 0, "refused": 0, "usage": 0, "done": 0}
    for seed in range(count):
        words = some_command(np.random.default_rng(seed), places)
        capfd.readouterr()
        started = time.monotonic()
        try:
            with limited(SECONDS):
                code = main(words)
        except WorkBegins:
            ends["work"] += 1
        except SystemExit as end:  # of the parser, which shows what it takes
            assert end.code in (0, 2), words
            ends["usage"] += 1
        except BaseException as error:
            taken = time.monotonic() - started
            raise AssertionError(f"seed {seed}: genie-gym {words} ended after {taken:.1f} s") from error
        else:
            shown = capfd.readouterr().err.splitlines()
            assert code == 0 or (code == 2 and shown[-1:] and shown[-1].startswith("genie-gym: ")), (words, code, shown)
            assert not any("\x1b" in line for line in shown[-1:]), (words, shown)
            ends["refused" if code else "done"] += 1
    assert min(ends["work"], ends["refused"], ends["usage"]) > 0, ends


def test_paths_that_no_file_system_takes(places, capfd):
    for command in ("train", "evaluate", "collect", "inspect", "demo", "train-upscaler"):
        for path in ("a\0b", "n" * 300, "n/" * 2500):
            assert main([command, "Toy", "--out", path]) == 2
            (line,) = capfd.readouterr().err.splitlines()
            assert len(line) < 300 and "\0" not in line
    assert Path.cwd().is_dir()
