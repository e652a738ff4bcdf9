"""Appended episodes survive kills, full disks and concurrent writers."""

import os
import signal
import subprocess
import sys
import time
import warnings
from dataclasses import replace

import numpy as np
import pytest

from genie_gym import data, games
from genie_gym.errors import DataError

# Appends episodes of noise endlessly, printing the id of each once `append` returns; packs after every third.
ENDLESS = """
import sys
import numpy as np
from genie_gym import data
from genie_gym.data import writer as module
module.EPISODES_PER_SHARD = 3
folder, name = sys.argv[1:]
writer = data.EpisodeWriter(folder, {"game": {"name": "Toy-Numpy"}, "actions": ["A"]})
rng = np.random.default_rng(0)
for index in range(10_000):
    frames = rng.integers(0, 256, (50, 64, 64, 3), np.uint8)
    frames[:, 0, 0, 0] = index % 256
    steps = np.zeros(49, np.int64), np.zeros(49, np.float32)
    print(writer.append(data.Episode(frames, *steps, info={"id": f"{name}-{index:05d}"})), flush=True)
"""

# Allows no file above 300 kB, as a full disk would: a short episode fits, a long one does not.
LIMITED = """
import resource, signal, sys
import numpy as np
from genie_gym import data
from genie_gym.errors import DataError
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000))
def episode(length, name):
    frames = np.random.default_rng(0).integers(0, 256, (length, 64, 64, 3), np.uint8)
    return data.Episode(frames, np.zeros(length - 1, np.int64), np.zeros(length - 1, np.float32), info={"id": name})
writer = data.EpisodeWriter(sys.argv[1], {"game": {"name": "Toy-Numpy"}, "actions": ["A"]})
writer.append(episode(10, "short"))
writer.append(episode(15, "short-too"))
for failing in (lambda: writer.append(episode(100, "long")), writer.close):
    try:
        failing()
    except DataError as error:
        print(error)
"""


# Opens many writers of runs of its own, one after the other.
MANY_RUNS = """
import sys
from genie_gym import data
folder, name = sys.argv[1:]
input()
for seed in range(25):
    header = {"game": {"name": "Toy-Numpy"}, "actions": ["A"], "policy": name, "seed": seed}
    data.EpisodeWriter(folder, header).close()
"""


def start(script: str, *args: str) -> subprocess.Popen:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", script, *args]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)


def kill_after(process: subprocess.Popen, episodes: int, seconds: float) -> list[str]:
    """Kill a writer some seconds after a number of episodes; return the ids that it announced."""
    assert process.stdout is not None
    names = [process.stdout.readline().strip() for _ in range(episodes)]
    time.sleep(seconds)
    process.send_signal(signal.SIGKILL)
    names += process.stdout.read().split()
    process.wait()
    assert process.returncode == -signal.SIGKILL
    return names


def test_killed_writers_lose_nothing_they_announced(tmp_path):
    """Two concurrent writers are killed at several moments."""
    announced: set[str] = set()
    for run, moment in enumerate(((1, 0.05), (3, 0.21), (5, 0.002))):
        processes = [start(ENDLESS, str(tmp_path), f"run{run}-{worker}") for worker in range(2)]
        for process in processes:
            announced.update(kill_after(process, *moment))
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # a torn shard would warn
        dataset = data.EpisodeDataset(tmp_path)
        for name, episode in zip(dataset.ids, dataset.episodes(), strict=True):
            assert (episode.frames[:, 0, 0, 0] == int(name[-5:]) % 256).all()
    assert announced <= set(dataset.ids)
    assert len(dataset) <= len(announced) + 6  # at most the one between `append` and `print`, for each writer
    assert len(announced) >= 2 * (1 + 3 + 5)


def test_pack_gathers_what_a_kill_left(tmp_path, make_episode, assert_same, header):
    writer = data.EpisodeWriter(tmp_path, header)
    for seed in range(5):
        writer.append(make_episode(seed))
    aside = tmp_path / ".episode-x.h5.1234.partial"
    aside.write_bytes(b"half")
    os.utime(aside, (0, 0))
    fresh = tmp_path / ".episode-y.h5.1234.partial"  # another writer may be at it right now
    fresh.write_bytes(b"half")
    torn = tmp_path / "episode-torn.h5"
    torn.write_bytes(b"torn")
    data.pack(tmp_path)
    assert not aside.exists()
    assert fresh.exists()
    assert len(list(tmp_path.glob("shard-*.h5"))) == 1
    assert list(tmp_path.glob("episode-*.h5")) == [torn]
    with pytest.warns(UserWarning, match=r"episode-torn.h5"):
        dataset = data.EpisodeDataset(tmp_path)
    for seed, episode in enumerate(dataset.episodes()):
        assert_same(episode, make_episode(seed))


