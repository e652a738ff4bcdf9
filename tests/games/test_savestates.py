"""A game goes on from its savestate: the same actions lead to the same frames, also in another game of its kind."""

import numpy as np
import pytest

from genie_gym.errors import ClosedError, GameError

RETRO = pytest.param("Airstriker-Genesis", marks=pytest.mark.retro)


def play(env, actions) -> list[np.ndarray]:
    return [env.step(action)[0] for action in actions]


@pytest.mark.parametrize("name", ["Toy", "Breakout-Ale", RETRO])
def test_the_same_actions_lead_to_the_same_frames(make, name):
    if name.endswith("Ale"):
        pytest.importorskip("ale_py", reason="needs ale-py: pip install genie_gym[atari]")
    if name.endswith("Genesis"):
        pytest.importorskip("stable_retro", reason="needs stable-retro: pip install genie_gym[retro]")
    env, rng = make(name, max_steps=60), np.random.default_rng(0)
    env.reset(seed=3)
    actions = rng.integers(env.action_space.n, size=(3, 12))
    frame = play(env, actions[0])[-1]
    state = env.snapshot()
    after = play(env, actions[1])
    if name == "Toy":
        assert not np.array_equal(after[-1], frame)
    play(env, actions[2])
    assert np.array_equal(env.restore(state), frame)
    assert all(map(np.array_equal, play(env, actions[1]), after))
    assert np.array_equal(env.restore(state), frame)  # the state itself has not changed
    if not name.endswith("Genesis"):  # of which a process runs one
        other = make(name)
        other.reset(seed=8)
        assert np.array_equal(other.restore(state), frame)
        assert all(map(np.array_equal, play(other, actions[1]), after))


def test_steps_are_counted_from_the_restored_state(make):
    env = make("Toy", max_steps=5)
    env.reset(seed=0)
    state = env.snapshot()
    for _ in range(4):
        env.step(0)
    env.restore(state)
    assert [env.step(0)[3] for _ in range(5)] == [False] * 4 + [True]


def test_a_game_that_does_not_run_has_no_state(make):
    env = make("Toy")
    with pytest.raises(GameError, match="reset"):
        env.snapshot()
    env.reset(seed=0)
    state = env.snapshot()
    env.close()
    for use in (env.snapshot, lambda: env.restore(state)):
        with pytest.raises(ClosedError):
            use()
