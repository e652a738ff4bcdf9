"""Datasets are read back exactly as written, and damage is reported rather than fatal."""

import json
import multiprocessing
import os
import pickle
import re
import shutil
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest

from genie_gym import data
from genie_gym.errors import DataError
from genie_gym.utils import paths


def test_round_trip_is_exact(recorded, assert_same):
    dataset, episodes = recorded
    assert len(dataset) == len(episodes)
    assert dataset.lengths.tolist() == [len(episode) for episode in episodes]
    assert dataset.skipped == []
    for read, written in zip(dataset.episodes(), episodes, strict=True):
        assert_same(read, written)


def test_layout_on_disk_is_the_documented_one(recorded):
    dataset, episodes = recorded
    (shard,) = dataset.folder.glob("*.h5")
    with h5py.File(shard) as file:
        assert file.attrs["format"] == b"genie_gym.recording"
        frames = file["toy-005"]["frames"]
        assert (frames.compression, frames.compression_opts, frames.chunks) == ("gzip", 4, (16, 64, 64, 3))
        assert file["toy-005"].attrs["length"] == len(episodes[5])
    header = json.loads((dataset.folder / "recording.json").read_text())
    assert (header["game"]["name"], header["frame_skip"]) == ("Toy-Numpy", 4)
    assert header["runs"][0]["policy"] == "random"
    assert header["runs"][0]["versions"]["h5py"] == h5py.__version__


def test_parts_of_an_episode(recorded):
    dataset, episodes = recorded
    np.testing.assert_array_equal(dataset.frames(3, 10, 30), episodes[3].frames[10:30])
    actions, rewards, terminated = dataset.steps(4)
    np.testing.assert_array_equal(actions, episodes[4].actions)
    np.testing.assert_array_equal(rewards, episodes[4].rewards)
    assert terminated


@pytest.mark.parametrize("share", [0.0, 0.5, 0.95])
def test_torn_shard_is_skipped_with_a_warning_naming_it(recorded, make_episode, header, share):
    dataset, _ = recorded
    with data.EpisodeWriter(dataset.folder, header) as writer:
        writer.append(make_episode(7))
    (torn,) = dataset.folder.glob("shard-*.h5")
    torn.write_bytes(torn.read_bytes()[: int(share * torn.stat().st_size)])
    with pytest.warns(UserWarning, match=torn.name):
        rest = data.EpisodeDataset(dataset.folder)
    assert rest.ids == ["toy-007"]
    assert len(rest.skipped) == 1
    assert torn.name in rest.skipped[0]


def test_damage_inside_a_shard_names_the_file(recorded):
    dataset, _ = recorded
    (shard,) = dataset.folder.glob("shard-*.h5")
    content = bytearray(shard.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 100_000] = bytes(100_000)
    shard.write_bytes(content)
    with pytest.raises(DataError, match=f"{shard.name}.*restore that file, or move it away .* the 6 episode"):
        list(data.EpisodeDataset(dataset.folder).episodes())


def test_missing_folder_says_what_to_type(tmp_path):
    for folder, command in (
        (tmp_path / "a folder", f"genie-gym collect GAME --out '{tmp_path / 'a folder'}'"),
        (paths.data_dir("Airstriker-Genesis"), "genie-gym collect Airstriker-Genesis"),
        (paths.data_dir("Clip-Own"), "genie-gym convert VIDEO --game Clip, or genie-gym collect Clip --env ENV"),
    ):
        with pytest.raises(DataError, match=f"make one with: {re.escape(command)}$"):
            data.EpisodeDataset(folder)


def test_empty_recording_says_what_to_type(tmp_path, header):
    data.EpisodeWriter(tmp_path, header).close()
    with pytest.raises(DataError, match=r"no readable episode .* genie-gym collect Toy-Numpy"):
        data.EpisodeDataset(tmp_path)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("{", "cannot be read"),
        ("[1]", "no dataset header"),
        ('{"format": "zarr"}', "no genie_gym dataset"),
        ('{"format": "genie_gym.recording", "version": 99}', "version 99.*pip install -U"),
    ],
)
def test_foreign_header(recorded, content, words):
    folder = recorded[0].folder
    (folder / "recording.json").write_text(content)
    with pytest.raises(DataError, match=words):
        data.EpisodeDataset(folder)


