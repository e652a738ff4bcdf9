"""The README tells the truth: its Python runs, its commands exist, and it stays short."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from genie_gym.cli.main import main
from genie_gym.utils import paths
from tests.docs.snippets import blocks, commands, parse_command

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
DOCS = "".join(page.read_text() for page in sorted((ROOT / "docs").glob("**/*.md")))


@pytest.mark.parametrize("block", blocks(README, "python"), ids=lambda block: block.strip().splitlines()[-1])
def test_python_runs(block):
    left: dict[str, Any] = {"__name__": "__main__"}
    exec(compile(block, "README.md", "exec"), left)
    assert left["frame"].dtype == np.uint8 and left["frame"].shape == (64, 64, 3)
    assert np.isfinite(left["reward"])


def test_the_commands_are_found():
    assert {line.split()[1] for line in commands(README)} >= {"demo", "roms", "collect", "train", "evaluate"}


@pytest.mark.parametrize("line", commands(README), ids=str)
def test_command_parses(line, monkeypatch):
    assert parse_command(line, monkeypatch)


def test_collecting_as_written_on_the_toy_game():
    pytest.importorskip("h5py", reason="needs h5py: pip install genie_gym[train]")
    line = next(line for line in commands(README) if line.startswith("genie-gym collect"))
    words = line.split()[1:]
    words[1], words[words.index("--steps") + 1] = "Toy", "200"
    assert main(words) == 0
    assert (paths.data_dir("Toy-Numpy") / "recording.json").is_file()


@pytest.mark.retro
@pytest.mark.slow
def test_importing_and_listing_as_written(capsys):
    pytest.importorskip("ale_py", reason="needs ale-py: pip install genie_gym[atari]")
    pytest.importorskip("stable_retro", reason="needs stable-retro: pip install genie_gym[retro]")
    assert "genie-gym roms import --ale" in commands(README) and "genie-gym games --with-rom" in DOCS
    assert main(["roms", "import", "--ale"]) == 0
    assert main(["games", "--with-rom"]) == 0
    text = capsys.readouterr().out
    assert "32 imported" in text and "Kangaroo-Atari2600" in text and "Kangaroo-Ale" in text and "138 games" in text


def test_extras_exist():
    setup = (ROOT / "setup.cfg").read_text()
    for extras in re.findall(r"'\.\[([\w,]+)\]'", README):
        for extra in extras.split(","):
            assert re.search(rf"^{extra} ?=", setup, re.MULTILINE), extra


def test_links_lead_somewhere():
    headings = {anchor for heading in re.findall(r"^#+ (.*)$", DOCS, re.MULTILINE) for anchor in [slug(heading)]}
    for target, anchor in re.findall(r"\]\(([^)#:]+)(?:#([\w-]+))?\)", README):
        assert (ROOT / target).exists(), target
        assert not anchor or anchor in headings, anchor


def slug(heading: str) -> str:
    """A heading's anchor, as GitHub and MyST make it."""
    return re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")


def test_it_is_short():
    assert len(README.split()) <= 900
