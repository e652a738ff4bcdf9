"""The walk of a user with an environment of their own, by lines of the command line alone."""

import importlib.util
import shlex
import sys
from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest

from genie_gym.cli import main
from genie_gym.data import EpisodeDataset
from genie_gym.registration import register_games
from genie_gym.training.presets import PRESETS
from genie_gym.utils import paths
from genie_gym.world_model import Checkpoint
from tests.docs.snippets import commands
from tests.miniature import miniature

ENVIRONMENTS = {  # and the package each needs
    "tests.catch:make": None,
    "CartPole-v1": "pygame",
    "ALE/Pong-v5": "ale_py",
}
DOCUMENTED = {"FourRooms": "minigrid", "CarRacing": "Box2D", "Highway": "highway_env"}  # the same by title
PAGE = Path(__file__).parents[2] / "docs/tutorials/own-environment.md"
TOY_SIZES = {  # of the documented lines; the last of an option's values holds
    "collect": ["--steps", "40", "--max-steps", "14", "--workers", "1"],
    "train": ["--minutes", "0.05", "--preset", "miniature"],
    "evaluate": ["--clips", "2", "--long-steps", "0"],
    "demo": ["--steps", "16"],
    "explore": ["--steps", "8", "--num-envs", "1", "--max-steps", "16", "--device", "cpu"],
}
FEW = ["--episodes", "4", "--max-steps", "24", "--workers", "1"]


@pytest.fixture
def walk(monkeypatch, tmp_path, capsys):
    """Runs a line, and returns its exit code and what it says in one piece."""
    monkeypatch.setitem(PRESETS, "miniature", miniature(window=6))
    monkeypatch.setattr(sys, "path", sys.path.copy())
    monkeypatch.chdir(tmp_path)

    def run(*words: str) -> tuple[int, str]:
        code, said = main(words), capsys.readouterr()
        return code, " ".join((said.out + said.err).split())

    yield run
    for name in [name for name in gym.registry if name.endswith("-Own-v0")]:
        gym.registry.pop(name)


def documented_lines(title: str) -> dict[str, list[str]]:
    """The tutorial's words for an environment by command; what it does not say goes as for FourRooms."""
    found: dict[str, list[str]] = {}
    for game in ("FourRooms", title):
        lines = [shlex.split(line)[1:] for line in commands(PAGE.read_text())]
        found |= {words[0]: [words[0], title, *words[2:]] for words in lines if words[1] == game}
    return found


@pytest.mark.slow
@pytest.mark.parametrize("env", ENVIRONMENTS)
def test_from_the_first_picture_to_refit(walk, env):
    pytest.importorskip("sb3_contrib", reason="needs sb3-contrib: pip install genie_gym[sb3]")
    if (package := ENVIRONMENTS[env]) and not importlib.util.find_spec(package):
        pytest.skip(f"needs {package}")
    named = ["--env", env]
    again = named if ":" in env else []  # what only files say is not imported; ids of installed packages are known
    code, said = walk("collect", "Mine", *named, *FEW)
    assert code == 0 and "genie-gym train Mine-Own" in said
    dataset = EpisodeDataset(paths.data_dir("Mine-Own"))
    assert len(dataset) == 4 and dataset[0].frames.shape[1:] == (64, 64, 3) and dataset[0].frames.std() > 1
    assert dataset.header["game"]["env"]["env"] == env
    assert len(set(dataset[0].frames.reshape(len(dataset[0]), -1).sum(1))) > 2  # the picture moves
    assert walk("train", "Mine", "--preset", "miniature")[0] == 0
    assert Checkpoint.load(paths.weights_dir("Mine-Own")).game == dataset.header["game"]
    assert walk("evaluate", "Mine", "--clips", "2", "--long-steps", "0")[0] == 0

    register_games()  # what the next program's import does
    world = gym.make("GenieRedux/Mine-Own-v0")
    assert world.reset(seed=0)[0].shape == (64, 64, 3)
    assert world.action_space.n == len(dataset.header["actions"])
    world.close()

    short = ["--num-envs", "2", "--max-steps", "24"]
    code, said = walk("explore", "Mine", "--steps", "256", "--device", "cpu", *short, *again)
    assert code == 0 and "--policy autoexplore-0" in said
    code, said = walk("collect", "Mine", *FEW, "--policy", "autoexplore-0", *again)
    assert code == 0 and "4 episodes" in said
    code, said = walk("demo", "Mine", "--steps", "16", *again)
    assert code == 0 and "real game" in said
    steps = ["--frames", "48", "--decoder-steps", "1", "--dynamics-steps", "1", "--clips", "2", "--workers", "1"]
    assert walk("refit", "Mine", "--policy-source", "random", "--max-steps", "24", *steps, *again)[0] == 0
    assert walk("coverage", "Mine")[0] == 0


