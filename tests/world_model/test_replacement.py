"""Replacing a checkpoint: killed anywhere, read meanwhile, by several writers, it is the old one or the new one."""

import multiprocessing
import os
import shutil
import signal
import time
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from genie_gym.errors import DataError
from genie_gym.world_model import Checkpoint
from genie_gym.world_model.metadata import TrainingMetadata
from tests.checkpoint_files import part, read_config
from tests.conftest import LONG, untrained, untrained_upscaler

FORK = multiprocessing.get_context("fork")
WRITES = ("io.open", "os.fsync", "os.replace", "os.unlink", "os.mkdir")


@pytest.fixture(scope="module")
def models() -> list[Checkpoint]:
    """Checkpoints whose metadata say which of them one is."""
    return [replace(untrained(seed=seed), metadata=TrainingMetadata(seed=seed)) for seed in range(3)]


@pytest.fixture
def folder(models, tmp_path) -> Path:
    """The first of them, with an upscaler."""
    replace(models[0], upscaler=untrained_upscaler()).save(tmp_path / "checkpoint")
    return tmp_path / "checkpoint"


def loaded_as(folder: Path, models: list[Checkpoint]) -> int:
    """Which of the models is in the folder, as a whole and with the upscaler that was there first."""
    loaded = Checkpoint.load(folder)
    saved = models[loaded.metadata.seed]
    ours, theirs = loaded.model.state_dict(), saved.model.state_dict()
    assert all(ours[name].equal(value) for name, value in theirs.items())
    assert loaded.initial_contexts["frames"].equal(saved.initial_contexts["frames"])
    assert loaded.upscaler is not None
    return loaded.metadata.seed


class Killed(BaseException):
    """Nothing catches it, and what is done on the way out has no effect on the disk."""


@contextmanager
def killed_at(call: int, before: bool):
    """Ends the program at a call of those that change the disk: before it takes effect, or just after."""
    calls = 0

    def dying(function: Callable) -> Callable:
        def called(*args: object, **kwargs: object) -> object:
            nonlocal calls
            calls += 1
            if calls > call or (calls == call and before):
                raise Killed
            done = function(*args, **kwargs)
            if calls == call:
                raise Killed
            return done

        return called

    with pytest.MonkeyPatch.context() as patch:
        for name in WRITES:
            module, attribute = name.split(".")
            patch.setattr(name, dying(getattr(__import__(module), attribute)))
        yield


@pytest.mark.parametrize("before", [True, False])
def test_a_kill_at_any_call_leaves_the_old_one_or_the_new(models, folder, tmp_path, before):
    found = []
    for call in range(1, 100):
        place = tmp_path / str(call)
        shutil.copytree(folder, place)
        try:
            with killed_at(call, before):
                models[1].save(place)
        except Killed:
            found.append(loaded_as(place, models))
        else:
            break
        models[2].save(place)  # clears away what the killed one left
        assert loaded_as(place, models) == 2
        assert len(list(place.iterdir())) == 5
    assert found == sorted(found) and set(found) == {0, 1} and len(found) > 15


@pytest.mark.parametrize("name", WRITES[:3])
def test_an_error_at_any_call_leaves_the_old_one_or_the_new(models, folder, tmp_path, monkeypatch, name):
    module, attribute = name.split(".")
    function = getattr(__import__(module), attribute)
    for call in range(1, 100):
        place, calls = tmp_path / str(call), []
        shutil.copytree(folder, place)

        def failing(*args: object, n: int = call, calls: list = calls, **kwargs: object) -> object:
            calls.append(args)
            if len(calls) == n:
                raise OSError(5, "Input/output error")
            return function(*args, **kwargs)

        try:
            with monkeypatch.context() as patch:
                patch.setattr(name, failing)
                models[1].save(place)
        except DataError:
            assert loaded_as(place, models) in (0, 1)
            assert len(list(place.iterdir())) == 5
        if len(calls) < call:
            break
    assert call > 3


def save_for_ever(folder: Path, models: list[Checkpoint]) -> None:
    while True:
        for model in models:
            model.save(folder)


@contextmanager
def writer(folder: Path, models: list[Checkpoint]):
    process = FORK.Process(target=save_for_ever, args=(folder, models), daemon=True)
    process.start()
    try:
        yield process
    finally:
        os.kill(process.pid, signal.SIGKILL)
        process.join()


@pytest.mark.parametrize("kills", [30, pytest.param(200, marks=LONG)])
def test_a_real_kill_leaves_the_old_one_or_the_new(models, folder, kills):
    rng, found = np.random.default_rng(0), []
    started = time.monotonic()
    for model in models:
        model.save(folder)
    both_saved = time.monotonic() - started  # longer on a busy machine
    for _ in range(kills):
        with writer(folder, models):
            time.sleep(rng.uniform(0.02, 0.1 + 3 * both_saved))
        found.append(loaded_as(folder, models))
    assert len(set(found)) > 1
    models[1].save(folder)
    assert len(list(folder.iterdir())) == 5


@pytest.mark.parametrize("loads", [30, pytest.param(500, marks=LONG)])
@pytest.mark.parametrize("writers", [1, 2])
def test_a_reader_beside_writers_is_never_refused(models, folder, loads, writers):
    with writer(folder, models), writer(folder, models[::-1]) if writers == 2 else writer(folder / "other", models):
        found = {loaded_as(folder, models) for _ in range(loads)}
    assert len(found) > 1


def test_saving_again_leaves_nothing_behind(models, folder):
    (folder / "notes.txt").touch()
    (folder / "my.safetensors").touch()
    for model in models:
        model.save(folder)
        named = {one["file"] for one in read_config(folder)["parts"].values()}
        mine = {"notes.txt", "my.safetensors", "config.json", "README.md"}
        assert {file.name for file in folder.iterdir()} == named | mine


def test_what_is_damaged_is_replaced_but_not_removed(models, folder):
    os.truncate(part(folder, "model"), 100)
    files = {file.name for file in folder.iterdir()}
    with pytest.warns(RuntimeWarning, match="its files are left there"):
        models[1].save(folder)
    assert files <= {file.name for file in folder.iterdir()}
    assert loaded_as(folder, models) == 1  # the upscaler was sound, and is kept
    models[2].save(folder)
    assert loaded_as(folder, models) == 2 and len(list(folder.iterdir())) == 5


def test_sections_that_were_added_to_the_card_stay(models, folder):
    card = folder / "README.md"
    card.write_text(card.read_text() + "\n## License\n\nMine alone.\n\n### Small print\n\nNone.\n")
    for model in models[1:]:
        model.save(folder)
        text = card.read_text()
        assert text.count("## License\n\nMine alone.\n\n### Small print\n\nNone.\n") == 1
        assert text.count("## How it was made") == 1
