"""Whether anything is lost, run or left to a traceback, at full numbers: `python -m benchmarks.quality.reliability`.

Runs the tests marked `long` one after the other, each in a process of its own, and writes down what each tried, how
long it took, and the most memory that it had. A test that passes has lost, repeated, run and left over nothing. What
passed before with the same number of tries is not run again.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.common.experiment import run_script
from benchmarks.common.machine import machine_facts
from benchmarks.common.results import RESULTS, Figures, markdown_table, write_page

ROOT = Path(__file__).parents[2]
MOST_KILOBYTES = 2**20  # that a test may have; torch and pytest take a third of them


@dataclass(frozen=True)
class Row:
    """A row of the table.

    Attributes:
        what: What is tried.
        tries: How often, over all tests that match.
        test: Start of the names of the tests; a file alone for all that it has.
        marker: Which of them.
    """

    what: str
    tries: int
    test: str
    marker: str = "long"


ROWS = (
    Row("kills while a checkpoint is replaced", 200, "tests/world_model/test_replacement.py::test_a_real_kill"),
    Row("partial resets of 64 dreams", 1000, "tests/envs/test_endurance.py::test_partial_resets"),
    Row("steps of one dream", 100_000, "tests/envs/test_endurance.py::test_one_long_dream"),
    Row("kills of collect", 200, "tests/collection/test_collect.py::test_many_kills"),
    Row("kills of train", 200, "tests/training/test_kills.py::test_many_kills"),
    Row("kills of refit", 200, "tests/refitting/test_kills.py::test_many_kills"),
    Row("kills of explore", 200, "tests/exploration/test_kills.py::test_many_kills"),
    Row("command lines", 2000, "tests/test_fuzz_command_line.py::test_any_command"),
    Row("files of settings of a run", 10_000, "tests/utils/test_run_config.py::test_no_damage"),
    Row("files of figures of a refit", 10_000, "tests/refitting/test_report.py::test_no_damage"),
    Row("training states", 10_000, "tests/training/loop/test_train_state.py::test_any_file"),
    Row("agents", 1000, "tests/sb3/test_agent_file.py::test_no_damage"),
    Row("configurations of checkpoints", 10_000, "tests/world_model/test_hostile_checkpoint.py::test_any_config"),
    Row("tensor files of checkpoints", 10_000, "tests/world_model/test_hostile_checkpoint.py::test_any_tensor_file"),
    Row("options, resets and actions of environments", 3500, "tests/envs/test_fuzz_options.py::test_any_options"),
    Row("action files", 16_000, "tests/data/test_fuzz.py::test_action_files test_values_in_action_files"),
    Row("images and videos", 6000, "tests/data/test_fuzz.py::test_images test_videos"),
    Row("shards of datasets", 3000, "tests/data/test_fuzz.py::test_shards test_what_shards_hold"),
    Row("headers of datasets", 2000, "tests/data/test_fuzz.py::test_headers"),
    Row("loads beside writers of a checkpoint", 1000, "tests/world_model/test_replacement.py::test_a_reader"),
    Row("agents that run code if unpickled, given to commands", 15, "tests/test_hostile_agents.py", marker="not long"),
)


def read_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", default=[], help="words of which the name of a row must have one")
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder of the result")
    return parser.parse_args()


def run(row: Row) -> Figures:
    """Run the tests of a row; return whether they passed, their number, seconds and megabytes."""
    file, _, names = row.test.partition("::")
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "junit.xml"
        command = [sys.executable, "-m", "pytest", "-q", "-x", "-m", row.marker, f"--junitxml={report}", file]
        command += ["-k", " or ".join(names.split())] if names else []
        started = time.monotonic()
        process = subprocess.Popen(command, cwd=ROOT)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        return {
            "tries": row.tries,
            "test": row.test,
            "passed": process.returncode == 0 and usage.ru_maxrss < MOST_KILOBYTES,
            "seconds": round(time.monotonic() - started),
            "megabytes": round(usage.ru_maxrss / 1024),
        }


def table(figures: Figures) -> str:
    """Return a Markdown table of all rows, those that were not run yet included."""
    heads = ["what", "tries", "lost, run, or a traceback", "minutes", "MB at most", "test"]
    return markdown_table(heads, [_cells(row, figures.get(row.what)) for row in ROWS])


def _cells(row: Row, one: Figures | None) -> list[Any]:
    file, _, names = row.test.partition("::")
    test = ", ".join(f"`{file}::{name}`" for name in names.split()) or f"`{file}`"
    if one is None:
        return [row.what, f"{row.tries:,}", "not run so often yet", "", "", test]
    outcome, minutes = 0 if one["passed"] else "failed", round(one["seconds"] / 60, 1)
    return [row.what, f"{one['tries']:,}", outcome, minutes, one["megabytes"], test]


def main() -> None:
    options, machine = read_options(), machine_facts()
    place = options.out / "reliability.json"
    result: Figures = json.loads(place.read_text()) if place.exists() else {"rows": {}}
    rows = result["rows"]
    for row in ROWS:
        before = rows.get(row.what, {})
        wanted = not options.only or any(word in row.what for word in options.only)
        if not wanted or (before.get("passed") and before["tries"] == row.tries):
            continue
        rows[row.what] = run(row) | {"code": machine["code"]}
        write_page(options.out / "reliability", {"rows": rows, "machine": machine}, [table(rows)])
    print(table(rows))


if __name__ == "__main__":
    sys.exit(run_script(main))