@pytest.mark.slow
@pytest.mark.parametrize("title", DOCUMENTED)
def test_the_documented_lines_record_fit_evaluate_dream_and_explore(walk, title):
    pytest.importorskip("sb3_contrib", reason="needs sb3-contrib: pip install genie_gym[sb3]")
    pytest.importorskip(DOCUMENTED[title], reason=f"needs {DOCUMENTED[title]}")
    lines = documented_lines(title)
    assert list(lines) == ["collect", "train", "evaluate", "demo", "explore", "play"]
    for command, sizes in TOY_SIZES.items():
        code, said = walk(*lines[command], *sizes)
        if "give --horizon " in said:  # a car crashes early: the error says which horizon fits
            horizon = said.partition("give --horizon ")[2].split()[0]
            code, said = walk(*lines[command], *sizes, "--horizon", horizon)
        assert code == 0, (command, said)
    assert "--policy autoexplore-0" in said  # its environment is known from the recording
    dataset = EpisodeDataset(paths.data_dir(f"{title}-Own"))
    assert len(dataset) >= 3 and len({frame.tobytes() for frame in dataset[0].frames}) > 3  # something moves
    register_games()
    world = gym.make(f"GenieRedux/{title}-Own-v0")  # what `play` opens
    assert world.reset(seed=0)[0].shape == world.step(1)[0].shape == (64, 64, 3)
    world.close()


def test_what_only_files_say_is_not_imported(walk, tmp_path):
    pytest.importorskip("sb3_contrib", reason="needs sb3-contrib: pip install genie_gym[sb3]")
    (tmp_path / "mine.py").write_text("from tests.catch import make\nopen('imported', 'a').write('.')\n")
    assert walk("collect", "Mine", "--env", "mine:make", *FEW)[0] == 0
    assert walk("train", "Mine", "--preset", "miniature")[0] == 0
    Path("imported").unlink()
    del sys.modules["mine"]  # as the next command is another process
    for words in (["collect", "--episodes", "9"], ["explore", "--steps", "8"], ["refit"]):
        code, said = walk(words[0], "Mine", *words[1:])
        assert code == 2 and "add: --env mine:make" in said
    code, said = walk("demo", "Mine", "--steps", "16")
    assert code == 0 and "add: --env mine:make" in said and "alone" in said
    assert not Path("imported").exists() and "mine" not in sys.modules
    assert walk("collect", "Mine", "--env", "mine:make", *FEW[:1], "5", *FEW[2:])[0] == 0
    assert Path("imported").exists()


def test_pictures_actions_and_arguments_are_named(walk):
    table = ["--env-actions", "[7, 5]", "--env-kwargs", '{"size": 64, "fall": 4}', "--env-picture", "observation"]
    assert walk("collect", "Mine", "--env", "tests.catch:make", *table, *FEW)[0] == 0
    dataset = EpisodeDataset(paths.data_dir("Mine-Own"))
    assert dataset.header["actions"] == ["RIGHT", "LEFT"] and set(dataset.lengths) == {5}
    episode = dataset[0]
    columns = episode.frames[:, :, :, 0].max(1).argmax(1)  # of the block's left side
    np.testing.assert_array_equal(columns[1:], np.clip(columns[:-1] + np.array([3, -3])[episode.actions], 0, 56))
    code, said = walk("collect", "Mine", "--env", "tests.catch:make", "--env-actions", "[5]", *FEW)
    assert code == 2 and "was recorded with" in said
    code, said = walk("collect", "Pull", "--env", "Pendulum-v1")
    assert code == 2 and "--env-actions 3" in said
