"""Action files as people have them: episodes' ends, columns of buttons, MultiBinary rows, whole numbers as floats."""

import json

import numpy as np
import pytest

from genie_gym.data import convert
from genie_gym.data.convert.actions import read_actions
from genie_gym.errors import DataError
from tests.clips import moving_bar, write_clip

PRESSED = [(0, 0, 0), (1, 0, 0), (0, 1, 1), (1, 0, 1), (0, 0, 0), (0, 1, 0)]
NAMED = ["NOOP", "left", "right+fire", "left+fire", "NOOP", "right"]
NUMBERED = [name.replace("left", "BUTTON_0").replace("right", "BUTTON_1").replace("fire", "BUTTON_2") for name in NAMED]


def written(path, lines):
    path.write_text("\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines) + "\n")
    return path


def names_of(found) -> list[str]:
    return [found.names[index] for index in found.actions]


@pytest.mark.parametrize(
    ("name", "lines"),
    [
        ("a.csv", ["left,right,fire", *[",".join(map(str, row)) for row in PRESSED]]),
        (
            "a.csv",
            ["frame,left,right,fire,reward", *[f"{i},{','.join(map(str, row))},0.5" for i, row in enumerate(PRESSED)]],
        ),
        ("a.csv", ["left, right, fire", *[", ".join(str(bool(one)) for one in row) for row in PRESSED]]),
        ("a.csv", ["left,right,fire", *[",".join(f"{one:.18e}" for one in row) for row in PRESSED]]),
        ("a.jsonl", [dict(zip(("left", "right", "fire"), row, strict=True)) for row in PRESSED]),
        ("a.jsonl", [dict(zip(("left", "right", "fire"), map(bool, row), strict=True), done=False) for row in PRESSED]),
    ],
)
def test_a_column_for_each_button(tmp_path, name, lines):
    found = read_actions(written(tmp_path / name, lines))
    assert names_of(found) == NAMED and found.names == sorted(set(NAMED))
    assert not found.last.any()


@pytest.mark.parametrize(
    ("name", "lines"),
    [
        ("a.jsonl", [list(row) for row in PRESSED]),
        ("a.jsonl", [{"action": [bool(one) for one in row]} for row in PRESSED]),
        ("a.csv", ["action", *[f'"{list(row)}"' for row in PRESSED]]),
        ("a.txt", [str(np.array(row)) for row in PRESSED]),
        ("a.txt", [" ".join(f"{one:.18e}" for one in row) for row in PRESSED]),
    ],
)
def test_multibinary_rows(tmp_path, name, lines):
    assert names_of(read_actions(written(tmp_path / name, lines))) == NUMBERED


def test_many_buttons_need_no_heading(tmp_path):
    rows = np.eye(12, dtype=int)[:4]
    np.savetxt(tmp_path / "a.csv", rows, delimiter=",")
    assert names_of(read_actions(tmp_path / "a.csv")) == [f"BUTTON_{index}" for index in range(4)]


def test_buttons_in_any_order_and_case_for_a_dataset_that_has_names(tmp_path):
    file = written(tmp_path / "a.csv", ["left,fire", "0,0", "1,1", "0,1"])
    found = read_actions(file, ["NOOP", "FIRE", "RIGHT", "FIRE+LEFT"])
    assert found.actions.tolist() == [0, 3, 1]
    with pytest.raises(DataError, match=r"line 3: unknown action 'left\+fire'; the actions are NOOP, FIRE"):
        read_actions(file, ["NOOP", "FIRE"])


@pytest.mark.parametrize(
    ("name", "lines"),
    [
        ("a.csv", ["0.0", "2.0", "1.0"]),
        ("a.txt", ["0.000000000000000000e+00", "2.000000000000000000e+00", "1.000000000000000000e+00"]),
        ("a.jsonl", [0.0, 2.0, {"action": 1.0}]),
    ],
)
def test_floats_that_are_whole_numbers(tmp_path, name, lines):
    assert read_actions(written(tmp_path / name, lines)).actions.tolist() == [0, 2, 1]


@pytest.mark.parametrize(
    ("name", "lines", "words"),
    [
        ("a.csv", ["left,right", "0,1", "2,0"], "line 3: the button 'left' is '2', expected 0 or 1"),
        ("a.csv", ["frame,button", "0,LEFT"], "line 2 has no `action`, only frame, button; .* must be named action"),
        ("a.csv", ["left,LEFT", "0,1"], "line 1 names a column twice"),
        ("a.csv", ["0,1,0", "1,0,0"], "first line must name them, such as action,reward,done or left,right,fire"),
        ("a.csv", ["action,done", "0,maybe"], "line 2: done is 'maybe', expected 0 or 1"),
        ("a.csv", ["1.5", "2"], "line 1"),
        ("a.jsonl", [[0, 2]], "line 1: the button 'BUTTON_1' is 2"),
        ("a.jsonl", [[0] * 100], "100 buttons, and at most 64"),
    ],
)
def test_what_is_no_action(tmp_path, name, lines, words):
    with pytest.raises(DataError, match=words):
        read_actions(written(tmp_path / name, lines))


@pytest.fixture
def clip(tmp_path):
    """A video of 24 frames, 30 a second."""
    return write_clip(tmp_path / "v.mp4", np.arange(24) / 30, moving_bar(np.arange(24) / 30, 30))


def rows(count: int, ends: dict[int, str]) -> list[str]:
    """Return lines of a CSV: action t % 5 and reward t in line t, and the ends of episodes."""
    return ["action,reward,terminated,truncated", *[f"{t % 5},{t},{ends.get(t, '0,0')}" for t in range(count)]]


def test_a_new_game_in_the_frame_after_the_end(clip, tmp_path):
    """A line for each frame: the frame after the end is the first of the next game."""
    file = written(tmp_path / "a.csv", rows(24, {9: "1,0", 15: "0,1"}))
    dataset = convert.from_video(clip, file, tmp_path / "out", fps=30, terminated=True)
    first, second, third = (dataset[index] for index in range(3))
    assert [len(one) for one in (first, second, third)] == [10, 6, 8]
    assert [one.terminated for one in (first, second, third)] == [True, False, True]
    assert [one.truncated for one in (first, second, third)] == [False, True, False]
    assert first.actions.tolist() == [t % 5 for t in range(9)]
    assert first.rewards.tolist() == [
        *range(8),
        8 + 9,
    ]  # what the last action brought belongs to a frame that is not there
    assert second.actions.tolist() == [t % 5 for t in range(10, 15)]
    assert second.rewards.tolist() == [10, 11, 12, 13, 14 + 15]
    assert third.rewards.tolist() == list(range(16, 23))


@pytest.mark.parametrize("unfinished", [False, True])
def test_the_last_frame_of_each_game_was_filmed_too(clip, tmp_path, unfinished):
    """Frames outnumber lines by one a game: nothing is done at its last frame."""
    file = written(tmp_path / "a.csv", rows(21, {9: "1,0", 15: "1,0"} | ({} if unfinished else {20: "1,0"})))
    dataset = convert.from_video(clip, file, tmp_path / "out", fps=30)
    assert dataset.lengths.tolist() == [11, 7, 6]
    assert [episode.terminated for episode in dataset.episodes()] == [True, True, not unfinished]
    for episode, lines in zip(dataset.episodes(), (range(10), range(10, 16), range(16, 21)), strict=True):
        assert episode.actions.tolist() == [t % 5 for t in lines]
        assert episode.rewards.tolist() == list(lines)


def test_ends_between_kept_frames(clip, tmp_path):
    file = written(tmp_path / "a.csv", rows(24, {9: "1,0", 16: "1,0"}))
    dataset = convert.from_video(clip, file, tmp_path / "out")  # every second frame: 8 is the last of the first game
    assert dataset.lengths.tolist() == [5, 4, 3]
    assert [episode.info["first_frame"] for episode in dataset.episodes()] == [0, 5, 9]
    rewards = [episode.rewards.tolist() for episode in dataset.episodes()]
    assert rewards == [[1, 5, 9, 13 + 17], [21, 25, 29 + 16], [37, 41]]


def test_an_end_for_each_kept_frame(clip, tmp_path):
    file = written(tmp_path / "a.csv", rows(12, {4: "1,0"}))
    dataset = convert.from_video(clip, file, tmp_path / "out")
    assert dataset.lengths.tolist() == [5, 7] and dataset[0].rewards.tolist() == [0, 1, 2, 3 + 4]
