"""Collecting is repeatable with any number of workers, resumable after kills, and reports errors clearly."""

import os
import signal
import subprocess
import sys
import time
import warnings
from contextlib import suppress

import cv2
import numpy as np
import pytest

from genie_gym import data, games
from genie_gym.collection.collect import collect, collect_games
from genie_gym.errors import ConfigError, DataError, GameError, GenieGymError
from genie_gym.exploration.coverage import replay_positions
from genie_gym.games.game_names import game_names
from tests.conftest import LONG
from tests.kills import FORK, kills

OPTIONS = {"max_steps": 40, "workers": 1, "progress": False}

OWN = """
from genie_gym import collect
from tests.catch import Catch


def make(size):
    return Catch(size)


if __name__ == "__main__":
    print(collect(make, game="Mine", env_kwargs={"size": 64}, episodes=3, workers=2, progress=False))
"""

COLLECT = """
import sys
from genie_gym.collection.collect import collect
if __name__ == "__main__":
    print(collect("Toy-Numpy", steps=int(sys.argv[2]), out=sys.argv[1], workers=2, max_steps=40, progress=False))
"""


def start(*args: object) -> subprocess.Popen:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", COLLECT, *map(str, args)]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True, start_new_session=True)


def wait_for_episodes(folder, count: int) -> None:
    deadline = time.monotonic() + 60
    while len(list(folder.glob("*.h5"))) < count:
        assert time.monotonic() < deadline, "no episode was written"
        time.sleep(0.01)


def test_collects_the_asked_episodes_into_the_users_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("GENIE_GYM_HOME", str(tmp_path))
    report = collect("Toy-Numpy", episodes=3, seed=7, policy="sticky", **OPTIONS)
    dataset = data.EpisodeDataset(tmp_path / "data" / "Toy-Numpy")
    assert report.folder == dataset.folder
    assert (report.episodes, report.total_episodes, len(dataset)) == (3, 3, 3)
    assert report.steps == dataset.lengths.sum() - 3
    assert dataset.ids[0] == "sticky-7-000000"
    assert dataset.header["game"]["name"] == "Toy-Numpy"
    assert dataset.header["actions"] == ["NOOP", "RIGHT", "LEFT", "JUMP"]
    assert dataset.header["runs"][0]["policy"] == "sticky"
    assert dataset[0].info["run_seed"] == 7


def test_same_episodes_with_one_worker_and_with_two(tmp_path):
    for workers in (1, 2):
        collect("Toy-Numpy", episodes=6, out=tmp_path / str(workers), **OPTIONS | {"workers": workers})
    one, two = (data.EpisodeDataset(tmp_path / str(workers)) for workers in (1, 2))
    assert one.ids == two.ids
    for mine, theirs in zip(one.episodes(), two.episodes(), strict=True):
        np.testing.assert_array_equal(mine.frames, theirs.frames)
        np.testing.assert_array_equal(mine.actions, theirs.actions)
    assert (one[0].actions[:10] != one[1].actions[:10]).any()


def content(folder) -> dict[str, bytes]:
    """All that is stored of each episode."""
    dataset = data.EpisodeDataset(folder)
    return {
        name: b"".join(array.tobytes() for array in (episode.frames, episode.actions, episode.rewards))
        + repr((episode.terminated, episode.truncated, episode.info)).encode()
        for name, episode in zip(dataset.ids, dataset.episodes(), strict=True)
    }


def runs_right(frame: np.ndarray) -> int:
    return 1  # and ends sooner or later, which depends on the level


def test_a_number_of_steps_is_the_same_episodes_with_any_number_of_workers(tmp_path):
    for workers in (1, 2, 4):
        options = OPTIONS | {"workers": workers, "policy": runs_right}
        report = collect("Toy-Numpy", steps=200, out=tmp_path / str(workers), **options)
        assert report.total_steps >= 200 and report.episodes == report.total_episodes
    one = content(tmp_path / "1")
    assert len(one) > 5 and one == content(tmp_path / "2") == content(tmp_path / "4")
    lengths = data.EpisodeDataset(tmp_path / "1").lengths - 1
    assert lengths[:-1].sum() < 200 <= lengths.sum()  # the first episodes that have so many, and no more
    assert len(set(lengths.tolist())) > 1


