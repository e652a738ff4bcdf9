"""Places are counted as worked out by hand: chequered pictures, a walk of known length, equal numbers of frames."""

import numpy as np
import pytest

from genie_gym import data, games
from genie_gym.cli import main
from genie_gym.errors import ConfigError, DataError
from genie_gym.pipeline.collect import collect
from genie_gym.pipeline.places import Places, compare, picture_keys, replayed_positions

GREY = np.array([1, 1, 1])


def squares(levels: np.ndarray) -> np.ndarray:
    """Pictures of 8 x 8 grey squares: (n, 8, 8) in 0 to 255 to uint8 (n, 64, 64, 3)."""
    return (levels.repeat(8, 1).repeat(8, 2)[..., None] * GREY).astype(np.uint8)


def test_levels_of_grey_are_8_apart():
    levels = np.broadcast_to(np.arange(256)[:, None, None], (256, 8, 8))
    keys = picture_keys(squares(levels))
    assert len(set(keys)) == 32
    np.testing.assert_array_equal(keys[:-1] != keys[1:], np.arange(1, 256) % 8 == 0)


def test_every_pattern_of_squares_has_its_own_key():
    rng = np.random.default_rng(0)
    patterns = np.unique(rng.integers(0, 32, (2000, 8, 8)), axis=0)
    assert len(set(picture_keys(squares(patterns * 8 + 4)))) == len(patterns)
    single = np.eye(64).reshape(64, 8, 8) * 255  # one white square, anywhere
    assert len(set(picture_keys(squares(single)))) == 64


def test_detail_within_a_square_and_hue_do_not_count():
    picture = np.full((2, 64, 64, 3), 112, np.uint8)
    picture[1, 3::8, 3::8] += 60  # a mean of less than one level
    assert len(set(picture_keys(picture))) == 1
    colours = np.array([[[[204, 0, 0]]], [[[0, 104, 0]]]])  # both of luma 61
    assert len(set(picture_keys(np.broadcast_to(colours, (2, 64, 64, 3)).astype(np.uint8)))) == 1


def test_sides_that_do_not_fit():
    with pytest.raises(ConfigError, match="multiples of 8"):
        picture_keys(np.zeros((1, 60, 60, 3), np.uint8))


def test_places_add_up_and_go_on():
    places = Places()
    white = squares(np.eye(64).reshape(64, 8, 8) * 255)
    places.add(white[:40])
    places.add(white[30:50])
    assert len(places) == 50
    again = Places(places.keys())
    again.add(white)
    assert len(again) == 64


def record(folder, name: str, lengths: list[int], shades: int) -> None:
    """Episodes whose pictures walk through so many shades, over and over."""
    spec = {"name": "Walk-Own", "title": "Walk", "system": "Own", "actions": [{"meaning": "GO"}]}
    with data.RecordingWriter(folder, {"game": spec, "actions": ["GO"], "policy": name, "seed": 0}) as writer:
        for index, length in enumerate(lengths):
            levels = np.broadcast_to((np.arange(length) % shades * 32)[:, None, None], (length, 8, 8))
            actions, rewards = np.zeros(length - 1, np.int64), np.zeros(length - 1, np.float32)
            info = {"id": f"{name}-0-{index:06d}"}
            writer.append(data.Episode(squares(levels), actions, rewards, True, False, info))


def test_compares_on_equally_many_frames(tmp_path):
    record(tmp_path / "a", "near", [6, 10], shades=3)
    record(tmp_path / "b", "far", [4, 4, 30], shades=8)
    near, far = compare([tmp_path / "a", tmp_path / "b"])
    assert (near.run, near.frames, near.pictures, near.positions) == ("near-0", 16, 3, None)
    assert (far.run, far.frames, far.pictures) == ("far-0", 16, 8)
    assert [report.pictures for report in compare([tmp_path / "a", tmp_path / "b"], frames=8)] == [3, 4]
    assert compare([tmp_path / "b"])[0].frames == 38


def test_the_table_tells_recordings_of_the_same_run_apart(tmp_path, capsys):
    for folder in ("one", "two/data"):
        record(tmp_path / folder, "near", [6, 10], shades=3)
    assert main(["places", str(tmp_path / "one")]) == 0
    text = capsys.readouterr().out
    assert "near-0" in text and "one:" not in text
    assert main(["places", str(tmp_path / "one"), str(tmp_path / "two" / "data")]) == 0
    text = capsys.readouterr().out
    assert "one: near-0" in text and "two: near-0" in text


def test_runs_in_one_folder_are_kept_apart(tmp_path):
    collect("Toy-Numpy", episodes=1, out=tmp_path, workers=1, max_steps=20, progress=False)
    collect("Toy-Numpy", episodes=1, out=tmp_path, workers=1, max_steps=20, seed=1, progress=False)
    assert [report.run for report in compare([tmp_path])] == ["random-0", "random-1"]


def test_other_games_and_no_frames(tmp_path):
    record(tmp_path / "a", "near", [6], shades=3)
    collect("Toy-Numpy", episodes=1, out=tmp_path / "b", workers=1, max_steps=20, progress=False)
    with pytest.raises(DataError, match="within one game only, these are of Toy-Numpy, Walk-Own"):
        compare([tmp_path / "a", tmp_path / "b"])
    with pytest.raises(ConfigError, match="at least 1, got 0"):
        compare([tmp_path / "a"], frames=0)


def where(env: games.GameEnv, info: dict) -> tuple[int, ...]:
    return (int(env.source._x),)


def test_replayed_positions_are_those_of_the_play(tmp_path, monkeypatch):
    monkeypatch.setattr("genie_gym.pipeline.places.position", where)
    collect("Toy-Numpy", episodes=2, out=tmp_path, workers=1, max_steps=30, policy="sticky", progress=False)
    recording = data.Recording(tmp_path)
    for index, positions in enumerate(replayed_positions(recording, range(2))):
        env = games.make("Toy-Numpy")
        env.reset(seed=recording[index].info["seed"])
        expected = [16]  # two tiles from the left
        for action in recording[index].actions:
            env.step(action)
            expected.append(int(env.source._x))
        assert positions == [(x,) for x in expected]
    (report,) = compare([tmp_path])
    assert report.positions == len({p for ps in replayed_positions(recording, range(2)) for p in ps})


def test_an_episode_that_plays_differently_now(tmp_path, monkeypatch):
    monkeypatch.setattr("genie_gym.pipeline.places.position", where)
    collect("Toy-Numpy", episodes=1, out=tmp_path, workers=1, max_steps=30, progress=False)
    monkeypatch.setattr("genie_gym.games.toy.TOP_SPEED", 0.5)
    monkeypatch.setattr("genie_gym.games.toy.ACCELERATION", 0.1)
    with pytest.raises(DataError, match="does not play again as it was recorded"):
        compare([tmp_path])
