"""Parts of a long benchmark, made once."""

import json
import re

import arms
import numpy as np
import pytest
from arms import Arms, Stopped, command_line, ended, made_with

from genie_gym.errors import ConfigError


@pytest.fixture
def facts(monkeypatch):
    """What the machine says of itself, to be changed between runs."""
    here = {
        "cpu": "slow",
        "gpu": None,
        "cores": 2,
        "code": "0.1.0 (commit aaa)",
        "torch": "2.13.0",
        "date": "2026-01-01",
    }
    monkeypatch.setattr(arms, "machine_facts", here.copy)
    return here


def stop(folder):
    raise KeyboardInterrupt


def test_an_arm_is_made_once_and_keeps_its_time_and_what_it_was_made_with(tmp_path, facts):
    with pytest.raises(KeyboardInterrupt):
        Arms(tmp_path, {}).arm("one", stop)
    noted = json.loads((tmp_path / "one/arm.json").read_text())
    assert noted["seconds"] < 10
    (tmp_path / "one/arm.json").write_text(json.dumps(noted | {"seconds": 100.0}))
    facts |= {"cpu": "fast", "code": "0.1.0 (commit bbb)", "date": "2026-01-02"}
    assert Arms(tmp_path, {}).arm("one", lambda folder: {"value": np.float64(1.23456)}) == (
        tmp_path / "one",
        {"value": 1.2346},
    )
    facts |= {"cpu": "never used", "date": "2026-01-03"}
    later = Arms(tmp_path, {})
    assert later.arm("one", stop)[1] == {"value": 1.2346} and later.used["one"] >= 100
    made = later.made()
    assert made["machines"] == ["slow (2 cores)", "fast (2 cores)"] and made["torch"] == ["2.13.0"]
    assert made["code"] == ["0.1.0 (commit aaa)", "0.1.0 (commit bbb)"]
    assert (made["from"], made["to"]) == ("2026-01-01", "2026-01-02")
    assert json.loads(json.dumps(made)) == made
    sentence = made_with({"command": "run", "hours": 1.5, "made": made})
    assert re.search(r"on slow \(2 cores\), fast \(2 cores\); .*aaa.*bbb.*, 2026-01-01 to 2026-01-02$", sentence)


def test_the_command_has_all_options():
    how = {"fit_steps": [16, 20], "steps": 90, "refits": ["random"]}
    said = command_line("exploration.py", "Toy-Numpy", how)
    assert said == (
        "python benchmarks/exploration.py Toy-Numpy --work FOLDER --fit-steps 16 20 --steps 90 --refits random"
    )


@pytest.mark.parametrize(
    "error, status, told",
    [
        (Stopped("a fit"), 130, "stopped (a fit); the same command goes on from here\n"),
        (KeyboardInterrupt(), 130, "stopped (); the same command goes on from here\n"),
        (ConfigError("seeds must be 1 or more"), 1, "error: seeds must be 1 or more\n"),
        (None, 0, ""),
    ],
)
def test_how_a_script_ends(error, status, told, capsys):
    def work() -> None:
        if error is not None:
            raise error

    assert ended(work) == status
    assert capsys.readouterr().err == told
