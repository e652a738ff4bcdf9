"""Every script starts, and explains each of its options."""

import importlib
import sys
from pathlib import Path

import pytest

pytest.importorskip("sb3_contrib", reason="needs sb3-contrib: pip install genie_gym[sb3]")

ROOT = Path(__file__).parents[2]
MODULES = sorted(
    ".".join(path.relative_to(ROOT).with_suffix("").parts)
    for path in (ROOT / "benchmarks").rglob("*.py")
    if "def read_options()" in path.read_text(encoding="utf-8")
)


def test_there_is_a_script_for_each_subject():
    assert len(MODULES) >= 11
    assert {name.split(".")[1] for name in MODULES} == {
        "speed",
        "quality",
        "exploration",
        "paper",
    }


@pytest.mark.parametrize("module", MODULES)
def test_a_script_explains_each_of_its_options(module, monkeypatch, capsys):
    script = importlib.import_module(module)
    monkeypatch.setattr(sys, "argv", [module, "--help"])
    with pytest.raises(SystemExit) as stopped:
        script.read_options()
    text = capsys.readouterr().out
    assert stopped.value.code == 0 and len(text) > 500
    assert f"python -m {module.removesuffix('.__main__')}" in " ".join(text.split())
