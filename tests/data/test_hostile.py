"""Datasets of strangers: no other file is read, names lead nowhere and steer no terminal, sizes cost nothing."""

import json
import os
import re
import resource
import struct
import subprocess
import sys
import time
import warnings
import zlib
from pathlib import Path

import cv2
import h5py
import numpy as np
import pytest

from genie_gym import data
from genie_gym.collection.config import CollectConfig
from genie_gym.data import convert
from genie_gym.data.convert.actions import read_actions
from genie_gym.errors import ConfigError, DataError, GenieGymError
from genie_gym.utils import paths

SECRET = b"the password is swordfish" * 2000


def external(group: h5py.Group, name: str, secret: Path) -> None:
    old = group[name]
    shape, dtype = old.shape, old.dtype
    del group[name]
    group.create_dataset(name, shape, dtype, external=[(str(secret), 0, h5py.h5f.UNLIMITED)])


def virtual(group: h5py.Group, name: str, secret: Path) -> None:
    old = group[name]
    layout = h5py.VirtualLayout(old.shape, old.dtype)
    layout[...] = h5py.VirtualSource(str(secret.with_suffix(".h5")), "values", old.shape, old.dtype)
    del group[name]
    group.create_virtual_dataset(name, layout)


def external_link(group: h5py.Group, name: str, secret: Path) -> None:
    del group[name]
    group[name] = h5py.ExternalLink(str(secret.with_suffix(".h5")), "values")


def soft_link(group: h5py.Group, name: str, secret: Path) -> None:
    group.move(name, "elsewhere")
    group[name] = h5py.SoftLink(f"{group.name}/elsewhere")


@pytest.fixture
def secret(tmp_path) -> Path:
    """A file that a dataset must not bring along, and an HDF5 file of values."""
    path = tmp_path / "secret"
    path.write_bytes(SECRET)
    with h5py.File(path.with_suffix(".h5"), "w") as file:
        file["values"] = np.frombuffer(SECRET[:36864], np.uint8).reshape(3, 64, 64, 3)
    return path


@pytest.mark.parametrize("name", ["frames", "frames_crc32", "actions", "rewards"])
@pytest.mark.parametrize("trick", [external, virtual, external_link, soft_link])
def test_no_other_file_is_read_or_packed(tmp_path, header, make_episode, secret, trick, name):
    folder = tmp_path / "data"
    writer = data.EpisodeWriter(folder, header)
    for seed in range(3):
        writer.append(make_episode(seed, 3))
    hostile = folder / "episode-toy-001.h5"
    with h5py.File(hostile, "r+") as file:
        trick(file["toy-001"], name, secret)
    with pytest.warns(UserWarning, match=rf"{hostile.name}.*toy-001.*{name}.*(another file|another place)"):
        dataset = data.EpisodeDataset(folder)
    assert dataset.ids == ["toy-000", "toy-002"]
    data.pack(folder)
    assert hostile.exists() and len(list(folder.glob("*.h5"))) == 2
    (shard,) = folder.glob("shard-*.h5")
    assert SECRET[:20] not in shard.read_bytes()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert data.EpisodeDataset(folder).ids == ["toy-000", "toy-002"]


def test_an_episode_that_is_a_link_to_another_file(tmp_path, header, make_episode, recorded):
    folder = tmp_path / "data"
    data.EpisodeWriter(folder, header).append(make_episode(0))
    (other,) = recorded[0].folder.glob("*.h5")
    with h5py.File(folder / "episode-toy-000.h5", "r+") as file:
        file["stolen"] = h5py.ExternalLink(str(other), "toy-001")
    with pytest.warns(UserWarning, match="stolen.*another place"):
        assert data.EpisodeDataset(folder).ids == ["toy-000"]


STEERING = "\x1b]0;owned\x07\x1b[2J"


def test_names_in_files_steer_no_terminal(tmp_path, header, make_episode):
    data.EpisodeWriter(tmp_path, header).append(make_episode(0))
    with h5py.File(tmp_path / "episode-toy-000.h5", "r+") as file:
        file.create_group(f"{STEERING}[red]")
    (tmp_path / f"episode-{STEERING}.h5").write_bytes(b"torn")
    with pytest.warns(UserWarning) as warned:
        dataset = data.EpisodeDataset(tmp_path)
    assert len(dataset.skipped) == 2 and len(warned) == 2
    assert all(line.isprintable() for line in [*dataset.skipped, *(str(one.message) for one in warned)])


def change(folder: Path, **entries: object) -> None:
    path = folder / "recording.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **entries}))