def test_kills_change_no_episode(tmp_path):
    process = start(tmp_path / "killed", 400)
    wait_for_episodes(tmp_path / "killed", 3)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    for folder, workers in (("killed", 4), ("whole", 1)):
        collect("Toy-Numpy", steps=400, out=tmp_path / folder, **OPTIONS | {"workers": workers})
    assert content(tmp_path / "killed") == content(tmp_path / "whole")


@pytest.mark.slow
@pytest.mark.parametrize("number", [5, pytest.param(200, marks=LONG)])
def test_many_kills_lose_and_repeat_no_episode(tmp_path, monkeypatch, number):
    monkeypatch.setattr("genie_gym.collection.workers.multiprocessing.get_context", lambda kind: FORK)  # no imports
    folder, steps = tmp_path / "killed", 120

    def work() -> None:
        collect("Toy-Numpy", steps=steps, out=folder, **OPTIONS | {"workers": 2})

    before: set[str] = set()
    for _ in kills(work, number, share=1.0):
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # a damaged file would warn
            names = data.EpisodeDataset(folder).ids
        assert before <= set(names) and len(names) == len(set(names))
        before, steps = set(names), steps + 80  # there is always some work left
    for place, workers in ((folder, 2), (tmp_path / "whole", 1)):
        collect("Toy-Numpy", steps=steps, out=place, **OPTIONS | {"workers": workers})
    assert len(before) > number / 2 and content(folder) == content(tmp_path / "whole")


@pytest.mark.parametrize("delay", [0.0, 0.15, 0.5, 1.0])
def test_ctrl_c_while_it_starts_prints_no_traceback(tmp_path, delay):
    """From the first moment at which the command itself runs, imports of the workers' server included."""
    script = COLLECT.replace("    print(", "    print('begin', flush=True)\n    print(")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", script, str(tmp_path), "10000000"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, env=environment, start_new_session=True, **pipes) as process:
        assert process.stdout.readline() == "begin\n"
        time.sleep(delay)
        os.killpg(process.pid, signal.SIGINT)
        printed, complaints = process.communicate(timeout=60)
    if "interrupted" in printed:
        assert complaints == ""
    else:  # before the workers: as everywhere, the caller gets the exception
        assert complaints.count("Traceback") == 1 and complaints.endswith("KeyboardInterrupt\n")


def action_from_environment(frame: np.ndarray) -> int:
    return int(os.environ["ALWAYS"])


def test_workers_have_the_environment_of_now(tmp_path, monkeypatch):
    for action in ("1", "2"):  # the server they are forked from has seen at most the first
        monkeypatch.setenv("ALWAYS", action)
        collect("Toy-Numpy", episodes=1, out=tmp_path / action, policy=action_from_environment, **OPTIONS)
        assert set(data.EpisodeDataset(tmp_path / action)[0].actions) == {int(action)}


def test_second_call_resumes_to_the_target(tmp_path):
    first = collect("Toy-Numpy", episodes=2, out=tmp_path, **OPTIONS)
    second = collect("Toy-Numpy", episodes=5, out=tmp_path, **OPTIONS)
    third = collect("Toy-Numpy", episodes=5, out=tmp_path, **OPTIONS)
    assert [first.episodes, second.episodes, third.episodes] == [2, 3, 0]
    dataset = data.EpisodeDataset(tmp_path)
    assert dataset.ids == [f"random-0-{index:06d}" for index in range(5)]
    assert len({episode.info["seed"] for episode in dataset.episodes()}) == 5
    assert collect("Toy-Numpy", episodes=1, out=tmp_path, seed=1, **OPTIONS).episodes == 1


def test_policies_of_one_seed_get_different_levels(tmp_path):
    for policy in ("random", "sticky"):
        collect("Toy-Numpy", episodes=3, out=tmp_path / policy, policy=policy, **OPTIONS)
    one, two = (
        {episode.info["seed"] for episode in data.EpisodeDataset(tmp_path / policy).episodes()}
        for policy in ("random", "sticky")
    )
    assert len(one) == len(two) == 3 and not one & two


