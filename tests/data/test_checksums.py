"""What a disk or a copy changes is noticed: every bit of frames, actions, rewards and how an episode ended."""

import shutil
import warnings
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest

from genie_gym import data
from genie_gym.errors import DataError

BITS = 40


def places(path: Path) -> dict[str, tuple[int, int]]:
    """Offset and size in bytes of each stored array of the only episode in a shard."""
    found = {}
    with h5py.File(path) as file:
        (group,) = file.values()
        for name in ("actions", "rewards"):
            found[name] = (group[name].id.get_offset(), group[name].nbytes)
        for name in {"frames", "high_res"} & group.keys():
            for index in range(group[name].id.get_num_chunks()):
                chunk = group[name].id.get_chunk_info(index)
                found[f"{name} {index}"] = (chunk.byte_offset, chunk.size)
    return found


def flip(path: Path, byte: int, bit: int) -> None:
    content = bytearray(path.read_bytes())
    content[byte] ^= 1 << bit
    path.write_bytes(content)


def read(folder: Path) -> tuple[list[data.Episode], list[np.ndarray]]:
    dataset = data.EpisodeDataset(folder)
    high_res = [dataset.high_res(i, 0, int(dataset.lengths[i])) for i in range(len(dataset)) if dataset.has_high_res(i)]
    return list(dataset.episodes()), high_res


@pytest.fixture(params=["noise", "plain"])
def shard(request, tmp_path, header, make_episode) -> Path:
    """One episode of 20 frames, which gzip cannot shrink, or shrinks to almost nothing."""
    episode = make_episode(1, 20)
    if request.param == "plain":
        episode = replace(episode, frames=np.full_like(episode.frames, 7))
    large = episode.frames.repeat(2, 1).repeat(2, 2)
    data.EpisodeWriter(tmp_path / "data", header).append(replace(episode, high_res=large))
    (path,) = (tmp_path / "data").glob("*.h5")
    return path


def test_every_flipped_bit_of_values_is_noticed(shard):
    whole, rng = shard.read_bytes(), np.random.default_rng(0)
    for name, (start, size) in places(shard).items():
        bits = range(8 * size) if size < 20 else rng.choice(8 * size, BITS if "high_res" not in name else 2, False)
        for bit in bits:
            flip(shard, start + bit // 8, bit % 8)
            with pytest.raises(DataError, match=rf"toy-001 .*{shard.name}.*checksum"):
                read(shard.parent)
            shard.write_bytes(whole)


def test_a_window_notices_what_it_reads(shard):
    start, size = places(shard)["frames 1"]
    flip(shard, start + size // 2, 3)
    dataset = data.EpisodeDataset(shard.parent)
    assert dataset.frames(0, 0, 16).shape == (16, 64, 64, 3)
    with pytest.raises(DataError, match="frames 16 to 31 differ from their checksum"):
        dataset.frames(0, 15, 17)


@pytest.mark.parametrize("name", ["terminated", "truncated"])
def test_how_an_episode_ended_is_part_of_the_checksum(shard, name):
    with h5py.File(shard, "r+") as file:
        file["toy-001"].attrs[name] = not file["toy-001"].attrs[name]
    with pytest.raises(DataError, match=r"toy-001 .*checksum"):
        data.EpisodeDataset(shard.parent).steps(0)


def test_no_flipped_bit_anywhere_changes_what_is_read(shard):
    """Structures that say where values are have no checksums in HDF5, but cannot lead to other values unnoticed."""
    whole, rng = shard.read_bytes(), np.random.default_rng(1)
    (before,), (large,) = read(shard.parent)
    values = np.zeros(len(whole), bool)
    for start, size in places(shard).values():
        values[start : start + size] = True
    for byte in rng.choice(np.flatnonzero(~values), 3 * BITS, replace=False):
        flip(shard, int(byte), int(rng.integers(8)))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                episodes, high_res = read(shard.parent)
            except DataError as error:
                assert shard.parent.name in str(error)
            else:
                for name in ("frames", "actions", "rewards", "terminated", "truncated", "info"):
                    np.testing.assert_array_equal(getattr(episodes[0], name), getattr(before, name))
                assert not high_res or np.array_equal(high_res[0], large)
        shard.write_bytes(whole)


def test_checksums_survive_packing(shard, header, make_episode):
    data.EpisodeWriter(shard.parent, header).append(make_episode(2))
    data.pack(shard.parent)
    (packed,) = shard.parent.glob("shard-*.h5")
    with h5py.File(packed) as file:
        for group in file.values():
            assert group.attrs["crc32"].dtype == np.uint32
            assert len(group["frames_crc32"]) == group["frames"].id.get_num_chunks()
    content = bytearray(packed.read_bytes())
    with h5py.File(packed) as file:
        offset = file["toy-001"]["rewards"].id.get_offset()
    content[offset + 1] ^= 4
    packed.write_bytes(content)
    with pytest.raises(DataError, match=r"toy-001 .*checksum"):
        read(shard.parent)


def test_damage_is_not_packed(shard, header, make_episode):
    """The file of a damaged episode is neither packed nor deleted, and hides none of the others."""
    folder = shard.parent
    for seed in (2, 3):
        data.EpisodeWriter(folder, header).append(make_episode(seed))
    start, size = places(shard)["frames 0"]
    flip(shard, start + size // 2, 3)
    damaged = folder / "episode-lacks.h5"
    shutil.copy(folder / "episode-toy-002.h5", damaged)
    with h5py.File(damaged, "r+") as file:
        file.move("toy-002", "lacks")
        del file["lacks"].attrs["length"]
    data.pack(folder)
    assert sorted(path.name for path in folder.glob("episode-*.h5")) == [damaged.name, shard.name]
    with pytest.warns(UserWarning, match=r"episode-lacks\.h5: episode lacks: .*length"):
        dataset = data.EpisodeDataset(folder)
    assert dataset.ids == ["toy-001", "toy-002", "toy-003"]
    assert len(dataset[1]) == len(dataset[2]) == 40