GAME = {"name": "Toy-Numpy"}


@pytest.mark.parametrize(
    "entries",
    [
        *(
            {"game": {**GAME, "name": name}}
            for name in ("../../etc", "/etc/passwd", "a/b", "..", "a\0b", STEERING, 7, "")
        ),
        *({"actions": ["A", "B", name]} for name in (STEERING, "a\nb", "\u202egnp", "", 7, None, "x" * 10_000)),
        {"actions": "ABC"},
        {"actions": ["A"] * 100_000},
        {"game": {**GAME, "actions": [{"meaning": "OTHER"}] * 3}},
        {"game": {**GAME, "actions": [{"meaning": name, "keys": [STEERING]} for name in ("NOOP", "LEFT", "RIGHT")]}},
        {"game": {**GAME, "fps": "fast"}},
        {"game": {**GAME, "fps": float("nan")}},
        {"game": {**GAME, "fps": 10**400}},
        {"game": [1]},
        *({"game": {**GAME, "env": env}} for env in (7, {}, {"env": ""}, {"env": STEERING}, {"env": "x" * 999})),
        *(
            {"game": {**GAME, "env": {"env": "x", "kwargs": kwargs}}}
            for kwargs in ([], {"a": "b" * 99_999}, {STEERING: 1})
        ),
        *({"game": {**GAME, "env": {"env": "x", "actions": table}}} for table in ([], 3, [0] * 5000)),
        {"game": {**GAME, "env": {"env": "x", "picture": 3}}},
        {"game": {**GAME, "env": {"env": "x", "named": True}}},
        {"frame_skip": 0},
        {"frame_skip": True},
        {"runs": {}},
        {"runs": [1]},
        {"runs": [{"box": [0, 0, 64, 64], "pixels": [32, 32]}]},
        {"runs": [{"box": [0, 0, 64, 64]}]},
        {"runs": [{"pixels": [64, 64], "box": "all"}]},
        {"version": -1},
        {"version": True},
        {"version": "2\x1b[2J"},
        {"format": [STEERING]},
    ],
    ids=lambda entries: ascii(entries)[:60],
)
def test_a_header_is_checked_when_it_is_read_and_what_is_wrong_is_said_plainly(recorded, entries):
    change(recorded[0].folder, **entries)
    with pytest.raises(DataError, match=r"recording\.json") as error:
        data.EpisodeDataset(recorded[0].folder)
    assert str(error.value).isprintable() and len(str(error.value)) < 500


def test_a_name_leads_to_no_other_folder():
    for name in ("../x", "/etc", "a/b", "..", "a\0", STEERING):
        for folder in (paths.data_dir, paths.weights_dir, paths.agents_dir):
            with pytest.raises(GenieGymError) as error:
                folder(name)
            assert str(error.value).isprintable()


@pytest.mark.parametrize("text", ['{"a":' * 100_000, "[" * 900 + "]" * 900, "\ud800", "1" * 10_000, "nul", ""])
def test_json_that_no_program_takes(recorded, text):
    (recorded[0].folder / "recording.json").write_bytes(text.encode("utf-8", "surrogatepass"))
    with pytest.raises(DataError, match=r"recording\.json"):
        data.EpisodeDataset(recorded[0].folder)


# ---- sizes -----------------------------------------------------------------------------------------------------


def bomb_of_zeros(group: h5py.Group) -> None:
    """One stored chunk stands for all 100 GB, whose other chunks are not even there."""
    del group["frames"], group["frames_crc32"]
    length = 8_000_000
    frames = group.create_dataset("frames", (length, 64, 64, 3), "u1", chunks=(16, 64, 64, 3), compression="gzip")
    frames[:16] = 1
    group.attrs["length"] = length


def one_huge_chunk(group: h5py.Group) -> None:
    del group["frames"], group["frames_crc32"]
    shape = (300_000, 64, 64, 3)
    group.create_dataset("frames", shape, "u1", chunks=shape, compression="gzip")
    group.attrs["length"] = shape[0]


def huge_frames(group: h5py.Group) -> None:
    del group["frames"], group["frames_crc32"]
    group.create_dataset("frames", (3, 100_000, 100_000, 3), "u1", chunks=(1, 100_000, 10_000, 3), compression="gzip")


def huge_actions(group: h5py.Group) -> None:
    for name in ("actions", "rewards"):
        dtype = group[name].dtype
        del group[name]
        group.create_dataset(name, (10**11,), dtype)  # of which HDF5 stores nothing
    group.attrs["length"] = 10**11 + 1