def test_version_1_is_read_without_its_high_res_frames(tmp_path, header, make_episode, assert_same):
    with data.EpisodeWriter(tmp_path, header) as writer:
        writer.append(with_high_res(make_episode, 1))
    (shard,) = tmp_path.glob("*.h5")
    with h5py.File(shard, "r+") as file:
        file.attrs["version"] = 1
        file.attrs["format"] = "genie_gym.recording"  # of variable length
        group = file["toy-001"]
        group.attrs["info"] = group.attrs["info"].decode()
        del group.attrs["crc32"], group["frames_crc32"], group["high_res_crc32"]
        file.move("toy-001/high_res", "toy-001/large")  # its name in version 1
    content = json.loads((tmp_path / "recording.json").read_text())
    assert content["version"] == 2
    (tmp_path / "recording.json").write_text(json.dumps(content | {"version": 1}))
    dataset = data.EpisodeDataset(tmp_path)
    assert_same(dataset[0], make_episode(1, 20))
    assert not dataset.has_high_res(0)
    with data.EpisodeWriter(tmp_path, header | {"seed": 5}) as writer:  # the header is of the version written now
        writer.append(make_episode(2))
    assert json.loads((tmp_path / "recording.json").read_text())["version"] == 2
    assert data.EpisodeDataset(tmp_path).ids == ["toy-001", "toy-002"]


def test_foreign_shard_is_skipped(recorded):
    folder = recorded[0].folder
    with h5py.File(folder / "shard-foreign.h5", "w") as file:
        file["frames"] = np.zeros(3)
    with pytest.warns(UserWarning, match=r"shard-foreign.h5"):
        assert len(data.EpisodeDataset(folder)) == 6


def test_packing_under_an_open_recording(tmp_path, header, make_episode, assert_same):
    writer = data.EpisodeWriter(tmp_path, header)
    for seed in range(3):
        writer.append(make_episode(seed))
    dataset = data.EpisodeDataset(tmp_path)
    dataset.frames(0, 0, 2)
    writer.close()
    assert [path.name[:5] for path in tmp_path.glob("*.h5")] == ["shard"]
    assert_same(dataset[1], make_episode(1))


def test_an_episode_in_two_shards_counts_once(recorded, make_episode, header):
    folder = recorded[0].folder
    data.EpisodeWriter(folder, header).append(make_episode(2))
    assert len(list(folder.glob("*.h5"))) == 2
    assert len(data.EpisodeDataset(folder)) == 6


def test_more_shards_than_may_be_open(tmp_path, header, make_episode):
    writer = data.EpisodeWriter(tmp_path, header)
    for seed in range(70):
        writer.append(make_episode(seed, 2))
    dataset = data.EpisodeDataset(tmp_path)
    assert [episode.info["seed"] for episode in dataset.episodes()] == list(range(70))
    assert sum(len(shards) for shards in dataset._open.values()) == 64


def test_threads_may_read_more_shards_than_may_be_open(tmp_path, header, make_episode):
    """As a training does that draws batches ahead while it validates: none closes what another reads."""
    writer = data.EpisodeWriter(tmp_path, header)
    for seed in range(70):
        writer.append(make_episode(seed, 2))
    dataset = data.EpisodeDataset(tmp_path)
    order = [[*range(70)], [*range(69, -1, -1)], [*range(35, 70), *range(35)]]
    with ThreadPoolExecutor(len(order)) as threads:
        found = list(threads.map(lambda numbers: [dataset[number].info["seed"] for number in numbers], order))
    assert found == order
    dataset.close()
    assert not dataset._open


def _frames_in_child(dataset: data.EpisodeDataset, queue) -> None:
    queue.put(dataset.frames(2, 0, 20))


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_reading_in_child_processes(recorded, method):
    if method not in multiprocessing.get_all_start_methods():
        pytest.skip(f"no {method} on this system")
    dataset, episodes = recorded
    dataset.frames(0, 0, 2)  # a file is open before the child starts
    context = multiprocessing.get_context(method)
    queue = context.Queue()
    child = context.Process(target=_frames_in_child, args=(dataset, queue))
    child.start()
    np.testing.assert_array_equal(queue.get(timeout=60), episodes[2].frames[:20])
    child.join()
    np.testing.assert_array_equal(dataset.frames(0, 0, 2), episodes[0].frames[:2])


def test_pickled_recording_holds_no_open_file(recorded):
    dataset, episodes = recorded
    dataset.frames(0, 0, 2)
    copy = pickle.loads(pickle.dumps(dataset))
    dataset.close()
    np.testing.assert_array_equal(copy.frames(0, 0, 2), episodes[0].frames[:2])


def test_read_only_folder(recorded, tmp_path):
    copy = Path(shutil.copytree(recorded[0].folder, tmp_path / "copy"))
    for path in (*copy.iterdir(), copy):
        path.chmod(0o555 if path.is_dir() else 0o444)
    assert len(data.EpisodeDataset(copy)[0]) == 20
    if os.geteuid() != 0:  # root may write anywhere
        with pytest.raises(DataError, match="permissions"):
            data.EpisodeWriter(copy, {"game": {"name": "Toy-Numpy"}, "actions": ["NOOP", "LEFT", "RIGHT"], "seed": 9})
    copy.chmod(0o755)


