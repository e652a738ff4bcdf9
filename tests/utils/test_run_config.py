"""A run's settings: what is compared, what is said, and what is left alone."""

import json
import os

import numpy as np
import pytest

from genie_gym.errors import CheckpointError, ConfigError
from genie_gym.utils.run_config import check_run_config, read_run_file
from tests.conftest import LONG
from tests.fuzz import damage_json

SETTINGS = {"game": "Toy-Numpy", "lengths": (8, 32), "minutes": None, "seed": 0}


def test_the_same_settings_go_on(tmp_path):
    path = tmp_path / "run" / "settings.json"
    check_run_config(path, SETTINGS)
    written = path.read_bytes()
    check_run_config(path, SETTINGS)
    assert path.read_bytes() == written
    assert read_run_file(path) == {**SETTINGS, "lengths": [8, 32]}


def test_only_what_differs_is_named(tmp_path):
    check_run_config(tmp_path / "settings.json", SETTINGS)
    with pytest.raises(ConfigError) as error:
        check_run_config(tmp_path / "settings.json", {**SETTINGS, "seed": 1, "minutes": 3.0})
    assert f"{tmp_path} was started with minutes None, seed 0, now asked for minutes 3.0, seed 1; use" in str(
        error.value
    )


def test_a_setting_of_a_newer_version_is_not_compared(tmp_path):
    check_run_config(tmp_path / "settings.json", SETTINGS)
    check_run_config(tmp_path / "settings.json", {**SETTINGS, "colours": 3})
    with pytest.raises(ConfigError, match="seed 0"):
        check_run_config(tmp_path / "settings.json", {**SETTINGS, "colours": 3, "seed": 1})


@pytest.mark.parametrize("content", [b"", b'{"game": ', b"\xff\xfe", b"[1, 2]"])
def test_damage_is_said_in_one_line(tmp_path, content):
    path = tmp_path / "settings.json"
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match=f"is damaged .*; remove {tmp_path} to start again") as error:
        check_run_config(path, SETTINGS)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("count", [300, pytest.param(10_000, marks=LONG)])
def test_no_damage_gives_a_traceback(tmp_path, count):
    rng, path = np.random.default_rng(0), tmp_path / "settings.json"
    check_run_config(path, SETTINGS)
    whole, outcomes = json.loads(path.read_bytes()), set()
    for _ in range(count):
        path.write_bytes(damage_json(rng, whole))
        try:
            check_run_config(path, SETTINGS)
            outcomes.add("same")
        except (CheckpointError, ConfigError) as error:
            outcomes.add(type(error))
            assert str(error).isprintable() and len(str(error)) < 1000
    assert outcomes == {"same", CheckpointError, ConfigError}


def test_what_is_no_file_is_not_read(tmp_path):
    os.mkfifo(tmp_path / "pipe.json")
    (tmp_path / "device.json").symlink_to("/dev/zero")
    for name in ("pipe.json", "device.json"):
        with pytest.raises(CheckpointError, match="not a file"):
            read_run_file(tmp_path / name)
    with (tmp_path / "large.json").open("wb") as file:
        file.truncate(10**11)  # takes no room
    with pytest.raises(CheckpointError, match="100,000,000,000 bytes"):
        read_run_file(tmp_path / "large.json")


def test_notes_are_plain_json(tmp_path):
    check_run_config(tmp_path / "settings.json", SETTINGS)
    assert json.loads((tmp_path / "settings.json").read_text())["game"] == "Toy-Numpy"