def swollen_chunk(group: h5py.Group) -> None:
    """A chunk of 36,864 bytes that goes on for 256 MB when it is decompressed."""
    packer = zlib.compressobj(9)
    content = b"".join([packer.compress(bytes(2**24)) for _ in range(16)]) + packer.flush()
    group["frames"].id.write_direct_chunk((0, 0, 0, 0), content)
    group["frames_crc32"][0] = zlib.crc32(content)


READ = """
import resource, sys, time, warnings
from genie_gym import data
from genie_gym.errors import GenieGymError
warnings.simplefilter("ignore")
before, start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.monotonic()
try:
    for episode in data.EpisodeDataset(sys.argv[1]).episodes():
        pass
    print("read", episode.frames.shape)
except GenieGymError as error:
    print("refused")
print(time.monotonic() - start, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024)
"""


def read_in_a_process(folder: Path) -> tuple[str, float, float]:
    """What reading a dataset answers, and the seconds and MiB that it takes."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    answer = subprocess.run(
        [sys.executable, "-c", READ, str(folder)], env=environment, capture_output=True, text=True, timeout=60
    )
    assert answer.returncode == 0, answer.stderr
    what, numbers = answer.stdout.splitlines()
    seconds, megabytes = map(float, numbers.split())
    return what, seconds, megabytes


@pytest.mark.parametrize("bomb", [bomb_of_zeros, one_huge_chunk, huge_frames, huge_actions, swollen_chunk])
def test_bombs_cost_nothing(tmp_path, header, make_episode, bomb):
    data.EpisodeWriter(tmp_path, header).append(make_episode(0, 3))
    (path,) = tmp_path.glob("*.h5")
    with h5py.File(path, "r+") as file:
        bomb(file["toy-000"])
    assert path.stat().st_size < 10**7
    what, seconds, megabytes = read_in_a_process(tmp_path)
    assert what == "refused" or bomb is swollen_chunk  # of which the three frames are read
    assert seconds < 5 and megabytes < 150
    data.pack(tmp_path)
    assert sum(shard.stat().st_size for shard in tmp_path.glob("*.h5")) < 10**7


def test_pipes_and_devices_where_files_are_expected(tmp_path, header, make_episode):
    data.EpisodeWriter(tmp_path, header).append(make_episode(0))
    os.mkfifo(tmp_path / "episode-pipe.h5")
    (tmp_path / "episode-zero.h5").symlink_to("/dev/zero")
    (tmp_path / "episode-round.h5").symlink_to("episode-round.h5")
    (tmp_path / "episode-nowhere.h5").symlink_to("nowhere")
    (tmp_path / "episode-folder.h5").mkdir()
    start = time.monotonic()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert data.EpisodeDataset(tmp_path).ids == ["toy-000"]
        data.pack(tmp_path)
        assert data.EpisodeDataset(tmp_path).ids == ["toy-000"]
        (tmp_path / "recording.json").unlink()
        os.mkfifo(tmp_path / "recording.json")
        with pytest.raises(DataError, match="pipe"):
            data.EpisodeDataset(tmp_path)
    assert time.monotonic() - start < 5


# ---- values ----------------------------------------------------------------------------------------------------


def as_floats(group: h5py.Group) -> None:
    frames = group["frames"][()]
    del group["frames"], group["frames_crc32"]
    group.create_dataset("frames", data=frames / 255, chunks=(16, 64, 64, 3), compression="gzip")


def with_reward(value: float):
    def put(group: h5py.Group) -> None:
        del group.attrs["crc32"]
        group["rewards"][3] = value

    return put


def with_action(value: int):
    def put(group: h5py.Group) -> None:
        del group.attrs["crc32"]
        group["actions"][3] = value

    return put


def as_grey(group: h5py.Group) -> None:
    frames = group["frames"][..., :1]
    del group["frames"], group["frames_crc32"]
    group.create_dataset("frames", data=frames, chunks=(16, 64, 64, 1), compression="gzip")


def shorter(group: h5py.Group) -> None:
    group.attrs["length"] = 5


def empty(group: h5py.Group) -> None:
    group.attrs["length"] = 0


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (as_floats, r"frames is float64, expected uint8; .*255 \* frames"),
        (as_grey, r"frames has shape \(20, 64, 64, 1\)"),
        (shorter, "frames has shape"),
        (empty, "0 frames"),
        (with_reward(np.nan), "finite"),
        (with_reward(np.inf), "finite"),
        (with_action(-2), "negative"),
        (with_action(-(2**63)), "negative"),
        (with_action(3), "has action 3, but recording.json names 3 actions"),
    ],
)
def test_values_are_checked_where_they_are_read(tmp_path, header, make_episode, spoil, words):
    for seed in range(2):
        data.EpisodeWriter(tmp_path, header).append(make_episode(seed, 20))
    path = tmp_path / "episode-toy-001.h5"
    with h5py.File(path, "r+") as file:
        spoil(file["toy-001"])
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        dataset = data.EpisodeDataset(tmp_path)
    if len(dataset) == 2:  # what only reading tells is no reason to hide an episode
        for read in (lambda: dataset[1], lambda: dataset.steps(1), lambda: data.SequenceDataset(dataset, 5)):
            with pytest.raises(DataError, match=rf"toy-001.*{path.name}.*{words}"):
                read()
    else:
        assert dataset.ids == ["toy-000"]
        (line,) = map(str, (one.message for one in warned))
        assert path.name in line and "toy-001" in line
        assert re.search(words, line)


# ---- images, videos and action files ---------------------------------------------------------------------------


def png_of(width: int, height: int) -> bytes:
    """A PNG of black pixels, which is a thousand times as small."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    packer = zlib.compressobj(9)
    rows = [packer.compress(bytes(1 + 3 * width)) for _ in range(min(height, 100))]
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", b"".join(rows) + packer.flush()) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


