"""Training in pieces: every step is told once, stopping is heeded, saving comes between updates."""

import numpy as np
import pytest

pytest.importorskip("sb3_contrib", reason="needs sb3-contrib: pip install genie_gym[sb3]")

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from genie_gym.sb3 import ExplorerConfig, make_explorer, make_game_vec_env, pay, train

TINY = ExplorerConfig(steps=8, batch=16, epochs=1, lstm=8)


class Notes:
    """A watcher that writes down what it is told, and stops after some steps."""

    def __init__(self, last: int = 10**9):
        self.last, self.steps, self.frames, self.rewards, self.saved = last, [], [], [], 0

    def see(self, steps, frames, rewards) -> bool:
        self.steps.append(steps)
        self.frames.append(frames)
        self.rewards.append(rewards.copy())
        return steps < self.last

    def figures(self) -> dict[str, float]:
        return {"explore/answer": 42.0}

    def save(self) -> None:
        self.saved += 1


def agent(reward: str = "none"):
    env = pay(make_game_vec_env("Toy-Numpy", 2, max_steps=30), reward, "Toy-Numpy", device="cpu")
    return make_explorer(env, TINY, device="cpu")


def test_every_step_is_told(tmp_path):
    notes = Notes()
    assert train(agent(), 32, notes, tmp_path)
    assert notes.steps == list(range(2, 33, 2))
    assert all(frames.shape == (2, 64, 64, 3) and frames.dtype == np.uint8 for frames in notes.frames)
    assert notes.saved == 1
    curves = EventAccumulator(str(tmp_path)).Reload()
    assert [event.value for event in curves.Scalars("explore/answer")] == [42.0, 42.0]


def test_a_stop_ends_it_and_the_rest_can_follow(tmp_path):
    trained = agent()
    assert not train(trained, 32, Notes(last=20), tmp_path)
    assert (trained.num_timesteps, trained._n_updates) == (16, 1)  # it was stopped in its second rollout of 16 steps
    assert not train(trained, 32, Notes(last=32), tmp_path)  # at the last step, before it has learned from it
    assert (trained.num_timesteps, trained._n_updates) == (16, 1)
    assert train(trained, 32, Notes(), tmp_path)
    assert (trained.num_timesteps, trained._n_updates) == (32, 2)
    notes = Notes()
    assert train(trained, 32, notes, tmp_path)  # there already
    assert notes.steps == [] and notes.saved == 0


def test_saves_between_updates(tmp_path):
    notes = Notes()
    train(agent(), 64, notes, tmp_path, save_every=0)
    assert notes.saved == 4 + 1


def test_the_games_reward_is_told_unscaled(tmp_path, monkeypatch):
    monkeypatch.setattr("genie_gym.games.toy.ToyGame._collect", lambda game: 3.0)
    notes, trained = Notes(), agent("game")
    train(trained, 32, notes, tmp_path)
    np.testing.assert_array_equal(notes.rewards, np.full((16, 2), 3.0))
    assert trained.rollout_buffer.rewards.max() < 3.0


def test_of_an_intrinsic_reward_what_was_scored_is_told(tmp_path, exploring_checkpoint):
    env = make_game_vec_env("Toy-Numpy", 2, max_steps=30)
    notes = Notes()
    train(make_explorer(pay(env, "autoexplore", "Toy", exploring_checkpoint, every=4), TINY), 64, notes, tmp_path)
    assert {len(rewards) for rewards in notes.rewards} == {0, 2}  # of both environments, or of none
    assert all((rewards > 0).all() and (rewards <= 2).all() for rewards in notes.rewards)
