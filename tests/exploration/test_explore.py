"""Exploration trains an agent, measures its coverage, writes a GIF, and is resumed, also after Ctrl-C."""

import json
import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import imageio.v3 as imageio
import numpy as np
import pytest

pytest.importorskip("sb3_contrib", reason="needs sb3-contrib: pip install genie_gym[sb3]")

from genie_gym import games
from genie_gym.data import Episode, EpisodeDataset
from genie_gym.errors import CheckpointError, ConfigError, GameError, GenieGymError
from genie_gym.exploration.config import ExploreConfig
from genie_gym.exploration.coverage import StateCoverage, compare_coverage
from genie_gym.exploration.explore import explore
from genie_gym.sb3 import ExplorerConfig, SavedAgent, load_agent, save_agent
from genie_gym.utils import paths
from tests.conftest import random_state
from tests.fuzz import Bomb

TINY = ExplorerConfig(n_steps=16, batch_size=32, n_epochs=1, lstm_hidden_size=8)
OPTIONS = {"num_envs": 2, "max_steps": 40, "progress": False, "explorer": TINY, "device": "cpu"}

EXPLORE = """
import sys
from genie_gym.exploration.explore import explore
from genie_gym.sb3 import ExplorerConfig
if __name__ == "__main__":
    report = explore("Toy-Numpy", steps=10**6, reward="none", num_envs=2, out=sys.argv[1], device="cpu", progress=False,
                     explorer=ExplorerConfig(n_steps=16, batch_size=32, n_epochs=1, lstm_hidden_size=8))
    print(report.finished, report.steps)
"""


def test_explores_on_the_models_uncertainty(exploring_checkpoint):
    report = explore("Toy-Numpy", steps=64, checkpoint=exploring_checkpoint, seed=1, **OPTIONS)
    assert report.finished and report.steps == 64
    assert report.agent == paths.agents_dir("Toy-Numpy") / "autoexplore-1" / "agent.safetensors"
    assert 0 < report.metrics.reward <= 2
    assert report.metrics.visited_cells == len(StateCoverage(np.load(report.agent.parent / "visited_cells.npy"))) > 1
    gif = imageio.imread(report.gif)
    assert gif.shape[0] > 2 and gif.shape[1:3] == (192, 192)
    about = SavedAgent(report.agent).about
    assert (about["game"], about["reward"], about["steps"]) == ("Toy-Numpy", "autoexplore", 64)


@pytest.mark.retro
def test_positions_of_the_player_are_counted_over_resumes():
    pytest.importorskip("ale_py", reason="needs ale-py: pip install genie_gym[atari]")
    known: set[tuple[int, ...]] = set()
    for steps in (64, 128):
        report = explore("Hero-Ale", steps=steps, reward="none", **OPTIONS)
        found = np.load(report.agent.parent / "visited_positions.npy")
        assert report.metrics.visited_positions == len({tuple(one) for one in found}) == len(found) > 1
        assert known < {tuple(one) for one in found}
        known = {tuple(one) for one in found}
    walked, rng = games.make("Hero-Ale"), np.random.default_rng(0)
    start = walked.reset(seed=0)[1]["position"]
    seen = {start} | {walked.step(rng.integers(walked.action_space.n))[4]["position"] for _ in range(200)}
    assert seen & known  # the same first room, in the same units


def test_the_gif_shows_the_episode_that_visits_most_cells(tmp_path, monkeypatch):
    lengths = iter([4, 9, 3, 5, 2])

    def play(env, policy, seed, steps):
        levels = np.arange(0, 8 * next(lengths), 8, dtype=np.uint8)  # a cell per frame
        frames = np.repeat(levels, 64 * 64 * 3).reshape(-1, 64, 64, 3)
        return Episode(frames, np.zeros(len(levels) - 1, np.int64), np.zeros(len(levels) - 1, np.float32))

    monkeypatch.setattr("genie_gym.exploration.explore.play_episode", play)
    report = explore("Toy-Numpy", steps=32, reward="none", out=tmp_path, **OPTIONS)
    assert len(imageio.imread(report.gif, extension=".gif")) == 9


