"""The way to LeRobotDataset v3 and back keeps all but a little of the pixels."""

import json
import sys

import numpy as np
import pytest

from genie_gym import data
from genie_gym.errors import DataError, MissingExtraError
from tests.clips import bar_places, moving_bar, write_clip
from tests.fuzz import damage_json

HEADER = {"game": {"name": "Toy-Numpy", "title": "Toy", "fps": 12.0}, "actions": ["NOOP", "LEFT", "RIGHT"]}


@pytest.fixture
def recorded(tmp_path) -> data.EpisodeDataset:
    """Three episodes of a moving bar."""
    rng = np.random.default_rng(0)
    with data.EpisodeWriter(tmp_path / "toy", HEADER) as writer:
        for index, length in enumerate((20, 33, 15)):
            actions, rewards = rng.integers(0, 3, length - 1), rng.normal(size=length - 1).astype(np.float32)
            frames = moving_bar(np.arange(length) / 15, 15 + 5 * index, 64, 64)
            writer.append(data.Episode(frames, actions, rewards, index == 1, index != 1, {"id": f"toy-{index}"}))
    return data.EpisodeDataset(tmp_path / "toy")


def test_missing_pyarrow_names_the_extra(recorded, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'genie_gym\[lerobot\]'"):
        data.export_lerobot(recorded, tmp_path / "lerobot")


def test_there_and_back(recorded, tmp_path):
    pytest.importorskip("pyarrow")
    folder = data.export_lerobot(recorded, tmp_path / "lerobot")
    for _ in range(2):  # the second time replaces the first
        back = data.import_lerobot(folder, tmp_path / "back", game="Toy")
        assert back.header["actions"] == HEADER["actions"] and back.header["game"]["fps"] == 12
        for read, written in zip(back.episodes(), recorded.episodes(), strict=True):
            np.testing.assert_array_equal(read.actions, written.actions)
            np.testing.assert_array_equal(read.rewards, written.rewards)
            assert (read.terminated, read.truncated) == (written.terminated, written.truncated)
            assert np.abs(read.frames.astype(int) - written.frames).mean() < 3
    with pytest.raises(DataError, match="exists already"):
        data.export_lerobot(recorded, folder)


def test_what_other_programs_read(recorded, tmp_path):
    """The files, columns and times that the format asks for."""
    parquet = pytest.importorskip("pyarrow.parquet")
    folder = data.export_lerobot(recorded, tmp_path / "lerobot")
    info = json.loads((folder / "meta/info.json").read_text())
    assert (info["codebase_version"], info["fps"], info["total_episodes"], info["total_frames"]) == ("v3.0", 12, 3, 68)
    rows = parquet.read_table(folder / "data/chunk-000/file-000.parquet").to_pylist()
    assert set(info["features"]) == {*rows[0], "observation.image"}
    assert [row["index"] for row in rows] == list(range(68))
    assert rows[21]["timestamp"] == pytest.approx(1 / 12) and rows[21]["episode_index"] == 1
    episodes = parquet.read_table(folder / "meta/episodes/chunk-000/file-000.parquet").to_pylist()
    assert [(row["dataset_from_index"], row["dataset_to_index"]) for row in episodes] == [(0, 20), (20, 53), (53, 68)]
    assert episodes[2]["videos/observation.image/file_index"] == 2


def write_lerobot(folder, action: list, **names) -> None:
    """Write two episodes of 10 frames whose images share one video, as LeRobot does."""
    arrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    for part in ("meta/episodes/chunk-000", "data/chunk-000", "videos/front/chunk-000"):
        (folder / part).mkdir(parents=True)
    index = np.arange(20)
    table = arrow.table({"episode_index": index // 10, "frame_index": index % 10, "action": action})
    parquet.write_table(table, folder / "data/chunk-000/file-000.parquet")
    place = {"videos/front/chunk_index": 0, "videos/front/file_index": 0}
    episodes = [{"episode_index": i, "length": 10, **place, "videos/front/from_timestamp": i * 1.0} for i in range(2)]
    parquet.write_table(arrow.Table.from_pylist(episodes), folder / "meta/episodes/chunk-000/file-000.parquet")
    write_clip(folder / "videos/front/chunk-000/file-000.mp4", index / 10, moving_bar(index / 10, 20, 64, 64))
    features = {name: {"dtype": "video"} for name in ("front", *names)}
    (folder / "meta/info.json").write_text(json.dumps({"codebase_version": "v3.0", "fps": 10, "features": features}))


def test_episodes_that_share_a_video(tmp_path):
    write_lerobot(tmp_path / "lerobot", [[index % 4] for index in range(20)])
    first, second = data.import_lerobot(tmp_path / "lerobot", tmp_path / "out").episodes()
    assert first.actions.tolist() == [index % 4 for index in range(9)]
    assert second.actions.tolist() == [index % 4 for index in range(10, 19)]
    np.testing.assert_allclose(bar_places(first.frames), bar_places(moving_bar(np.arange(10) / 10, 20, 64, 64)), atol=1)
    assert bar_places(second.frames)[0] == pytest.approx(bar_places(first.frames)[-1] + 2, abs=1)


def test_continuous_actions_are_left_out_on_request(tmp_path):
    write_lerobot(tmp_path / "lerobot", [[0.5, 0.1]] * 20)
    with pytest.raises(DataError, match="actions=False"):
        data.import_lerobot(tmp_path / "lerobot", tmp_path / "out")
    dataset = data.import_lerobot(tmp_path / "lerobot", tmp_path / "out", actions=False)
    assert dataset.lengths.tolist() == [10, 10] and not dataset.has_actions


def test_what_is_no_lerobot_dataset(tmp_path):
    write_lerobot(tmp_path / "lerobot", [0] * 20, side=1)
    with pytest.raises(DataError, match="cameras front, side; give one of them"):
        data.import_lerobot(tmp_path / "lerobot", tmp_path / "out")
    assert len(data.import_lerobot(tmp_path / "lerobot", tmp_path / "out", camera="front")) == 2
    parquet = pytest.importorskip("pyarrow.parquet")
    episodes = tmp_path / "lerobot/meta/episodes/chunk-000/file-000.parquet"
    whole = parquet.read_table(episodes)
    for broken, words in ((whole.slice(1), "not the same"), (whole.drop_columns(["length"]), "no place")):
        parquet.write_table(broken, episodes)
        with pytest.raises(DataError, match=words):
            data.import_lerobot(tmp_path / "lerobot", tmp_path / "new", camera="front")
    (tmp_path / "lerobot/data/chunk-000/file-000.parquet").write_bytes(b"no parquet")
    with pytest.raises(DataError, match=r"file-000\.parquet cannot be read"):
        data.import_lerobot(tmp_path / "lerobot", tmp_path / "new", camera="front")
    (tmp_path / "lerobot/meta/info.json").write_text('{"codebase_version": "v2.1"}')
    with pytest.raises(DataError, match=r"version v2\.1, expected v3\.0"):
        data.import_lerobot(tmp_path / "lerobot", tmp_path / "new")
    with pytest.raises(DataError, match="no LeRobotDataset"):
        data.import_lerobot(tmp_path / "nowhere", tmp_path / "new")
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("name", ["../../secret", "a/../../secret", "/etc/secret", "x\x1b[2J", ""])
def test_a_camera_leads_to_no_other_folder(tmp_path, name):
    folder = tmp_path / "dataset"
    write_lerobot(folder, [0] * 20, **{name: None})
    assert len(data.import_lerobot(folder, tmp_path / "back", game="Toy")) == 2  # `front` is the only one
    with pytest.raises(DataError, match="has the cameras front") as raised:
        data.import_lerobot(folder, tmp_path / "other", game="Toy", camera=name)
    assert str(raised.value).isprintable()


def test_any_info_is_read_or_refused(tmp_path):
    rng, folder = np.random.default_rng(0), tmp_path / "dataset"
    write_lerobot(folder, [0] * 20)
    path = folder / "meta/info.json"
    whole = json.loads(path.read_bytes())
    for number in range(150):
        path.write_bytes(damage_json(rng, whole))
        try:
            assert len(data.import_lerobot(folder, tmp_path / f"back-{number}", game="Toy")) == 2
        except DataError as error:
            assert str(error).isprintable()
