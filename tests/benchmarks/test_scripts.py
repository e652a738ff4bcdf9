"""Every script starts, and explains each of its options."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SCRIPTS = sorted(
    script
    for folder in ("benchmarks", "training")
    for script in (ROOT / folder).glob("*.py")
    if "__main__" in script.read_text(encoding="utf-8")
)
SHARED = ("study_options", "add_refit_options")  # in study.py, by the scripts that call them
HELP = """
import contextlib, io, os, runpy, sys
for script in sys.argv[1:]:
    sys.argv, text = [script, "--help"], io.StringIO()
    sys.path.insert(0, os.path.dirname(script))
    with contextlib.redirect_stdout(text), contextlib.suppress(SystemExit):
        runpy.run_path(script, run_name="__main__")
    print(f"== {script}")
    print(text.getvalue())
"""


def test_every_script_starts_and_shows_its_options():
    pytest.importorskip("sb3_contrib", reason="needs sb3-contrib: pip install genie_gym[sb3]")
    command = [sys.executable, "-c", HELP, *map(str, SCRIPTS)]
    answer = subprocess.run(command, capture_output=True, text=True)
    assert answer.returncode == 0, answer.stderr
    texts = dict(part.split("\n", 1) for part in answer.stdout.split("== ")[1:])
    assert len(texts) == len(SCRIPTS) >= 11
    study = (ROOT / "benchmarks" / "study.py").read_text(encoding="utf-8")
    for script in SCRIPTS:
        code = script.read_text(encoding="utf-8")
        for name in SHARED:
            if f"{name}(" in code:
                code += study.split(f"def {name}(")[1].split("\n\n\n")[0]
        given = re.findall(r'add_argument\(\s*"([^"]+)"', code)
        assert given and all(name in texts[str(script)] for name in given), script.name
