"""State coverage is as worked out by hand: chequered frames, a walk of known length, equal numbers of frames."""

import numpy as np
import pytest

from genie_gym import data, games
from genie_gym.cli import main
from genie_gym.collection.collect import collect
from genie_gym.errors import ConfigError, DataError
from genie_gym.exploration.config import CoverageConfig
from genie_gym.exploration.coverage import StateCoverage, cell_keys, compare_coverage, replay_positions
from genie_gym.utils import paths

GREY = np.array([1, 1, 1])


def squares(levels: np.ndarray) -> np.ndarray:
    """Frames of 8 x 8 grey squares: levels (n, 8, 8) from 0 to 255 to uint8 (n, 64, 64, 3)."""
    return (levels.repeat(8, 1).repeat(8, 2)[..., None] * GREY).astype(np.uint8)


def test_levels_of_grey_are_8_apart():
    levels = np.broadcast_to(np.arange(256)[:, None, None], (256, 8, 8))
    keys = cell_keys(squares(levels))
    assert len(set(keys)) == 32
    np.testing.assert_array_equal(keys[:-1] != keys[1:], np.arange(1, 256) % 8 == 0)


def test_every_pattern_of_squares_has_its_own_key():
    rng = np.random.default_rng(0)
    patterns = np.unique(rng.integers(0, 32, (2000, 8, 8)), axis=0)
    assert len(set(cell_keys(squares(patterns * 8 + 4)))) == len(patterns)
    single = np.eye(64).reshape(64, 8, 8) * 255  # one white square, anywhere
    assert len(set(cell_keys(squares(single)))) == 64


def test_detail_within_a_square_and_hue_do_not_count():
    frame = np.full((2, 64, 64, 3), 112, np.uint8)
    frame[1, 3::8, 3::8] += 60  # a mean of less than one level
    assert len(set(cell_keys(frame))) == 1
    colours = np.array([[[[204, 0, 0]]], [[[0, 104, 0]]]])  # both of luma 61
    assert len(set(cell_keys(np.broadcast_to(colours, (2, 64, 64, 3)).astype(np.uint8)))) == 1


def test_sides_that_do_not_fit():
    with pytest.raises(ConfigError, match="multiples of 8"):
        cell_keys(np.zeros((1, 60, 60, 3), np.uint8))


def test_coverage_adds_up_and_is_resumed():
    coverage = StateCoverage()
    white = squares(np.eye(64).reshape(64, 8, 8) * 255)
    coverage.add(white[:40])
    coverage.add(white[30:50])
    assert len(coverage) == 50
    again = StateCoverage(coverage.keys())
    again.add(white)
    assert len(again) == 64


def record(folder, name: str, lengths: list[int], shades: int) -> None:
    """Record episodes whose frames walk through so many shades, over and over."""
    spec = {"name": "Walk-Own", "title": "Walk", "system": "Own", "actions": [{"meaning": "GO"}]}
    with data.EpisodeWriter(folder, {"game": spec, "actions": ["GO"], "policy": name, "seed": 0}) as writer:
        for index, length in enumerate(lengths):
            levels = np.broadcast_to((np.arange(length) % shades * 32)[:, None, None], (length, 8, 8))
            actions, rewards = np.zeros(length - 1, np.int64), np.zeros(length - 1, np.float32)
            info = {"id": f"{name}-0-{index:06d}"}
            writer.append(data.Episode(squares(levels), actions, rewards, True, False, info))


def test_compares_on_equally_many_frames(tmp_path):
    record(tmp_path / "a", "near", [6, 10], shades=3)
    record(tmp_path / "b", "far", [4, 4, 30], shades=8)
    near, far = compare_coverage([tmp_path / "a", tmp_path / "b"])
    assert (near.run, near.frames, near.visited_cells, near.positions) == ("near-0", 16, 3, None)
    assert (far.run, far.frames, far.visited_cells) == ("far-0", 16, 8)
    assert [report.visited_cells for report in compare_coverage([tmp_path / "a", tmp_path / "b"], frames=8)] == [3, 4]
    assert compare_coverage([tmp_path / "b"])[0].frames == 38