def test_steps_target(tmp_path):
    report = collect("Toy-Numpy", steps=100, out=tmp_path, **OPTIONS)
    assert 100 <= report.steps < 140
    assert collect("Toy-Numpy", steps=100, out=tmp_path, **OPTIONS).steps == 0


def test_killed_collection_resumes(tmp_path):
    process = start(tmp_path, 100_000)
    wait_for_episodes(tmp_path, 4)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    kept = data.EpisodeDataset(tmp_path)
    assert len(kept) >= 4
    assert kept.skipped == []
    target = int(kept.lengths.sum()) + 100
    process = start(tmp_path, target)
    printed, _ = process.communicate(timeout=120)
    assert process.returncode == 0, printed
    after = data.EpisodeDataset(tmp_path)
    assert set(kept.ids) <= set(after.ids)
    assert after.lengths.sum() - len(after) >= target
    assert not list(tmp_path.glob("episode-*"))


def test_workers_of_a_killed_parent_end(tmp_path):
    process = start(tmp_path, 10_000_000)
    wait_for_episodes(tmp_path, 2)
    os.kill(process.pid, signal.SIGKILL)  # the parent alone
    process.wait()
    deadline = time.monotonic() + 30
    while group_members(process.pid):
        assert time.monotonic() < deadline, "orphaned workers still run"
        time.sleep(0.1)


def group_members(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


def test_ctrl_c_keeps_what_was_collected(tmp_path):
    process = start(tmp_path, 10_000_000)
    try:
        wait_for_episodes(tmp_path, 3)
        os.killpg(process.pid, signal.SIGINT)  # a terminal sends it to the whole group
        printed, _ = process.communicate(timeout=60)
    finally:
        with suppress(ProcessLookupError):  # its workers too, which it ends itself if all is well
            os.killpg(process.pid, signal.SIGKILL)
    assert process.returncode == 0
    assert "interrupted: rerun the same command" in printed
    assert len(data.EpisodeDataset(tmp_path)) >= 3


def fails_later(frame: np.ndarray) -> int:
    raise ValueError("no idea")


def dies(frame: np.ndarray) -> int:
    os._exit(9)


def out_of_range(frame: np.ndarray) -> int:
    return 99


@pytest.mark.parametrize(
    ("policy", "words"),
    [(fails_later, "Toy-Numpy failed .* ValueError: no idea"), (dies, "exit code 9"), (out_of_range, "99")],
)
def test_a_workers_error_surfaces(tmp_path, policy, words):
    with pytest.raises(GenieGymError, match=words):
        collect("Toy-Numpy", episodes=2, out=tmp_path, policy=policy, **OPTIONS | {"workers": 2})


def test_torn_shard_is_reported_and_replaced(tmp_path):
    collect("Toy-Numpy", episodes=2, out=tmp_path, **OPTIONS)
    (shard,) = tmp_path.glob("shard-*.h5")
    shard.write_bytes(shard.read_bytes()[:1000])
    with pytest.warns(UserWarning, match=shard.name):
        report = collect("Toy-Numpy", episodes=2, out=tmp_path, **OPTIONS)
    assert report.episodes == 2
    assert shard.name in report.skipped[0]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"steps": 1, "episodes": 1}, "either steps or episodes"),
        ({"steps": 0}, "steps must be 1 or more, got 0"),
        ({"steps": 1, "workers": 0}, "workers must be 1 or more, got 0"),
        ({"steps": 1, "workers": 100_000}, r"workers must be \d+ or less, got 100000"),
        ({"steps": 1, "max_steps": -1}, "max steps must be 1 or more, got -1"),
        ({"steps": 1, "policy": "clever"}, "unknown policy 'clever'"),
        ({"steps": 1, "epsilon": 1.5}, "epsilon must be from 0 to 1, got 1.5"),
        ({"steps": 1, "seed": -1}, "seed must be from 0 to .*, got -1"),
        ({"stepps": 1}, "did you mean 'steps'"),
    ],
)
def test_bad_options(tmp_path, options, words):
    with pytest.raises(ConfigError, match=words):
        collect("Toy-Numpy", out=tmp_path, **options)