def test_is_resumed(tmp_path):
    first = explore("Toy-Numpy", steps=32, reward="game", out=tmp_path, **OPTIONS)
    second = explore("Toy-Numpy", steps=96, reward="game", out=tmp_path, **OPTIONS)
    assert (first.steps, second.steps) == (32, 96)
    assert second.seconds > first.seconds
    assert second.metrics.visited_cells >= first.metrics.visited_cells
    third = explore("Toy-Numpy", steps=96, reward="game", out=tmp_path, **OPTIONS)
    assert third.steps == 96 and third.metrics == second.metrics


def test_records_the_episodes_it_learns_from(tmp_path):
    options = OPTIONS | {"reward": "game", "out": tmp_path / "agent", "record": tmp_path / "data"}
    explore("Toy-Numpy", steps=160, **options)
    first = EpisodeDataset(tmp_path / "data")
    assert sum(first.lengths - 1) == 160
    assert all(name.startswith("game-learning-0-") for name in first.ids)
    # A training that was killed before its first save takes the same steps again, which are not recorded twice.
    explore("Toy-Numpy", steps=160, **options | {"out": tmp_path / "again"})
    assert EpisodeDataset(tmp_path / "data").ids == first.ids
    explore("Toy-Numpy", steps=320, **options)
    both = EpisodeDataset(tmp_path / "data")
    assert set(both.ids) > set(first.ids) and sum(both.lengths - 1) == 320
    (counted,) = compare_coverage([tmp_path / "data"])
    assert counted.visited_cells > 1 and counted.positions is None  # its episodes have no seeds to replay them with
    with pytest.raises(ConfigError, match="imagined episodes are not recorded"):
        explore("Toy-Numpy", imagined=True, record=tmp_path / "imagined")


def test_explores_in_imagination_then_in_the_game(exploring_checkpoint, monkeypatch):
    own = {"checkpoint": exploring_checkpoint, **OPTIONS}
    with monkeypatch.context() as patched:
        patched.setattr("genie_gym.games.make", None)  # imagination needs no game
        pretrained = explore("Toy-Numpy", steps=64, imagined=True, **own)
    assert pretrained.agent.parent == paths.agents_dir("Toy-Numpy") / "autoexplore-imagined-0"
    assert pretrained.finished and pretrained.gif.is_file() and 0 < pretrained.metrics.reward <= 2
    continued = explore("Toy-Numpy", steps=32, init_from="autoexplore-imagined-0", **own)
    assert continued.steps == 32
    monkeypatch.chdir(Path(exploring_checkpoint).parent)  # the same folder under another name
    same = own | {"checkpoint": Path(exploring_checkpoint).name}
    assert explore("Toy-Numpy", steps=32, init_from="autoexplore-imagined-0", **same).steps == 32
    with pytest.raises(CheckpointError, match="holds no explorer"):
        other = own | {"explorer": ExplorerConfig(n_steps=16, batch_size=32, n_epochs=1, lstm_hidden_size=16)}
        explore("Toy-Numpy", steps=32, init_from="autoexplore-imagined-0", seed=1, **other)
    with pytest.raises(CheckpointError, match="there is no agent at nobody"):
        explore("Toy-Numpy", steps=32, init_from="nobody", seed=2, **own)
    with pytest.raises(ConfigError, match="unknown reward 'rnd' in imagination; choose one of: autoexplore, game"):
        explore("Toy-Numpy", reward="rnd", imagined=True)


def test_explores_in_the_world_model_of_a_video(exploring_checkpoint):
    shutil.copytree(exploring_checkpoint, paths.weights_dir("my-video-Own"))
    report = explore("my-video", steps=32, imagined=True, **OPTIONS)
    assert report.game == "my-video-Own" and report.steps == 32 and report.gif.is_file()
    with pytest.raises(GameError, match="my-video"):
        explore("my-video", steps=32, **OPTIONS)


def test_other_settings_need_another_folder(tmp_path):
    explore("Toy-Numpy", steps=32, reward="none", out=tmp_path, **OPTIONS)
    with pytest.raises(ConfigError, match="started with"):
        explore("Toy-Numpy", steps=32, reward="game", out=tmp_path, **OPTIONS)