@pytest.mark.parametrize("sides", [(30_000, 30_000), (100_000, 1), (1, 2**31 - 1), (9_000, 9_000)])
def test_images_of_absurd_sizes(tmp_path, sides):
    folder = tmp_path / "images"
    folder.mkdir()
    for name in ("1.png", "2.png"):
        (folder / name).write_bytes(png_of(*sides))
    start, before = time.monotonic(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(DataError, match=r"1\.png is no readable image"):
        convert.from_frames(folder, None, tmp_path / "out")
    assert time.monotonic() - start < 3
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200_000  # KiB


@pytest.mark.parametrize(
    "text",
    [
        "#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\n{}\n#EXT-X-ENDLIST\n",
        "ffconcat version 1.0\nfile '{}'\n",
        "[playlist]\nFile1={}\n",
    ],
)
def test_a_video_that_names_another_file(tmp_path, text):
    writer = cv2.VideoWriter(str(tmp_path / "private.mp4"), cv2.VideoWriter.fourcc(*"mp4v"), 15, (48, 32))
    for _ in range(8):
        writer.write(np.full((32, 48, 3), 99, np.uint8))
    writer.release()
    (tmp_path / "list.mp4").write_text(text.format(tmp_path / "private.mp4"))
    with pytest.raises(DataError, match="it is a text"):
        convert.from_video(tmp_path / "list.mp4", None, tmp_path / "out")


def test_an_endless_or_huge_action_file(tmp_path):
    os.mkfifo(tmp_path / "pipe.csv")
    (tmp_path / "zero.csv").symlink_to("/dev/zero")
    with (tmp_path / "huge.jsonl").open("wb") as file:
        file.truncate(2**40)
    for name, words in (("pipe.csv", "pipe or device"), ("zero.csv", "pipe or device"), ("huge.jsonl", "more than")):
        with pytest.raises(DataError, match=words):
            read_actions(tmp_path / name)
    for source in ("pipe.csv", "zero.csv"):
        with pytest.raises(DataError, match="pipe or device"):
            convert.from_video(tmp_path / source, None, tmp_path / "out")


@pytest.mark.parametrize(
    "line",
    [
        *("[1]", "{}", "true", "-2", str(10**40), '"1_0"', '"a\\u001b[2J"', f'"{"x" * 5000}"'),
        *(f'{{"action": 0, "reward": {reward}}}' for reward in ("1e39", "true", "[]", "NaN", "-Infinity")),
    ],
)
def test_lines_that_hold_no_action(tmp_path, line):
    (tmp_path / "a.jsonl").write_text(f"0\n{line}\n0\n")
    with pytest.raises(DataError) as error:
        read_actions(tmp_path / "a.jsonl", ["NOOP", "LEFT"])
    assert str(error.value).isprintable() and len(str(error.value)) < 500


@pytest.mark.parametrize(
    "options", [{"workers": 100_000}, {"max_steps": 10**9}, {"max_steps": 100_000, "high_res": True}]
)
def test_absurd_collections_are_refused(options):
    with pytest.raises(ConfigError, match="or less"):
        CollectConfig("Toy", **options)
