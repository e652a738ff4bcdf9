"""Training in parts: the observer receives every step once, can stop, and saves between updates."""

import numpy as np
import pytest
import torch

pytest.importorskip("sb3_contrib", reason="needs sb3-contrib: pip install genie_gym[sb3]")

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from genie_gym.errors import ConfigError
from genie_gym.sb3 import ExplorerConfig, make_explorer, make_game_vec_env, train, wrap_reward

TINY = ExplorerConfig(n_steps=8, batch_size=16, n_epochs=1, lstm_hidden_size=8)


class RecordingObserver:
    """An observer that records its calls, and stops after some steps."""

    def __init__(self, last: int = 10**9):
        self.last, self.steps, self.frames, self.rewards, self.saved = last, [], [], [], 0

    def on_step(self, steps, frames, rewards, infos) -> bool:
        self.steps.append(steps)
        self.frames.append(frames)
        self.rewards.append(rewards.copy())
        return steps < self.last

    def metrics(self) -> dict[str, float]:
        return {"explore/answer": 42.0}

    def save(self) -> None:
        self.saved += 1


def agent(reward: str = "none"):
    env = wrap_reward(make_game_vec_env("Toy-Numpy", 2, max_steps=30), reward, "Toy-Numpy", device="cpu")
    return make_explorer(env, TINY, device="cpu")


def test_every_step_is_reported(tmp_path):
    observer = RecordingObserver()
    assert train(agent(), 32, observer, tmp_path)
    assert observer.steps == list(range(2, 33, 2))
    assert all(frames.shape == (2, 64, 64, 3) and frames.dtype == np.uint8 for frames in observer.frames)
    assert observer.saved == 1
    curves = EventAccumulator(str(tmp_path)).Reload()
    assert [event.value for event in curves.Scalars("explore/answer")] == [42.0, 42.0]


def test_a_stopped_training_can_be_resumed(tmp_path):
    trained = agent()
    assert not train(trained, 32, RecordingObserver(last=20), tmp_path)
    assert (trained.num_timesteps, trained._n_updates) == (16, 1)  # stopped in its second rollout of 16 steps
    assert not train(trained, 32, RecordingObserver(last=32), tmp_path)  # at the last step, before the update
    assert (trained.num_timesteps, trained._n_updates) == (16, 1)
    assert train(trained, 32, RecordingObserver(), tmp_path)
    assert (trained.num_timesteps, trained._n_updates) == (32, 2)
    observer = RecordingObserver()
    assert train(trained, 32, observer, tmp_path)  # already complete
    assert observer.steps == [] and observer.saved == 0


def test_saves_between_updates(tmp_path):
    observer = RecordingObserver()
    train(agent(), 64, observer, tmp_path, save_interval=0)
    assert observer.saved == 4 + 1


def test_the_games_reward_is_reported_before_normalisation(tmp_path, monkeypatch):
    monkeypatch.setattr("genie_gym.games.toy.ToyGame._collect", lambda game: 3.0)
    observer, trained = RecordingObserver(), agent("game")
    train(trained, 32, observer, tmp_path)
    np.testing.assert_array_equal(observer.rewards, np.full((16, 2), 3.0))
    assert trained.rollout_buffer.rewards.max() < 3.0


def test_scores_of_an_intrinsic_reward_are_reported(tmp_path, exploring_checkpoint):
    env = make_game_vec_env("Toy-Numpy", 2, max_steps=30)
    observer = RecordingObserver()
    train(
        make_explorer(wrap_reward(env, "autoexplore", "Toy", exploring_checkpoint, score_interval=4), TINY),
        64,
        observer,
        tmp_path,
    )
    assert {len(rewards) for rewards in observer.rewards} == {0, 2}  # both environments are scored, or none
    assert all((rewards > 0).all() and (rewards <= 2).all() for rewards in observer.rewards)


def test_scores_of_zero_are_reported_too(tmp_path):
    observer = RecordingObserver()
    train(agent("none"), 32, observer, tmp_path)
    np.testing.assert_array_equal(observer.rewards, np.zeros((16, 2)))


def test_weights_that_are_not_finite_are_said_where_actions_are_drawn(tmp_path, monkeypatch):
    """Torch notices it when probabilities are made, or, where it does not look, when one draws from them."""
    spoilt = agent()
    with torch.no_grad():
        for weights in spoilt.policy.action_net.parameters():
            weights.fill_(float("nan"))
    for looks in (True, False):
        monkeypatch.setattr(torch.distributions.Distribution, "_validate_args", looks)
        with pytest.raises(ConfigError, match="lower learning_rate"):
            train(spoilt, 32, RecordingObserver(), tmp_path)


def test_other_errors_of_torch_are_not_taken_for_that(tmp_path, monkeypatch):
    broken = agent()
    monkeypatch.setattr(broken, "learn", lambda *_, **__: torch.zeros(2) @ torch.zeros(3))
    with pytest.raises(RuntimeError, match="size"):
        train(broken, 32, RecordingObserver(), tmp_path)