def test_the_table_tells_runs_of_the_same_name_apart(tmp_path, capsys):
    for folder in ("one", "two/data"):
        record(tmp_path / folder, "near", [6, 10], shades=3)
    assert main(["coverage", str(tmp_path / "one")]) == 0
    text = capsys.readouterr().out
    assert "near-0" in text and "one:" not in text
    assert main(["coverage", str(tmp_path / "one"), str(tmp_path / "two" / "data")]) == 0
    text = capsys.readouterr().out
    assert "one: near-0" in text and "two: near-0" in text


def test_runs_in_one_folder_are_kept_apart(tmp_path):
    collect("Toy-Numpy", episodes=1, out=tmp_path, workers=1, max_steps=20, progress=False)
    collect("Toy-Numpy", episodes=1, out=tmp_path, workers=1, max_steps=20, seed=1, progress=False)
    assert [report.run for report in compare_coverage([tmp_path])] == ["random-0", "random-1"]


def test_other_games_and_no_frames(tmp_path):
    record(tmp_path / "a", "near", [6], shades=3)
    collect("Toy-Numpy", episodes=1, out=tmp_path / "b", workers=1, max_steps=20, progress=False)
    with pytest.raises(DataError, match="within one game only; these datasets are of Toy-Numpy, Walk-Own"):
        compare_coverage([tmp_path / "a", tmp_path / "b"])
    with pytest.raises(ConfigError, match="name a game or the folder of a dataset"):
        compare_coverage([])
    with pytest.raises(ConfigError, match="frames must be 1 or more, got 0"):
        compare_coverage([tmp_path / "a"], frames=0)


def test_replayed_positions_are_those_of_the_episode(tmp_path):
    collect("Toy-Numpy", episodes=2, out=tmp_path, workers=1, max_steps=30, policy="sticky", progress=False)
    dataset = data.EpisodeDataset(tmp_path)
    for index, positions in enumerate(replay_positions(dataset, range(2))):
        env = games.make("Toy-Numpy")
        env.reset(seed=dataset[index].info["seed"])
        expected = [(env.source._x, env.source._y)]
        assert expected[0][0] == 16  # two tiles from the left
        for action in dataset[index].actions:
            env.step(action)
            expected.append((env.source._x, env.source._y))
        assert positions == [(int(x), int(y)) for x, y in expected]
    (report,) = compare_coverage([tmp_path])
    assert report.positions == len({p for ps in replay_positions(dataset, range(2)) for p in ps})


def test_an_episode_that_replays_differently_now(tmp_path, monkeypatch):
    collect("Toy-Numpy", episodes=1, out=tmp_path, workers=1, max_steps=30, progress=False)
    monkeypatch.setattr("genie_gym.games.toy.TOP_SPEED", 0.5)
    monkeypatch.setattr("genie_gym.games.toy.ACCELERATION", 0.1)
    with pytest.raises(DataError, match="gives other frames than recorded"):
        compare_coverage([tmp_path])


def test_a_game_stands_for_its_own_dataset(tmp_path):
    collect("Toy-Numpy", episodes=1, workers=1, max_steps=20, progress=False)
    (report,) = compare_coverage(CoverageConfig(("toy",)))
    assert report.folder == paths.data_dir("Toy-Numpy") and report.run == "random-0"


def test_episodes_of_strangers(tmp_path, capsys):
    """A seed that is none is not replayed, actions that the game lacks are told, and names are no markup."""
    spec = games.find("Toy-Numpy")
    header = {"game": spec.to_dict(), "actions": spec.meanings, "policy": "p", "seed": 0}
    for folder, seed, action in (("a", "zero", 0), ("b", -1, 0), ("c", 3, 99)):
        with data.EpisodeWriter(tmp_path / folder, header) as writer:
            frames = np.zeros((2, 64, 64, 3), np.uint8)
            info = {"id": "[red]p-0-000000", "seed": seed}
            try:
                writer.append(data.Episode(frames, np.array([action]), np.zeros(1, np.float32), info=info))
            except (DataError, ValueError):  # refused sooner
                continue
        if action:
            with pytest.raises(DataError):
                compare_coverage([tmp_path / folder])
        else:
            assert compare_coverage([tmp_path / folder])[0].positions is None
            assert main(["coverage", str(tmp_path / folder)]) == 0
            assert "[red]p-0" in capsys.readouterr().out
    assert main(["coverage", 5000 * "x"]) == 2
