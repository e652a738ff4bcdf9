"""Images and videos become datasets with frames, actions and rewards aligned."""

import json
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import pytest

from genie_gym import data, games
from genie_gym.data import convert
from genie_gym.data.convert import episodes
from genie_gym.errors import DataError, GameError

NAMES = ["NOOP", "LEFT", "RIGHT"]


def shade(index: int) -> tuple[int, int, int]:
    """Return a distinct RGB colour for each frame, far enough from others to survive a lossy codec."""
    return 20 + 10 * index, 60, 240 - 10 * index


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """Return a folder of twelve wide images, numbered so that sorting as text would put 10 before 2."""
    folder = tmp_path / "images"
    folder.mkdir()
    for index in range(12):
        cv2.imwrite(str(folder / f"frame_{index}.png"), np.full((40, 80, 3), shade(index)[::-1], np.uint8))
    return folder


@pytest.fixture
def video(tmp_path: Path) -> Path:
    """Return a video of twenty 64x64 frames at 30 frames per second."""
    path = tmp_path / "my run.mp4"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), 30, (64, 64))
    assert writer.isOpened()
    for index in range(20):
        writer.write(np.full((64, 64, 3), shade(index)[::-1], np.uint8))
    writer.release()
    return path


def written(path: Path, lines: list) -> Path:
    path.write_text("\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines) + "\n")
    return path


def test_images_in_order_padded_to_squares(images, tmp_path):
    actions = written(tmp_path / "a.csv", [str(index % 3) for index in range(12)])
    dataset = convert.from_frames(images, actions, tmp_path / "out", game="Mine", action_names=NAMES, fps=20)
    episode = dataset[0]
    assert episode.frames.shape == (12, 64, 64, 3)
    for index, frame in enumerate(episode.frames):
        assert tuple(frame[32, 32].tolist()) == shade(index)
    assert not episode.frames[:, :15].any()  # black bars above and below a image twice as wide as high
    assert not episode.frames[:, 49:].any()
    assert episode.actions.tolist() == [index % 3 for index in range(11)]
    assert not episode.rewards.any()
    assert (episode.terminated, episode.truncated) == (False, True)
    spec = games.GameSpec.from_dict(dataset.header["game"])
    assert (spec.name, spec.meanings, spec.fps, spec.frame_skip) == ("Mine-Own", NAMES, 20, 1)


@pytest.mark.parametrize(
    ("name", "lines"),
    [
        ("a.csv", ["reward,action", *[f"{i},{NAMES[i % 3]}" for i in range(11)]]),
        ("a.csv", ["Action,Reward", *[f"{i % 3},{i}" for i in range(11)], ""]),
        ("a.jsonl", [{"action": NAMES[i % 3], "reward": i} for i in range(11)]),
        ("a.jsonl", [{"action": i % 3, "reward": i, "note": "x"} for i in range(11)]),
    ],
)
def test_forms_of_action_files(images, tmp_path, name, lines):
    actions = written(tmp_path / name, lines)
    episode = convert.from_frames(images, actions, tmp_path / "out", action_names=NAMES, terminated=True)[0]
    assert episode.actions.tolist() == [i % 3 for i in range(11)]
    assert episode.rewards.tolist() == list(range(11))
    assert episode.terminated


def test_names_guessed_and_kept_for_later_files(images, tmp_path):
    first = written(tmp_path / "a.txt", [["UP", "DOWN"][i % 2] for i in range(11)])
    dataset = convert.from_frames(images, first, tmp_path / "out")
    assert dataset.header["actions"] == ["DOWN", "UP"]
    second = written(tmp_path / "b.txt", ["UP"] * 11)
    (images / "frame_0.png").unlink()  # another content, so another episode
    dataset = convert.from_frames(images, second, tmp_path / "out")
    assert sorted(episode.actions.sum() for episode in dataset.episodes()) == [6, 10]
    numbers = written(tmp_path / "c.jsonl", [3, *[0] * 10])
    assert convert.from_frames(images, numbers, tmp_path / "new").header["actions"] == [f"ACTION_{i}" for i in range(4)]


def test_same_source_again_replaces_the_first(images, tmp_path, monkeypatch):
    monkeypatch.setattr(episodes, "MIN_LENGTH", 6)
    for action in (1, 2, 0):
        actions = written(tmp_path / "a.csv", [str(action)] * 12)
        dataset = convert.from_frames(images, actions, tmp_path / "out", action_names=NAMES)
        assert [episode.actions.tolist() for episode in dataset.episodes()] == [[action] * 5] * 2
    renamed = images.rename(tmp_path / "renamed")
    assert len(convert.from_frames(renamed, actions, tmp_path / "out", action_names=NAMES)) == 2


def test_long_sources_are_cut_into_episodes(images, tmp_path, monkeypatch):
    monkeypatch.setattr(episodes, "MIN_LENGTH", 5)
    actions = written(tmp_path / "a.csv", [str(i) for i in range(12)])
    dataset = convert.from_frames(images, actions, tmp_path / "out", terminated=True)
    assert [episode.actions.tolist() for episode in dataset.episodes()] == [[0, 1, 2], [4, 5, 6], [8, 9, 10]]
    assert [episode.terminated for episode in dataset.episodes()] == [False, False, True]
    (images / "frame_11.png").unlink()  # eleven of them are three episodes too, and none is a rest
    written(actions, [str(i) for i in range(11)])
    dataset = convert.from_frames(images, actions, tmp_path / "other", terminated=True)
    assert dataset.lengths.tolist() == [3, 4, 4]
    assert dataset[2].terminated


def test_without_actions(images, tmp_path):
    dataset = convert.from_frames(images, None, tmp_path / "out")
    assert dataset.header["runs"][0]["no_actions"] is True
    assert dataset.header["actions"] == ["NOOP"]
    assert not dataset[0].actions.any()
    labelled = written(tmp_path / "a.csv", ["LEFT"] * 12)
    with pytest.raises(DataError, match=r"made without actions; .* folder of their own with --out"):
        convert.from_frames(images, labelled, tmp_path / "out")


def test_keys_follow_from_the_actions_names(images, tmp_path):
    names = ["NOOP", "left", "UP+RIGHT", "Fire", *"abcdef", "ten"]
    actions = written(tmp_path / "a.csv", ["0"] * 12)
    dataset = convert.from_frames(images, actions, tmp_path / "out", action_names=names)
    keys = [action["keys"] for action in dataset.header["game"]["actions"]]
    assert keys == [[], ["left"], ["up", "right"], ["3"], ["4"], ["5"], ["6"], ["7"], ["8"], ["9"], []]


def test_video(video, tmp_path):
    actions = written(tmp_path / "a.csv", [str(i) for i in range(20)])
    episode = convert.from_video(video, actions, tmp_path / "out", fps=30)[0]
    assert len(episode) == 20
    wanted = np.array([shade(index) for index in range(20)])
    np.testing.assert_allclose(episode.frames[:, 32, 32], wanted, atol=9)
    assert episode.actions.tolist() == list(range(19))


@pytest.mark.parametrize(("fps", "kept"), [(15, range(0, 20, 2)), (10, range(0, 20, 3)), (20, [0, 2, 3, 5, 6, 8, 9])])
def test_video_at_a_lower_rate(video, tmp_path, fps, kept):
    lines = ["action,reward", *[f"{index},{index}" for index in range(20)]]
    episode = convert.from_video(video, written(tmp_path / "a.csv", lines), tmp_path / "out", fps=fps)[0]
    kept = list(kept)
    reds = [shade(index)[0] for index in kept]
    np.testing.assert_allclose(episode.frames[: len(kept), 32, 32, 0], reds, atol=9)
    assert episode.actions[: len(kept) - 1].tolist() == kept[:-1]
    assert episode.rewards[: len(kept) - 1].tolist() == [sum(range(*ends)) for ends in pairwise(kept)]


def test_video_with_an_action_for_each_kept_frame(video, tmp_path):
    actions = written(tmp_path / "a.csv", [str(i) for i in range(10)])
    assert convert.from_video(video, actions, tmp_path / "out", fps=15)[0].actions.tolist() == list(range(9))
    short = written(tmp_path / "short.csv", ["0"] * 5)
    with pytest.raises(DataError, match=r"5 actions.* 20 frames, of which 10 are taken; .* a frame, or for each one"):
        convert.from_video(video, short, tmp_path / "another", fps=15)


@pytest.mark.parametrize(
    ("name", "lines", "words"),
    [
        ("a.csv", ["0"] * 9, "9 actions, but .* has 12 frames"),
        ("a.csv", ["0"] * 13, "13 actions"),
        ("a.csv", ["NOOP", "JUMP"], r"line 2: unknown action 'JUMP'; the actions are NOOP, LEFT, RIGHT"),
        ("a.csv", ["0", "3"], r"line 2: action 3 is not from 0 to 2"),
        ("a.csv", ["-1"], "action -1 is not from 0 to 2"),
        ("a.csv", ["0,1"], "first line must name them"),
        ("a.csv", ["action,reward", "0,much"], "reward 'much' is no number"),
        ("a.csv", ["action,reward", "0,nan"], "reward 'nan' is no number"),
        ("a.csv", ["button", *["0"] * 11], "line 1 is 'button' and no other is like it; .* must say action"),
        ("a.csv", ["Button", *["LEFT"] * 11], "line 1 is 'Button' and no other is like it"),
        ("a.csv", ["action;reward", *["0;0.5"] * 12], "are separated by semicolons; separate them by commas"),
        ("a.txt", ["action\treward", *["0\t0.5"] * 12], "are separated by tabs"),
        ("a.jsonl", ["{"], "line 1 is not JSON"),
        ("a.jsonl", [{"act": 1}], "no `action`, only act"),
        ("a.jsonl", [1.5], r"unknown action 1\.5"),
        ("a.csv", [""], "empty"),
        ("a.csv", ["0", "", *["0"] * 10], "line 2 is blank, and others follow"),
        ("a.csv", ["action,reward", "0,1", ",", *["0,1"] * 10], "line 3 is blank"),
        ("a.csv", ["action,reward", "0,1", ",1", *["0,1"] * 10], "line 3: unknown action ''"),
        ("a.jsonl", [0, "", *[0] * 10], "line 2 is blank"),
        ("a.xml", ["0"], "should end in one of .csv"),
    ],
)
def test_bad_action_files(images, tmp_path, name, lines, words):
    actions = written(tmp_path / name, lines)
    with pytest.raises(DataError, match=words):
        convert.from_frames(images, actions, tmp_path / "out", action_names=NAMES)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        (["0", "-1", *["0"] * 10], "line 2: action -1 is not from 0 to 999"),
        (["0", "1" + "0" * 12, *["0"] * 10], "line 2: action 1000000000000 is not from 0 to 999"),
        (["action,reward", "up,1", ",1", *["down,1"] * 10], "line 3 has no action"),
    ],
)
def test_actions_from_which_no_names_can_be_guessed(images, tmp_path, lines, words):
    with pytest.raises(DataError, match=words):
        convert.from_frames(images, written(tmp_path / "a.csv", lines), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_odd_names_of_files(images, tmp_path):
    (images / "frame_1\u00b2.png").write_bytes((images / "frame_1.png").read_bytes())  # a digit, but no number
    long = images.rename(tmp_path / ("p" * 250))
    dataset = convert.from_frames(long, None, tmp_path / "out")
    assert dataset.lengths.sum() == 13 and len(dataset.ids[0]) < 150


def test_bad_sources(images, video, tmp_path):
    out = tmp_path / "out"
    with pytest.raises(DataError, match="no folder"):
        convert.from_frames(tmp_path / "nowhere", None, out)
    with pytest.raises(DataError, match=r"cannot read the action file .*nothing.csv"):
        convert.from_frames(images, tmp_path / "nothing.csv", out)
    (images / "frame_3.png").write_bytes(b"no image")
    with pytest.raises(DataError, match=r"frame_3.png is no readable image"):
        convert.from_frames(images, None, out)
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=r"holds 0 image"):
        convert.from_frames(tmp_path / "empty", None, out)
    with pytest.raises(DataError, match=r"no video .*none.mp4"):
        convert.from_video(tmp_path / "none.mp4", None, out)
    with pytest.raises(DataError, match=r"not above the 30 of .* got 60"):
        convert.from_video(video, None, out, fps=60)
    (tmp_path / "fake.mp4").write_bytes(b"no video")
    with pytest.raises(DataError, match=r"0 frame\(s\) could be read"):
        convert.from_video(tmp_path / "fake.mp4", None, out)


@pytest.mark.parametrize("name", ["My Game", "../../escape", "a/b", ""])
def test_names_that_are_no_names(images, tmp_path, name):
    with pytest.raises(GameError, match=r"letters, digits, '_', '\.' and '-' only\. Received"):
        convert.from_frames(images, None, tmp_path / "out", game=name)
    assert not (tmp_path / "out").exists()


def test_episodes_with_and_without_actions_are_kept_apart(images, tmp_path):
    actions = written(tmp_path / "a.csv", ["0"] * 12)
    for first, then, words in ((actions, None, "made with actions"), (None, actions, "made without actions")):
        out = tmp_path / words.replace(" ", "-")
        convert.from_frames(images, first, out, game="Mine")
        with pytest.raises(DataError, match=words):
            convert.from_frames(images, then, out, game="Mine")


def test_converted_recordings_feed_clips(images, tmp_path):
    dataset = convert.from_frames(images, None, tmp_path / "out")
    assert data.SequenceDataset(dataset, 8).sample(np.random.default_rng(0), 2)["frames"].shape == (2, 8, 64, 64, 3)