def test_episodes_of_another_length_do_not_count(tmp_path):
    collect("Toy", episodes=2, workers=1, out=tmp_path, max_steps=5)
    with pytest.raises(ConfigError, match=r"random with seed 0 of at most 5 steps, not 40; .* \(--seed\)"):
        collect("Toy", episodes=3, workers=1, out=tmp_path, max_steps=40)
    assert collect("Toy", episodes=1, workers=1, out=tmp_path, max_steps=40, seed=1).episodes == 1


@pytest.mark.retro
def test_episodes_begin_at_the_savestates_that_are_named(tmp_path):
    options = OPTIONS | {"episodes": 2, "out": tmp_path}
    collect("Airstriker", savestates=("Level1",), **options)
    assert collect("Airstriker", **(options | {"episodes": 3})).episodes == 1  # goes on as it was begun
    dataset = data.EpisodeDataset(tmp_path)
    assert games.GameSpec.from_dict(dataset.header["game"]).savestates == ("Level1",)
    assert len(list(replay_positions(dataset, range(3)))) == 3  # which finds the recorded frames again
    with pytest.raises(DataError, match="from the savestates Level1, not from the savestates Level2"):
        collect("Airstriker", savestates=("Level2",), **options)


@pytest.mark.retro
def test_savestates_that_do_not_exist(tmp_path):
    with pytest.raises(GameError, match=r"no savestate 'Level9'; it has .*Level1"):
        collect("Airstriker", episodes=1, workers=1, savestates=("Level9",), out=tmp_path)
    with pytest.raises(ConfigError, match="Toy-Numpy has none"):
        collect("Toy-Numpy", episodes=1, savestates=("Level1",), out=tmp_path)


def test_unknown_game_and_foreign_folder(tmp_path):
    with pytest.raises(GameError):
        collect("NoSuchGame-Nes", episodes=1, out=tmp_path)
    data.EpisodeWriter(tmp_path, {"game": {"name": "Pong-Atari2600"}, "actions": []}).close()
    with pytest.raises(DataError, match="holds episodes of Pong-Atari2600, not Toy-Numpy"):
        collect("Toy-Numpy", episodes=1, out=tmp_path)


