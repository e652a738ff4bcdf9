"""Runs of an experiment are executed once, and say where and how."""

import json
import re

import numpy as np
import pytest

from benchmarks.common import experiment
from benchmarks.common.experiment import Experiment, Stopped, command_line, run_script
from benchmarks.common.machine import made_with
from genie_gym.errors import ConfigError


@pytest.fixture
def facts(monkeypatch):
    """Facts about the machine, to be changed between runs."""
    here = {
        "cpu": "slow",
        "gpu": None,
        "cores": 2,
        "code": "0.1.0 (commit aaa)",
        "torch": "2.13.0",
        "date": "2026-01-01",
    }
    monkeypatch.setattr(experiment, "machine_facts", here.copy)
    return here


def stop(folder):
    raise KeyboardInterrupt


def test_a_run_is_executed_once_and_keeps_its_duration_and_machine(tmp_path, facts):
    with pytest.raises(KeyboardInterrupt):
        Experiment(tmp_path, {}).run("one", stop)
    record = json.loads((tmp_path / "one/run.json").read_text())
    assert record["seconds"] < 10
    (tmp_path / "one/run.json").write_text(json.dumps(record | {"seconds": 100.0}))
    facts |= {"cpu": "fast", "code": "0.1.0 (commit bbb)", "date": "2026-01-02"}
    assert Experiment(tmp_path, {}).run("one", lambda folder: {"value": np.float64(1.23456)}) == (
        tmp_path / "one",
        {"value": 1.2346},
    )
    facts |= {"cpu": "never used", "date": "2026-01-03"}
    later = Experiment(tmp_path, {})
    assert later.run("one", stop)[1] == {"value": 1.2346} and later.seconds["one"] >= 100
    machine = later.machine()
    assert machine["machines"] == ["slow (2 cores)", "fast (2 cores)"] and machine["torch"] == ["2.13.0"]
    assert machine["code"] == ["0.1.0 (commit aaa)", "0.1.0 (commit bbb)"]
    assert (machine["from"], machine["to"]) == ("2026-01-01", "2026-01-02")
    assert json.loads(json.dumps(machine)) == machine
    sentence = made_with({"command": "run", "hours": 1.5, "machine": machine})
    assert re.search(r"on slow \(2 cores\), fast \(2 cores\); .*aaa.*bbb.*, 2026-01-01 to 2026-01-02$", sentence)


def test_the_command_has_all_options():
    options = {"train_steps": [16, 20], "steps": 90, "refits": ["random"]}
    command = command_line("exploration.exploration", ["Toy-Numpy", "--work", "FOLDER"], options)
    assert command == (
        "python -m benchmarks.exploration.exploration Toy-Numpy --work FOLDER "
        "--train-steps 16 20 --steps 90 --refits random"
    )


@pytest.mark.parametrize(
    "error, status, message",
    [
        (Stopped("a run"), 130, "stopped (a run); run the same command again to resume\n"),
        (KeyboardInterrupt(), 130, "stopped (); run the same command again to resume\n"),
        (ConfigError("seeds must be 1 or more"), 1, "error: seeds must be 1 or more\n"),
        (None, 0, ""),
    ],
)
def test_how_a_script_ends(error, status, message, capsys):
    def main() -> None:
        if error is not None:
            raise error

    assert run_script(main) == status
    assert capsys.readouterr().err == message
