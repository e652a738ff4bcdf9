"""Real games as a VecEnv: different initial states, episode statistics, limits, one emulator per process."""

import numpy as np
import pytest

pytest.importorskip("stable_baselines3", reason="needs Stable-Baselines3: pip install genie_gym[sb3]")

from genie_gym import games
from genie_gym.errors import ClosedError, ConfigError, GameError, GenieGymError
from genie_gym.sb3 import TerminationAsTruncation, make_game_vec_env


def test_each_environment_is_the_game_with_its_own_seed():
    env = make_game_vec_env("Toy-Numpy", 2, seed=5)
    frames = env.reset()
    assert frames.shape == (2, 64, 64, 3) and frames.dtype == np.uint8
    for row, seed in enumerate((5, 6)):
        np.testing.assert_array_equal(frames[row], games.make("Toy-Numpy").reset(seed=seed)[0])


def test_episodes_are_counted_and_limited():
    env = make_game_vec_env("Toy-Numpy", 1, max_steps=5)
    env.reset()
    infos = [env.step(np.array([0]))[3][0] for _ in range(5)]
    assert ["episode" in info for info in infos] == [False] * 4 + [True]
    assert infos[-1]["episode"]["l"] == 5
    assert infos[-1]["TimeLimit.truncated"]


def run_right(env) -> list[dict]:
    """Return the infos of the toy game until it ends in the first pit or spike."""
    env.reset()
    infos = []
    while not infos or not infos[-1].get("terminal_observation", None) is not None:
        infos.append(env.step(np.array([1]))[3][0])
        assert len(infos) < 300
    return infos


def test_a_termination_becomes_a_truncation_but_is_kept():
    plain = run_right(make_game_vec_env("Toy-Numpy", 1))[-1]
    assert plain["TimeLimit.truncated"] is False
    *before, last = run_right(TerminationAsTruncation(make_game_vec_env("Toy-Numpy", 1)))
    assert last["TimeLimit.truncated"] is True and last["game_over"] is True
    assert not any(info["TimeLimit.truncated"] for info in before)


def test_a_truncation_is_no_game_over():
    env = TerminationAsTruncation(make_game_vec_env("Toy-Numpy", 1, max_steps=2))
    env.reset()
    env.step(np.array([0]))
    info = env.step(np.array([0]))[3][0]
    assert info["TimeLimit.truncated"] is True and info["game_over"] is False


def test_wrong_options():
    with pytest.raises(ConfigError, match="at least 1, got 0 and 1000"):
        make_game_vec_env("Toy-Numpy", 0)
    with pytest.raises(GameError, match="Did you mean"):
        make_game_vec_env("Airstrikr", 1)


@pytest.mark.parametrize(
    "options",
    [
        *({"num_envs": value} for value in (True, 2.0, "2", None, 100_000)),
        *({"max_steps": value} for value in (True, 2.0, None)),
        *({"seed": value} for value in (True, -1, 2**32, "x")),
    ],
    ids=repr,
)
def test_options_of_the_wrong_type_or_absurd_are_refused(options):
    with pytest.raises(GenieGymError):
        make_game_vec_env("Toy-Numpy", **{"num_envs": 1, **options})


def test_closed_games_say_so_and_closing_twice_is_fine():
    env = make_game_vec_env("Toy-Numpy", np.int64(1))
    env.reset()
    env.close()
    env.close()
    for use in (env.reset, lambda: env.step(np.zeros(1, int))):
        with pytest.raises(ClosedError):
            use()


def test_a_missing_rom_is_reported_before_any_process_starts():
    pytest.importorskip("stable_retro", reason="needs stable-retro: pip install genie_gym[retro]")
    with pytest.raises(GameError, match="No ROM of SuperMarioBros-Nes"):
        make_game_vec_env("SuperMarioBros-Nes", 1)


@pytest.mark.retro
def test_emulators_run_side_by_side_and_deterministically():
    def rollout(seed: int) -> np.ndarray:
        env = make_game_vec_env("Airstriker-Genesis", 2, seed=seed)
        try:
            return np.stack([env.reset(), *(env.step(np.array([t % 4, 0]))[0] for t in range(5))])
        finally:
            env.close()

    first = rollout(0)
    assert first.shape == (6, 2, 64, 64, 3)
    assert (first[:, 0] != first[:, 1]).any()
    np.testing.assert_array_equal(first, rollout(0))