def test_the_same_episodes_with_other_actions(recorded):
    dataset, episodes = recorded
    game = {"name": "Toy-Numpy", "actions": [{"meaning": f"LATENT {i}"} for i in range(8)]}
    other = dataset.with_actions(game, [7 - episode.actions for episode in episodes])
    for index, episode in enumerate(episodes):
        read, (actions, rewards, terminated) = other[index], other.steps(index)
        np.testing.assert_array_equal(read.actions, 7 - episode.actions)
        np.testing.assert_array_equal(read.frames, episode.frames)
        np.testing.assert_array_equal(actions, 7 - episode.actions)
        np.testing.assert_array_equal(rewards, episode.rewards)
        assert terminated == episode.terminated
        np.testing.assert_array_equal(dataset[index].actions, episode.actions)  # which is as it was
    assert other.header["actions"] == [f"LATENT {i}" for i in range(8)] and other.header["game"] == game
    assert dataset.header["actions"] == ["NOOP", "LEFT", "RIGHT"]
    with pytest.raises(DataError, match="as many as those recorded"):
        dataset.with_actions(game, [episode.actions[1:] for episode in episodes])


def test_a_recording_knows_whether_it_came_with_actions(recorded, make_episode, header):
    dataset, _ = recorded
    assert dataset.has_actions
    with data.EpisodeWriter(dataset.folder, header | {"source": "clip.mp4", "no_actions": True}) as writer:
        writer.append(make_episode(7))
    assert not data.EpisodeDataset(dataset.folder).has_actions


def with_high_res(make_episode, seed: int, length: int = 20) -> data.Episode:
    """An episode whose high-resolution frames repeat each pixel of the frames four times."""
    episode = make_episode(seed, length)
    return replace(episode, high_res=episode.frames.repeat(2, 1).repeat(2, 2))


def test_high_res_frames_are_read_on_request(tmp_path, header, make_episode, assert_same):
    episodes = [make_episode(0), with_high_res(make_episode, 1), with_high_res(make_episode, 2)]
    with data.EpisodeWriter(tmp_path, header) as writer:
        for episode in episodes:
            writer.append(episode)
    dataset = data.EpisodeDataset(tmp_path)
    assert [dataset.has_high_res(i) for i in range(3)] == [False, True, True]
    assert data.episode_lengths(tmp_path, high_res=True)[0] == {"toy-001": 20, "toy-002": 20}
    np.testing.assert_array_equal(dataset.high_res(1, 3, 9), episodes[1].high_res[3:9])
    np.testing.assert_array_equal(dataset.frames(1, 3, 9), episodes[1].frames[3:9])
    assert_same(dataset[1], episodes[1])
    assert dataset[1].high_res is None  # they would take much memory
    with pytest.raises(
        DataError, match=r"toy-000 .* no high-resolution frames; .* genie-gym collect Toy-Numpy --high-res"
    ):
        dataset.high_res(0, 0, 2)


def test_high_res_frames_on_disk(tmp_path, header, make_episode):
    with data.EpisodeWriter(tmp_path, header) as writer:
        writer.append(with_high_res(make_episode, 1))
    (shard,) = tmp_path.glob("*.h5")
    with h5py.File(shard) as file:
        high_res = file["toy-001"]["high_res"]
        assert high_res.shape == (20, 128, 128, 3) and high_res.dtype == np.uint8
        assert (high_res.compression, high_res.compression_opts, high_res.chunks) == ("gzip", 4, (1, 128, 128, 3))


def test_an_episode_recorded_again_with_high_res_frames_replaces_itself(recorded, make_episode, header):
    folder = recorded[0].folder
    with data.EpisodeWriter(folder, header) as writer:
        for seed in (2, 3):
            writer.append(with_high_res(make_episode, seed, 20 + 7 * seed))
    dataset = data.EpisodeDataset(folder)
    assert len(dataset) == 6
    assert [dataset.has_high_res(i) for i in range(6)] == [False, False, True, True, False, False]
    np.testing.assert_array_equal(dataset.frames(3, 0, 41), recorded[1][3].frames)


def test_frames_of_another_size_are_no_damage(tmp_path, header, make_episode):
    data.EpisodeWriter(tmp_path, header).append(make_episode(0, 10))
    small = replace(make_episode(1, 10), frames=np.zeros((10, 32, 32, 3), np.uint8))
    data.EpisodeWriter(tmp_path, header).append(small)
    clips = data.SequenceDataset(data.EpisodeDataset(tmp_path), 4)
    with pytest.raises(DataError, match=r"toy-001 has frames of shape \(32, 32, 3\), others of \(64, 64, 3\)"):
        clips.sample(np.random.default_rng(0), 20)
