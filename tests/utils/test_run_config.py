"""A run's settings: what is compared, what is said, and what is left alone."""

import json

import pytest

from genie_gym.errors import CheckpointError, ConfigError
from genie_gym.utils.run_config import check_run_config, read_run_file

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


def test_notes_are_plain_json(tmp_path):
    check_run_config(tmp_path / "settings.json", SETTINGS)
    assert json.loads((tmp_path / "settings.json").read_text())["game"] == "Toy-Numpy"