def test_ctrl_c_saves_and_a_second_process_is_refused(tmp_path):
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", EXPLORE, str(tmp_path)]
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True, start_new_session=True)
    try:
        wait_for(tmp_path / "tensorboard")
        time.sleep(1)
        with pytest.raises(ConfigError, match="another process is training in"):
            explore("Toy-Numpy", steps=10**6, reward="none", out=tmp_path, **OPTIONS)
        os.killpg(process.pid, signal.SIGINT)  # a terminal sends it to the whole group
        printed, _ = process.communicate(timeout=60)
    finally:
        with suppress(ProcessLookupError):  # its games too, which it ends itself if all is well
            os.killpg(process.pid, signal.SIGKILL)
    assert process.returncode == 0
    finished, steps = printed.split()
    assert finished == "False" and int(steps) > 0
    options = OPTIONS | {"max_steps": 1000}
    resumed = explore("Toy-Numpy", steps=int(steps) + 1, reward="none", out=tmp_path, **options)
    assert resumed.finished and resumed.steps > int(steps)


def wait_for(path: Path) -> None:
    deadline = time.monotonic() + 60
    while not path.exists():
        assert time.monotonic() < deadline, "the training did not begin"
        time.sleep(0.05)


def test_a_configuration_stands_for_its_options(tmp_path):
    config = ExploreConfig("Toy", reward="none", steps=32, num_envs=2, max_steps=40, out=tmp_path, device="cpu")
    report = explore(config, progress=False, explorer=TINY)
    assert report.steps == 32 and json.loads((tmp_path / "settings.json").read_text())["game"] == "Toy-Numpy"
    options = {"steps": 32, "compile": True, "threads": 2}  # neither says what the agent is
    assert ExploreConfig("Toy").identity() == ExploreConfig("Toy", out=tmp_path, **options).identity()
    assert ExploreConfig("Toy").identity() != ExploreConfig("Toy", score_interval=1).identity()


def test_a_failing_film_costs_no_training(tmp_path, monkeypatch):
    def fail(*args, **kwargs):
        raise OSError("no such device")

    with monkeypatch.context() as patch:
        patch.setattr("genie_gym.exploration.explore.to_gif", fail)
        patch.setattr("genie_gym.exploration.explore.pack", fail)
        options = OPTIONS | {"reward": "none", "out": tmp_path / "agent", "record": tmp_path / "data"}
        with pytest.warns(UserWarning, match="no such device") as warned:
            report = explore("Toy-Numpy", steps=32, **options)
    assert len(warned) == 2  # of packing and of filming
    assert report.finished and report.gif is None and report.steps == 32
    assert SavedAgent(report.agent).about["steps"] == 32
    assert sum(EpisodeDataset(tmp_path / "data").lengths - 1) == 32
    assert explore("Toy-Numpy", steps=32, **options).gif.is_file()  # the same command films it


def test_training_and_filming_leave_the_callers_random_generators_alone(tmp_path):
    before = random_state()
    explore("Toy-Numpy", steps=32, reward="none", seed=7, out=tmp_path, **OPTIONS)
    assert random_state() == before
    explore("Toy-Numpy", steps=64, reward="none", seed=7, out=tmp_path, **OPTIONS)  # resumed
    assert random_state() == before


def test_a_training_that_diverges_says_so(tmp_path):
    wild = ExplorerConfig(n_steps=16, batch_size=32, n_epochs=3, lstm_hidden_size=8, learning_rate=1e30)
    with pytest.raises(ConfigError, match="lower learning_rate"):
        explore("Toy-Numpy", steps=320, reward="none", out=tmp_path, **OPTIONS | {"explorer": wild})


@pytest.fixture(scope="module")
def explored(tmp_path_factory) -> Path:
    """The folder of a finished training."""
    folder = tmp_path_factory.mktemp("explored")
    explore("Toy-Numpy", steps=32, reward="game", out=folder, **OPTIONS)
    return folder


