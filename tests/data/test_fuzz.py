"""Damaged and hostile files of every kind that datasets are made of raise our own errors only, and never hang."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import cv2
import h5py
import numpy as np
import pytest

from genie_gym import data
from genie_gym.data import convert
from genie_gym.data.convert.actions import read_actions
from genie_gym.data.convert.video import keep, scan
from tests.conftest import LONG
from tests.fuzz import HOSTILE_VALUES, mutate_bytes, mutate_json, only_our_errors

MANY, SOME = (pytest.param(count, marks=LONG) for count in (4000, 1000))

CSV = b"action,reward\n0,0\nNOOP,1.5\n2,-1\n1,3e2\nLEFT,0\n"
JSON_LINES = b'0\n"LEFT"\n{"action": 2, "reward": 1.5}\n{"action": "NOOP"}\n1\n'


@pytest.mark.parametrize("tries", [400, MANY])
@pytest.mark.parametrize(("suffix", "content"), [(".csv", CSV), (".jsonl", JSON_LINES), (".txt", b"0\n1\n2\n0\n")])
def test_action_files(tmp_path, suffix, content, tries):
    path, read = tmp_path / f"actions{suffix}", 0
    for seed in range(tries):
        rng = np.random.default_rng(seed)
        path.write_bytes(mutate_bytes(rng, content))
        names = [None, ["NOOP", "LEFT", "RIGHT"]][int(rng.integers(2))]
        read += only_our_errors(seed, lambda names=names: check_actions(read_actions(path, names)))
    assert 0 < read < tries


@pytest.mark.parametrize("tries", [300, MANY])
def test_values_in_action_files(tmp_path, tries):
    path = tmp_path / "actions.jsonl"
    for seed in range(tries):
        rng = np.random.default_rng(seed)
        path.write_text("\n".join(mutate_json(rng, {"action": 1, "reward": 0.5}) for _ in range(2)) + "\n")
        only_our_errors(seed, lambda: check_actions(read_actions(path)))


def check_actions(found) -> None:
    assert found.actions.min() >= 0 and found.actions.max() < len(found.names)
    assert np.isfinite(found.rewards).all() and all(name.isprintable() for name in found.names)


@pytest.fixture(params=["mp4v .mp4", "MJPG .avi"])
def video(request, tmp_path) -> Path:
    code, suffix = request.param.split()
    path = tmp_path / f"video{suffix}"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*code), 15, (48, 32))
    for index in range(8):
        writer.write(np.full((32, 48, 3), 20 * index, np.uint8))
    writer.release()
    return path


@pytest.mark.parametrize("tries", [60, SOME])
def test_videos(video, tries):
    content = video.read_bytes()
    for seed in range(tries):
        video.write_bytes(mutate_bytes(np.random.default_rng(seed), content))
        only_our_errors(seed, lambda: list(keep(scan(video), size=16).frames()))


@pytest.mark.parametrize("tries", [100, MANY])
def test_images(tmp_path, tries):
    folder = tmp_path / "images"
    folder.mkdir()
    contents = {
        suffix: cv2.imencode(suffix, np.random.default_rng(0).integers(0, 255, (9, 9, 3), np.uint8))[1].tobytes()
        for suffix in (".png", ".jpg", ".bmp", ".webp")
    }
    for seed in range(tries):
        rng = np.random.default_rng(seed)
        for suffix, content in contents.items():
            (folder / f"1{suffix}").write_bytes(mutate_bytes(rng, content) if rng.random() < 0.5 else content)
        only_our_errors(seed, lambda: convert.from_frames(folder, None, tmp_path / "out", size=16))


def read_all(folder: Path) -> None:
    """Read a dataset as training and evaluation do, and pack it."""
    dataset = data.EpisodeDataset(folder)
    assert all(name.isprintable() for name in [*dataset.ids, *dataset.header["actions"], *dataset.skipped])
    for index, episode in enumerate(dataset.episodes()):
        assert np.isfinite(episode.rewards).all() and episode.actions.max() < len(dataset.header["actions"])
        assert isinstance(episode.info, dict)
        if dataset.has_high_res(index):
            dataset.high_res(index, 0, 2)
    windows = data.SequenceDataset(dataset, 3)
    windows.sample(np.random.default_rng(0), 2)
    data.split(dataset)


@pytest.fixture
def folder(tmp_path, make_episode, header) -> Path:
    """A dataset of three single episodes, small so that most mutations hit what is not pixels."""
    writer = data.EpisodeWriter(tmp_path / "data", header)
    for seed in range(3):
        whole = make_episode(seed, 5)
        small = whole.frames[:, :8, :8].copy()
        writer.append(
            data.Episode(small, whole.actions, whole.rewards, info=whole.info, high_res=small.repeat(2, 1).repeat(2, 2))
        )
    return tmp_path / "data"


@pytest.mark.parametrize("tries", [50, SOME])
@pytest.mark.parametrize("packed", [False, True])
def test_shards(folder, packed, tries):
    if packed:
        data.pack(folder)
    path = min(folder.glob("*.h5"))
    content = path.read_bytes()
    for seed in range(tries):
        path.write_bytes(mutate_bytes(np.random.default_rng(seed), content))
        only_our_errors(seed, lambda: read_all(folder))
        if not packed and seed % 10 == 0:
            copy = shutil.copytree(folder, folder.with_name("copy"))
            only_our_errors(seed, lambda copy=copy: (data.pack(copy), read_all(copy)))
            shutil.rmtree(copy)


def put_attribute(rng: np.random.Generator, group: h5py.Group) -> None:
    name = str(rng.choice(["length", "terminated", "truncated", "info", "crc32"]))
    values = [
        *HOSTILE_VALUES,
        *map(np.int8, range(-1, 3)),
        np.uint64(2**64 - 1),
        b"\xff",
        np.zeros((2, 2)),
        h5py.Empty("f"),
    ]
    values += ["[]", "{}", '{"seed": "x"}', "nan", '{"id": 7}', "[" * 10_000]
    group.attrs[name] = values[int(rng.integers(len(values)))]


def put_array(rng: np.random.Generator, group: h5py.Group) -> None:
    name = str(rng.choice(["frames", "frames_crc32", "high_res", "high_res_crc32", "actions", "rewards"]))
    shapes: list[tuple[int, ...]] = [(), (0,), (4,), (5,), (5, 8, 8, 3), (5, 8, 8), (5, 8, 8, 4), (5, 0, 8, 3), (1,)]
    shape = shapes[int(rng.integers(len(shapes)))]
    dtype = str(rng.choice(["u1", "i8", "f4", "f8", ">i8", "?", "S3", "c8", "u4", "i1"]))
    del group[name]
    values = rng.integers(0, 3, shape).astype(dtype)
    options = [
        {},
        {"chunks": True},
        {"compression": "gzip"},
        {"compression": "lzf"},
        {"fletcher32": True},
        {"shuffle": True},
    ]
    chosen = options[int(rng.integers(len(options)))] if shape and 0 not in shape else {}
    if shape == (5, 8, 8, 3) and rng.random() < 0.5:
        chosen = {"chunks": (2, *shape[1:]), "compression": "gzip"}
    group.create_dataset(name, data=values, **chosen)


def drop(rng: np.random.Generator, group: h5py.Group) -> None:
    name = str(rng.choice([*group.keys(), *group.attrs.keys()]))
    del (group if name in group else group.attrs)[name]


def put_group(rng: np.random.Generator, group: h5py.Group) -> None:
    name = str(rng.choice(list(group.keys())))
    del group[name]
    match int(rng.integers(4)):
        case 0:
            group.create_group(name)
        case 1:
            group[name] = group  # an endless way down
        case 2:
            group[name] = np.dtype("f8")
        case 3:
            group[name] = h5py.SoftLink("/nowhere")


@pytest.mark.parametrize("tries", [40, SOME])
def test_what_shards_hold(folder, tries):
    path = min(folder.glob("*.h5"))
    content = path.read_bytes()
    ways: list[Callable[[np.random.Generator, h5py.Group], None]] = [put_attribute, put_array, drop, put_group]
    for seed in range(tries):
        rng = np.random.default_rng(seed)
        path.write_bytes(content)
        with h5py.File(path, "r+") as file:
            (group,) = file.values()
            try:
                ways[int(rng.integers(len(ways)))](rng, group)
            except (TypeError, ValueError, OverflowError, OSError, RuntimeError):  # what HDF5 itself cannot store
                continue
        only_our_errors(seed, lambda: read_all(folder))
        copy = shutil.copytree(folder, folder.with_name("copy"))
        only_our_errors(seed, lambda copy=copy: (data.pack(copy), read_all(copy)))
        shutil.rmtree(copy)


@pytest.mark.parametrize("tries", [120, SOME])
def test_headers(folder, header, tries):
    path = folder / "recording.json"
    content = json.loads(path.read_text())
    content["game"] |= {"title": "Toy", "system": "Numpy", "fps": 15.0, "noop_max": 0}
    content["runs"] += [{"policy": "converted", "source": "x.mp4", "pixels": [64, 64], "box": [0, 0, 64, 64]}]
    for seed in range(tries):
        path.write_text(mutate_json(np.random.default_rng(seed), content))
        if only_our_errors(seed, lambda: read_all(folder)):
            only_our_errors(seed, lambda: data.EpisodeWriter(folder, header | {"seed": 5}))
            only_our_errors(seed, lambda: convert.from_frames(folder, None, folder))
    text = json.dumps(content).encode()
    for seed in range(tries):
        path.write_bytes(mutate_bytes(np.random.default_rng(seed), text))
        only_our_errors(seed, lambda: read_all(folder))


@pytest.mark.parametrize(
    "name", ["recording.json", "episode-x.h5", "shard-x.h5", ".recording.lock", ".episode-x.h5.1.partial"]
)
@pytest.mark.parametrize("target", ["round", "nowhere", "/dev/full", "/", ".", "/proc/self/mem", "folder"])
def test_links_that_go_round_or_nowhere(folder, header, name, target):
    path = folder / name
    path.unlink(missing_ok=True)
    if target == "folder":
        path.mkdir()
    else:
        path.symlink_to(name if target == "round" else target)
    only_our_errors(0, lambda: read_all(folder))
    only_our_errors(0, lambda: data.EpisodeWriter(folder, header | {"seed": 7}))
    only_our_errors(0, lambda: data.pack(folder))


@pytest.mark.parametrize(
    "path", ["", "a\0b", "x" * 300, "~nobody/x", "/dev/zero", "/proc/self/mem", "\ud800", "/", "%d.png"]
)
def test_paths_that_no_file_system_takes(tmp_path, path):
    only_our_errors(0, lambda: data.EpisodeDataset(path))
    only_our_errors(0, lambda: convert.convert(path, out=tmp_path / "out"))
    only_our_errors(0, lambda: convert.from_frames(path, None, tmp_path / "out"))
    only_our_errors(0, lambda: read_actions(path))
    only_our_errors(0, lambda: read_actions(f"{path}.csv"))
