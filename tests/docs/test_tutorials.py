"""The documentation tells the truth: Python of the tutorials runs, commands parse, what is named exists."""

import re
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest

from genie_gym.data import EpisodeDataset
from genie_gym.utils import paths
from genie_gym.world_model.resolve import shipped_checkpoint
from tests.docs.snippets import blocks, commands, parse_command

DOCS = Path(__file__).parents[2] / "docs"
PAGES = sorted(DOCS.glob("*.md")) + sorted(DOCS.glob("tutorials/*.md"))
TUTORIALS = sorted(DOCS.glob("tutorials/*.md"))
SLOW = ("intrinsic-reward", "own-environment")  # one starts emulators and Stable-Baselines3, one trains a model
NEEDED = {  # what a block names, and the package it then needs
    "stable_baselines3": "stable_baselines3",
    'games.make("Airstriker")': "stable_retro",
    "make_game_vec_env": "stable_retro",
    "genie_gym.train(": "lightning_fabric",
    "genie_gym.collect(": "h5py",
    "EpisodeWriter": "h5py",
    "TorchRLWorldModelEnv": "torchrl",
    "import ale_py": "ale_py",
}


def cases(pages: list[Path]) -> list[Any]:
    return [pytest.param(page, id=page.stem, marks=[pytest.mark.slow] * (page.stem in SLOW)) for page in pages]


@pytest.mark.parametrize("page", cases([page for page in TUTORIALS if blocks(page.read_text(), "python")]))
def test_python_runs_in_order(page, tmp_path, monkeypatch):
    text = page.read_text()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path, str(tmp_path)])
    names: dict[str, Any] = {"__name__": "__main__"}
    for number, block in enumerate(blocks(text, "python")):
        if file := re.match(r"# (\w+\.py)\n", block):  # a file that later blocks import
            (tmp_path / file[1]).write_text(block)
            monkeypatch.delitem(sys.modules, file[1].removesuffix(".py"), raising=False)
        for sign, package in NEEDED.items():
            if sign in block:
                pytest.importorskip(package, reason=f"needs {package}")
        exec(compile(block, f"{page.name}, Python block {number}", "exec"), names)


def test_quick_start_runs():
    for block in blocks((DOCS / "index.md").read_text(), "python"):
        exec(compile(block, "index.md", "exec"), {"__name__": "__main__"})


@pytest.mark.filterwarnings("ignore::UserWarning")  # Minari asks for an author and a link to the code
def test_formats_run(tmp_path, monkeypatch):
    """Dataset, checkpoint and agent are read as the page says, and datasets of other libraries as well."""
    pytest.importorskip("h5py", reason="needs h5py: pip install genie_gym[train]")
    pytest.importorskip("stable_retro", reason="needs stable-retro: pip install genie_gym[retro]")
    pytest.importorskip("sb3_contrib", reason="needs sb3-contrib: pip install genie_gym[sb3]")
    for package in ("minari", "pyarrow"):
        pytest.importorskip(package, reason="needs minari and pyarrow: pip install genie_gym[minari,lerobot]")
    from tests.toy_play import record

    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path / "minari"))
    record(tmp_path / "path/to/folder", 2, 8)
    shutil.copytree(shipped_checkpoint("Airstriker-Genesis"), tmp_path / "path/to/checkpoint")
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {"__name__": "__main__"}
    for block in blocks((DOCS / "formats.md").read_text(), "python"):
        exec(compile(block, "formats.md", "exec"), names)
    assert len(EpisodeDataset("from-minari")) == len(EpisodeDataset("from-lerobot")) == 2


@pytest.mark.parametrize("line", sorted({line for page in PAGES for line in commands(page.read_text())}))
def test_command_parses(line, monkeypatch):
    assert parse_command(line, monkeypatch)


def test_every_command_is_in_a_tutorial_or_the_readme():
    said = " ".join(line for page in [*PAGES, DOCS.parent / "README.md"] for line in commands(page.read_text()))
    for command in ("collect", "convert", "train", "evaluate", "demo", "explore", "coverage", "refit", "play"):
        assert f"genie-gym {command}" in said


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)#:]+)(?:#[\w-]+)?\)", page.read_text()):
        if not target.startswith("_generated"):
            assert (page.parent / target).exists(), target


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_extras_exist(page):
    setup = (DOCS.parent / "setup.cfg").read_text()
    for extras in re.findall(r"(?:genie_gym|'\.)\[([\w,]+)\]", page.read_text()):
        for extra in extras.split(","):
            assert re.search(rf"^{extra} ?=", setup, re.MULTILINE), extra


def test_layout_names_the_folders():
    layout = (DOCS / "formats.md").read_text()
    for folder in (paths.roms_dir(), paths.data_dir("GAME"), paths.agents_dir("GAME"), paths.weights_dir("GAME")):
        assert f"{folder.relative_to(paths.home())}".replace("GAME", "<game>") in layout