def resume(folder: Path) -> None:
    explore("Toy-Numpy", steps=32, reward="game", out=folder, **OPTIONS)


@pytest.mark.parametrize("name", ["settings.json", "visited_cells.npy", "visited_positions.npy", "agent.safetensors"])
@pytest.mark.parametrize("what", ["pipe", "device", "round", "folder", "empty", "deep", "pickle"])
def test_a_strangers_folder_is_refused_in_one_line(name, what, explored, tmp_path):
    folder = tmp_path / "run"
    shutil.copytree(explored, folder)
    path, mark = folder / name, tmp_path / "executed"
    path.unlink(missing_ok=True)
    {
        "pipe": lambda: os.mkfifo(path),
        "device": lambda: path.symlink_to("/dev/zero"),
        "round": lambda: path.symlink_to(path),
        "folder": path.mkdir,
        "empty": path.touch,
        "deep": lambda: path.write_text(100_000 * "["),
        "pickle": lambda: np.save(path.open("wb"), np.array([Bomb(mark)], object), allow_pickle=True),
    }[what]()
    if what == "round":  # as good as missing: made anew
        resume(folder)
    else:
        with pytest.raises(GenieGymError):
            resume(folder)
    assert not mark.exists()


@pytest.mark.parametrize(
    "about",
    [
        {"seconds": "long"},
        {"metrics": {"reward": 1}},
        {"metrics": {"reward": None, "visited_cells": 1}},
        {"metrics": 3},
        {"reward_statistics": {"returns": {"mean": 1}}},
        {"reward_statistics": {"returns": {"mean": 0, "var": -1, "count": 1}}},
        {"reward_statistics": {"returns": {"mean": 0, "var": float("nan"), "count": 1}}},
        {"reward_statistics": {"__class__": {}}},
        {"reward_statistics": [1]},
    ],
    ids=str,
)
def test_notes_of_other_types_are_refused(about, explored, tmp_path):
    shutil.copytree(explored, tmp_path / "run")
    path = tmp_path / "run" / "agent.safetensors"
    agent = load_agent(path)
    save_agent(agent, path, agent.about | about)
    with pytest.raises(CheckpointError, match="to start again"):
        resume(tmp_path / "run")


def test_wrong_options():
    with pytest.raises(ConfigError, match="unknown option 'step' of ExploreConfig; did you mean 'steps'"):
        explore("Toy-Numpy", step=3)
    with pytest.raises(ConfigError, match="unknown reward 'fun'; choose one of: autoexplore"):
        explore("Toy-Numpy", reward="fun")
    with pytest.raises(ConfigError, match="num envs must be 1 or more, got 0"):
        explore("Toy-Numpy", num_envs=0)
    with pytest.raises(ConfigError, match="num envs must be 1024 or less, got 1025"):
        explore("Toy-Numpy", num_envs=1025)  # each is a process; imagined ones are a batch
    assert ExploreConfig("Toy-Numpy", num_envs=1025, imagined=True).num_envs == 1025


def test_a_game_without_weights_says_how_to_make_them():
    with pytest.raises(CheckpointError, match="genie-gym train Toy-Numpy"):
        explore("Toy-Numpy", **OPTIONS)
    assert not paths.agents_dir("Toy-Numpy").exists()  # a start that failed binds nobody to its settings


@pytest.mark.retro
def test_explores_airstriker_with_the_model_that_ships(tmp_path):
    report = explore("Airstriker-Genesis", steps=64, out=tmp_path, **OPTIONS)
    assert report.finished and 0 < report.metrics.reward < 2
    assert report.gif.stat().st_size > 1000


@pytest.mark.retro
def test_an_emulator_that_dies_is_reported(tmp_path, monkeypatch):
    def train(agent, *args: object) -> bool:
        for process in multiprocessing.active_children():
            process.kill()
            process.join()
        agent.env.reset()
        return True

    monkeypatch.setattr("genie_gym.sb3.train", train)
    with pytest.raises(GameError, match="an emulator's process of Airstriker-Genesis ended; the same command resumes"):
        explore("Airstriker-Genesis", steps=64, reward="game", out=tmp_path, **OPTIONS)
