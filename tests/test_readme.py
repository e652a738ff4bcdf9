"""The README tells the truth: its Python runs, its commands exist, its cheap commands do what they say."""

import functools
import re
import shlex
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from genie_gym import paths
from genie_gym.cli import gather, learn, main, seek, watch
from genie_gym.world_model.weights import shipped_weights

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)


def commands() -> list[str]:
    """Every `genie-gym` line of the bash blocks, wherever the program lies."""
    lines = [part.strip() for block in blocks("bash") for line in block.splitlines() for part in line.split("&&")]
    return [line[line.index("genie-gym") :] for line in lines if re.match(r"(\S*/)?genie-gym ", line)]


@pytest.mark.parametrize("block", blocks("python"), ids=lambda block: block.strip().splitlines()[-1])
def test_python_runs(block, tmp_path, monkeypatch):
    if "stable_baselines3" in block or "sb3_contrib" in block:
        pytest.importorskip("stable_baselines3", reason="needs Stable-Baselines3: pip install genie_gym[sb3]")
    if "games.make" in block or "make_game_vec_env" in block:
        pytest.importorskip("stable_retro", reason="needs stable-retro: pip install genie_gym[retro]")
    shutil.copytree(shipped_weights("Airstriker-Genesis"), tmp_path / "path/to/folder")
    monkeypatch.chdir(tmp_path)
    left: dict[str, Any] = {"__name__": "__main__"}
    exec(compile(block, "README.md", "exec"), left)
    for name in {"frame", "frames"} & left.keys():  # as the comments say
        assert left[name].dtype == np.uint8 and left[name].shape[-3:] == (64, 64, 3)
    for name in {"reward", "rewards"} & left.keys():
        assert np.isfinite(left[name]).all()


def test_the_commands_are_found():
    assert {line.split()[1] for line in commands()} >= {
        "demo",
        "roms",
        "games",
        "collect",
        "fit",
        "evaluate",
        "convert",
        "explore",
        "places",
        "refit",
    }


@pytest.mark.parametrize("line", commands(), ids=str)
def test_command_parses(line, monkeypatch):
    called = []
    for module in (gather, learn, seek, watch):
        for name in module.__all__:
            function = getattr(module, name)

            @functools.wraps(function)
            def note(*args, __name=name, **kwargs):
                called.append(__name)

            monkeypatch.setattr(module, name, note)
    assert main(shlex.split(line)[1:]) == 0
    assert len(called) == 1


def test_collecting_as_written_on_the_toy_game():
    line = next(line for line in commands() if line.startswith("genie-gym collect"))
    words = shlex.split(line)[1:]
    words[1], words[words.index("--steps") + 1] = "Toy", "200"
    assert main(words) == 0
    assert (paths.data_dir("Toy-Numpy") / "recording.json").is_file()


@pytest.mark.retro
@pytest.mark.slow
def test_importing_and_listing_as_written(capsys):
    pytest.importorskip("ale_py", reason="needs ale-py: pip install genie_gym[atari]")
    pytest.importorskip("stable_retro", reason="needs stable-retro: pip install genie_gym[retro]")
    for start in ("genie-gym roms import --ale", "genie-gym games --with-rom"):
        assert start in commands()
        assert main(shlex.split(start)[1:]) == 0
    text = capsys.readouterr().out
    assert "32 imported" in text and "Kangaroo-Atari2600" in text and "34 games" in text


def test_layout_names_the_folders():
    (layout,) = blocks("text")
    home = paths.home()
    for folder in (paths.roms_dir(), paths.data_dir("<game>"), paths.weights_dir("<game>")):
        assert str(folder.relative_to(home)) in layout


def test_extras_exist():
    setup = (ROOT / "setup.cfg").read_text()
    for extras in re.findall(r"'\.\[([\w,]+)\]'", README):
        for extra in extras.split(","):
            assert re.search(rf"^{extra} ?=", setup, re.MULTILINE), extra


def test_paths_named_exist():
    for path in re.findall(r"`((?:training|benchmarks|docs)/[\w./]+)`", README) + re.findall(
        r"!\[.*?\]\((.*?)\)", README
    ):
        assert (ROOT / path).exists(), path