def test_full_disk(tmp_path):
    process = start(LIMITED, str(tmp_path))
    printed, _ = process.communicate(timeout=120)
    appending, packing = printed.splitlines()
    for line in (appending, packing):
        assert "bytes free in" in line
        assert str(tmp_path) in line
        assert "intact" in line
    assert "episode-long.h5" in appending
    dataset = data.EpisodeDataset(tmp_path)
    assert dataset.ids == ["short", "short-too"]
    assert [len(episode) for episode in dataset.episodes()] == [10, 15]
    assert not list(tmp_path.glob(".*.partial"))


def test_a_second_run_joins_the_header(tmp_path, header, make_episode):
    for policy in ("random", "sticky", "random"):
        with data.EpisodeWriter(tmp_path, header | {"policy": policy}) as writer:
            writer.append(make_episode(0))
    runs = data.EpisodeDataset(tmp_path).header["runs"]
    assert [run["policy"] for run in runs] == ["random", "sticky"]


def test_no_run_of_several_processes_is_lost(tmp_path):
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    commands = [[sys.executable, "-c", MANY_RUNS, str(tmp_path), name] for name in "abc"]
    processes = [subprocess.Popen(command, env=environment, stdin=subprocess.PIPE) for command in commands]
    for process in processes:
        process.stdin.write(b"\n")
        process.stdin.flush()
    assert [process.wait(60) for process in processes] == [0, 0, 0]
    for process in processes:
        process.stdin.close()
    runs = data.read_runs(tmp_path)
    assert sorted((run["policy"], run["seed"]) for run in runs) == [
        (name, seed) for name in "abc" for seed in range(25)
    ]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"game": {"name": "Pong-Atari2600"}}, "holds episodes of Toy-Numpy, not Pong-Atari2600"),
        ({"actions": ["A"]}, "recorded with actions"),
        ({"frame_skip": 1}, "recorded with frame_skip 4, not 1"),
        ({"game": "Toy-Numpy"}, "`game` .a dict"),
    ],
)
def test_another_game_is_refused(recorded, header, change, words):
    with pytest.raises(DataError, match=words):
        data.EpisodeWriter(recorded[0].folder, header | change)


def test_bad_ids_and_infos(tmp_path, header, make_episode):
    writer = data.EpisodeWriter(tmp_path, header)
    episode = make_episode(0, 3)
    episode.info["id"] = "../elsewhere"
    with pytest.raises(DataError, match=r"\.\./elsewhere"):
        writer.append(episode)
    episode.info.update(id="good", thing=object())
    with pytest.raises(DataError, match="JSON values, got object"):
        writer.append(episode)


def test_folder_that_is_a_file(tmp_path, header):
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="cannot write"):
        data.EpisodeWriter(tmp_path / "file", header)


def test_a_shard_is_full_when_its_episodes_are_large(tmp_path, make_episode, header, monkeypatch):
    monkeypatch.setattr("genie_gym.data.writer.BYTES_PER_SHARD", 300_000)  # ten frames of noise are 120,000 bytes
    with data.EpisodeWriter(tmp_path, header) as writer:
        for seed in range(7):
            writer.append(make_episode(seed, 10))
    assert len(list(tmp_path.glob("shard-*.h5"))) == 2 and len(list(tmp_path.glob("episode-*.h5"))) == 1
    for seed in range(7, 11):
        data.EpisodeWriter(tmp_path, header).append(make_episode(seed, 10))  # as if killed before packing
    data.pack(tmp_path)
    assert len(list(tmp_path.glob("shard-*.h5"))) == 4 and not list(tmp_path.glob("episode-*.h5"))
    assert data.EpisodeDataset(tmp_path).ids == [f"toy-{seed:03d}" for seed in range(11)]


def test_what_a_header_does_not_know_is_refused_before_it_is_stored(tmp_path, header, make_episode):
    writer = data.EpisodeWriter(tmp_path, header)
    episode = make_episode(0, 5)
    with pytest.raises(DataError, match="has action 3, but the header names 3 actions"):
        writer.append(replace(episode, actions=np.array([0, 1, 2, 3])))
    writer.append(episode)
    with pytest.raises(DataError, match=r"shape \(60, 60, 3\), the last one \(64, 64, 3\)"):
        writer.append(replace(make_episode(1, 5), frames=np.zeros((5, 60, 60, 3), np.uint8)))
    assert data.EpisodeDataset(tmp_path).ids == ["toy-000"]
    with pytest.raises(DataError, match="must be those of its game's own actions"):
        data.EpisodeWriter(tmp_path / "new", {"game": games.find("Toy").to_dict(), "actions": ["NOOP"]})


def test_actions_are_described_where_only_their_names_are_given(tmp_path, header, make_episode):
    with data.EpisodeWriter(tmp_path, header) as writer:
        writer.append(make_episode(0))
    described = data.EpisodeDataset(tmp_path).header["game"]["actions"]
    assert described == [{"meaning": name, "buttons": [], "keys": []} for name in ("NOOP", "LEFT", "RIGHT")]
