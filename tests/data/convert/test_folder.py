"""A folder of videos with one action file each becomes a dataset in one call, by several processes."""

import numpy as np
import pytest

from genie_gym.cli import main
from genie_gym.data import EpisodeDataset, convert
from genie_gym.errors import ConfigError, DataError
from tests.clips import moving_bar, write_clip

ACTIONS = {"one": ["left", "right"], "two 2": ["right", "fire"], "zwölf": ["left", "left"]}


@pytest.fixture
def folder(tmp_path):
    """Three videos of 24, 26 and 28 frames in three containers, an action file for each, and what is none of these."""
    place = tmp_path / "videos"
    place.mkdir()
    for index, (name, suffix) in enumerate(zip(ACTIONS, (".mp4", ".webm", ".mkv"), strict=True)):
        times = np.arange(24 + 2 * index) / 15
        write_clip(place / f"{name}{suffix}", times, moving_bar(times, 20 + 10 * index))
        (place / f"{name}.csv").write_text("\n".join(ACTIONS[name] * (12 + index)) + "\n")
    for name in ("._one.mp4", "README.txt", "cover.jpg"):
        (place / name).write_bytes(b"no video")
    return place


def check(dataset: EpisodeDataset) -> None:
    assert dataset.header["actions"] == ["fire", "left", "right"]
    found = {episode.info["source"]: episode for episode in dataset.episodes()}
    assert sorted(found) == ["one.mp4", "two 2.webm", "zwölf.mkv"]
    for index, (name, episode) in enumerate(sorted(found.items())):
        assert len(episode) == 24 + 2 * index
        taken = [dataset.header["actions"][action] for action in episode.actions]
        assert taken == (ACTIONS[name.rpartition(".")[0]] * 20)[: len(episode) - 1]


@pytest.mark.parametrize("workers", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_in_one_command(folder, tmp_path, capsys, workers):
    out = tmp_path / "out"
    assert main(["convert", str(folder), "--game", "Mine", "--out", str(out), "--workers", str(workers)]) == 0
    text = capsys.readouterr().out
    assert "3 of 3: zwölf.mkv: 28 of the video's 28 frames taken, 15 a second" in text
    assert "3 episodes, 78 frames now in" in text
    check(EpisodeDataset(out))
    assert main(["convert", str(folder), "--game", "Mine", "--out", str(out), "--workers", str(workers)]) == 0
    check(EpisodeDataset(out))  # nothing twice


def test_action_files_in_a_folder_of_their_own(folder, tmp_path):
    actions = tmp_path / "actions"
    actions.mkdir()
    for file in folder.glob("*.csv"):
        file.rename(actions / file.name)
    check(convert.convert(folder, actions=actions, out=tmp_path / "out", workers=1))
    alone = convert.convert(folder, out=tmp_path / "alone", workers=1)
    assert len(alone) == 3 and all(run["no_actions"] for run in alone.header["runs"])


def test_each_clip_has_its_own_bars(tmp_path):
    place = tmp_path / "videos"
    place.mkdir()
    times = np.arange(20) / 15
    for index, (top, left) in enumerate([(0, 0), (12, 0), (0, 24)]):
        frames = moving_bar(times, 20, 128 - 2 * left, 72 - 2 * top)
        padded = np.pad(frames, ((0, 0), (top, top), (left, left), (0, 0)))
        write_clip(place / f"{index}.mov", times, padded)
    dataset = convert.convert(place, out=tmp_path / "out", workers=1)
    boxes = {run["source"]: run["box"] for run in dataset.header["runs"]}
    expected = {"0.mov": [0, 0, 128, 72], "1.mov": [0, 12, 128, 48], "2.mov": [24, 0, 80, 72]}
    assert boxes.keys() == expected.keys()
    for name, box in expected.items():
        np.testing.assert_allclose(boxes[name], box, atol=2)


def test_one_rate_for_all(folder, tmp_path):
    for file in folder.glob("*.csv"):
        file.unlink()
    times = np.arange(60) / 30
    write_clip(folder / "fast.mp4", times, moving_bar(times, 20))
    dataset = convert.convert(folder, out=tmp_path / "out", workers=1)
    assert dataset.header["game"]["fps"] == pytest.approx(15, abs=0.05)
    assert sorted(dataset.lengths.tolist()) == [24, 26, 28, 30]


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (
            lambda place: (place / "one.csv").unlink(),
            "1 of 3 videos have no action file of their name: one.mp4; add them",
        ),
        (lambda place: (place / "one.jsonl").write_text("0\n"), "one.mp4 has several action files: one.csv, one.jsonl"),
        (lambda place: (place / "one.mp4").write_bytes(b"\0\1" * 99), r"0 frame\(s\) could be read from .*one.mp4"),
        (lambda place: (place / "two 2.csv").write_text("left\n" * 9), "two 2.csv has 9 actions, but .* has 26 frames"),
    ],
)
def test_what_is_wrong_is_said_before_anything_is_stored(folder, tmp_path, spoil, words):
    spoil(folder)
    with pytest.raises(DataError, match=words):
        convert.convert(folder, out=tmp_path / "out", workers=1)
    assert not (tmp_path / "out").exists()


def test_all_damaged_videos_are_named(folder, tmp_path):
    for name in ("one.mp4", "two 2.webm"):
        (folder / name).write_bytes(b"\0\1" * 99)
    with pytest.raises(DataError, match=r"2 of 3 videos cannot be read: .*one\.mp4.*two 2\.webm"):
        convert.convert(folder, out=tmp_path / "out", workers=1)


def test_one_action_file_for_many_videos(folder, tmp_path):
    with pytest.raises(ConfigError, match=r"give each an action file of its name, such as one\.csv"):
        convert.convert(folder, actions=folder / "one.csv", out=tmp_path / "out")


def test_converted_again_with_other_episodes(folder, tmp_path):
    lines = (folder / "one.csv").read_text().split()
    (folder / "one.csv").write_text("action,done\n" + "".join(f"{line},{i == 11:d}\n" for i, line in enumerate(lines)))
    assert len(convert.convert(folder, out=tmp_path / "out", workers=1)) == 4
    (folder / "one.csv").write_text("\n".join(lines))
    with pytest.raises(DataError, match=r"holds one\.mp4 already, divided into other episodes; remove"):
        convert.convert(folder, out=tmp_path / "out", workers=1)


def test_a_place_that_cannot_be_written_is_known_before_the_videos_are_read(folder, tmp_path):
    (tmp_path / "file").touch()
    said: list[str] = []
    with pytest.raises(DataError, match="cannot write"):
        convert.convert(folder, out=tmp_path / "file" / "out", game="Bars", on_message=said.append)
    assert said == []
