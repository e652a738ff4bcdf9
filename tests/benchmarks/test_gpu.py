"""The command for a lent GPU, its whole way on a CPU."""

import json
import sys
import time

import pytest

from benchmarks.speed import gpu
from genie_gym.training.presets import PRESETS
from tests.toy_play import record

SLEEPER = """
import time
try:
    print("started", flush=True)
    time.sleep(600)
except KeyboardInterrupt:
    print("saved")
    sys = __import__("sys")
    sys.exit(130)
"""


@pytest.mark.slow
def test_tests_speed_and_training_in_one_call(tmp_path, monkeypatch, capsys):
    record(tmp_path / "data", episodes=4, steps=60)
    monkeypatch.setattr(gpu, "SECONDS", 0.2)
    options = ["--device", "cpu", "--speed-presets", "tiny", "--batches", "2", "--preset", "tiny", "--minutes", "30"]
    options += ["--data", str(tmp_path / "data"), "--out", str(tmp_path / "out"), "--fit-minutes", "0.1"]
    options += ["--no-compile"]
    monkeypatch.setattr(sys, "argv", ["gpu", *options])
    gpu.main()
    figures = json.loads((tmp_path / "out/gpu.json").read_text())
    assert any(word in figures["tests"] for word in ("skipped", "passed"))  # pytest's last line
    assert figures["speed"]["matrix products"]["gflops"] > 1
    assert figures["speed"]["tiny, imagined frames, batch 2, eager"]["frames_per_second"] > 0
    training = figures["speed"]["tiny, training"]
    assert training["clips_per_second"] == pytest.approx(1e3 * training["batch_size"] / training["p50_ms"], abs=0.01)
    page = (tmp_path / "out/gpu.md").read_text()
    share = 1e3 * training["gflop"] / training["p50_ms"] / figures["speed"]["matrix products"]["gflops"]
    assert 0 < share < 1 and f"{share:.1%}" in page and str(training["peak_mb"]) in page
    assert figures["training"]["finished"] and (tmp_path / "out/checkpoint/config.json").exists()
    assert page in capsys.readouterr().out


def test_a_command_that_takes_too_long_is_asked_to_save(tmp_path):
    log = tmp_path / "log.txt"
    with log.open("w") as file:
        assert gpu._run_until(time.monotonic() + 5, [sys.executable, "-c", SLEEPER], file) == 130
    assert log.read_text().split() == ["started", "saved"]


def test_presets_have_sampling_steps_to_measure():
    assert gpu.SAMPLING_STEPS.keys() == PRESETS.keys()


def test_a_failure_is_a_figure_and_what_takes_too_long_is_stopped():
    assert "invalid literal" in gpu._within(120, int, ("x",))["error"]
    assert gpu._within(1, time.sleep, (60,)) == {"error": "not done in time"}
    assert gpu._within(0, int, ("1",)) is None