def test_lines_show_progress_and_speed(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("genie_gym.utils.progress.display.SECONDS_BETWEEN_LINES", -1)  # else there is none before 10 s
    collect("Toy-Numpy", episodes=2, out=tmp_path, workers=1, max_steps=40)
    shown = capsys.readouterr().err
    assert "2 of 2 episodes" in shown
    assert "frames/s" in shown
    collect("Toy-Numpy", episodes=4, out=tmp_path, workers=1, max_steps=40, progress=False)
    assert capsys.readouterr().err == ""


@pytest.mark.retro
def test_retro_games_are_repeatable_over_workers(tmp_path):
    for workers in (1, 2):
        options = OPTIONS | {"workers": workers, "max_steps": 60}
        collect("Airstriker-Genesis", episodes=3, out=tmp_path / str(workers), **options)
    one, two = (data.EpisodeDataset(tmp_path / str(workers)) for workers in (1, 2))
    for mine, theirs in zip(one.episodes(), two.episodes(), strict=True):
        np.testing.assert_array_equal(mine.frames, theirs.frames)


def test_high_res_frames_on_request(tmp_path):
    collect("Toy-Numpy", episodes=2, out=tmp_path, high_res=True, **OPTIONS)
    dataset = data.EpisodeDataset(tmp_path)
    frames, high_res = dataset.frames(1, 0, 9), dataset.high_res(1, 0, 9)
    assert high_res.shape == (9, 256, 256, 3)
    for frame, image in zip(frames, high_res, strict=True):  # the toy game has no higher resolution
        np.testing.assert_array_equal(image, cv2.resize(frame, (256, 256), interpolation=cv2.INTER_AREA))
    assert dataset.header["runs"][0]["high_res"] == 256


def test_episodes_without_high_res_frames_are_collected_again(tmp_path):
    collect("Toy-Numpy", episodes=3, out=tmp_path, **OPTIONS)
    before = list(data.EpisodeDataset(tmp_path).episodes())
    report = collect("Toy-Numpy", episodes=2, out=tmp_path, high_res=True, **OPTIONS)
    assert (report.episodes, report.total_episodes) == (2, 2)
    dataset = data.EpisodeDataset(tmp_path)
    assert [dataset.has_high_res(i) for i in range(3)] == [True, True, False]
    small = min(tmp_path.glob("*.h5"), key=lambda path: path.stat().st_mtime_ns)
    small.touch()  # as a copy of the folder may do
    assert [data.EpisodeDataset(tmp_path).has_high_res(i) for i in range(3)] == [True, True, False]
    for old, new in zip(before, dataset.episodes(), strict=True):
        np.testing.assert_array_equal(old.frames, new.frames)
    assert collect("Toy-Numpy", episodes=2, out=tmp_path, high_res=True, **OPTIONS).episodes == 0
    assert collect("Toy-Numpy", episodes=3, out=tmp_path, **OPTIONS).episodes == 0


def test_a_script_collects_its_own_environment(tmp_path, home):
    (tmp_path / "script.py").write_text(OWN)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    subprocess.run([sys.executable, str(tmp_path / "script.py")], env=environment, check=True, capture_output=True)
    dataset = data.EpisodeDataset(home / "data" / "Mine-Own")
    assert dataset.header["game"]["env"]["env"] == "script:make" and len(dataset) == 3
    assert collect("tests.catch:Catch", game="Again", env_kwargs={"size": 64}, episodes=3, **OPTIONS).episodes == 3
    again = data.EpisodeDataset(home / "data" / "Again-Own")
    for one, other in zip(dataset.episodes(), again.episodes(), strict=True):
        np.testing.assert_array_equal(one.frames, other.frames)


def test_what_a_worker_cannot_import_is_refused_before_any_starts():
    with pytest.raises(ConfigError, match="put a function"):
        collect(lambda: None, game="Mine", **OPTIONS)
    with pytest.raises(ConfigError, match="game='Mine'"):
        collect(start, **OPTIONS)


def test_several_games_are_each_collected_as_if_alone(tmp_path):
    pytest.importorskip("ale_py", reason="needs ale-py: pip install genie_gym[atari]")
    (tmp_path / "games.txt").write_text("# two\nToy-Numpy\n\nPong-Ale  # of ale-py\ntoy\n")
    options = {"steps": 60, "max_steps": 25, "progress": False}
    reports = collect_games([str(tmp_path / "games.txt")], out=tmp_path / "all", workers=2, **options)
    assert [report.game for report in reports] == ["Toy-Numpy", "Pong-Ale"]
    for report in reports:
        assert report.folder == tmp_path / "all" / report.game and report.episodes == report.total_episodes > 1
        collect(report.game, out=tmp_path / report.game, workers=1, **options)
        assert content(report.folder) == content(tmp_path / report.game)
    assert [one.episodes for one in collect_games(["toy", "Pong-Ale"], out=tmp_path / "all", **options)] == [0, 0]


@pytest.mark.parametrize(
    ("names", "words"),
    [
        ([], "name one, or all"),
        (["Nonsense"], "Nonsense"),
        (["./none.txt"], r"list of games none\.txt cannot be read"),
        (["./pipe"], "pipe cannot be read.*pipe or device"),  # it would be waited for
        (["/dev/zero"], "zero cannot be read.*pipe or device"),  # it never ends
        (["./endless"], "endless cannot be read.*more than"),
    ],
)
def test_lists_of_games_that_name_none(names, words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    os.mkfifo("pipe")
    with (tmp_path / "endless").open("wb") as file:
        file.truncate(2**40)
    with pytest.raises(GameError, match=words):
        collect_games(names, episodes=1, progress=False)


def test_all_games_are_those_that_can_be_started(monkeypatch):
    monkeypatch.setattr("genie_gym.games.game_names.available", lambda name: name in ("Toy-Numpy", "CoinRun-Procgen"))
    assert game_names(["all", "toy"]) == ["CoinRun-Procgen", "Toy-Numpy"]
