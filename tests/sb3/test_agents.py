"""Saved agents choose the actions that Stable-Baselines3 itself chooses, with whatever state they need."""

import numpy as np
import pytest
import torch

pytest.importorskip("sb3_contrib", reason="needs sb3-contrib: pip install genie_gym[sb3]")

from stable_baselines3 import DQN, PPO
from stable_baselines3.common.vec_env import VecFrameStack

from genie_gym.errors import CheckpointError, ConfigError
from genie_gym.sb3 import ExplorerConfig, SavedAgent, make_explorer, make_game_vec_env, save_agent
from tests.conftest import random_state

STEPS = 12


@pytest.fixture
def env():
    return make_game_vec_env("Toy-Numpy", 1)


def excite(agent) -> None:
    """Make an untrained policy depend on its observations; by default it is nearly uniform."""
    torch.manual_seed(1)
    for parameter in agent.policy.parameters():
        torch.nn.init.normal_(parameter, std=0.1)


def actions_of(player: SavedAgent, frames: np.ndarray, seed: int) -> list[int]:
    player.reset(seed)
    return [player(frame) for frame in frames]


def frames() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (STEPS, 64, 64, 3), np.uint8)


def test_a_recurrent_agent_keeps_its_state_through_an_episode(env, tmp_path):
    agent = make_explorer(env, ExplorerConfig(n_steps=8, batch_size=8, lstm_hidden_size=16), device="cpu")
    excite(agent)
    save_agent(agent, tmp_path / "agent.safetensors", {"game": "Toy-Numpy"})
    player = SavedAgent(tmp_path / "agent.safetensors")
    assert player.about == {"game": "Toy-Numpy"} and player.num_actions == 4

    torch.manual_seed(7)
    state, expected = None, []
    for step, frame in enumerate(frames()):
        action, state = agent.predict(frame.transpose(2, 0, 1), state, np.array([step == 0]))
        expected.append(int(action))
    assert actions_of(player, frames(), 7) == expected
    assert actions_of(player, frames(), 7) == expected  # a new episode starts without the state of the old one
    assert len({tuple(actions_of(player, frames(), seed)) for seed in range(5)}) > 1


def test_an_agent_of_stacked_frames_receives_stacked_frames(env, tmp_path):
    stacked = VecFrameStack(env, 3)
    agent = PPO("CnnPolicy", stacked, n_steps=8, batch_size=8, device="cpu")
    excite(agent)
    save_agent(agent, tmp_path / "ppo.safetensors")
    observations = frames()
    padded = np.concatenate([np.zeros((2, 64, 64, 3), np.uint8), observations])
    torch.manual_seed(3)
    expected = [int(agent.predict(np.concatenate(padded[t : t + 3], -1).transpose(2, 0, 1))[0]) for t in range(STEPS)]
    assert actions_of(SavedAgent(tmp_path / "ppo.safetensors"), observations, 3) == expected


def test_other_algorithms_are_supported(env, tmp_path):
    agent = DQN("CnnPolicy", env, buffer_size=10, device="cpu")
    excite(agent)
    save_agent(agent, tmp_path / "dqn.safetensors")
    expected = [int(agent.predict(frame.transpose(2, 0, 1), deterministic=True)[0]) for frame in frames()]
    assert actions_of(SavedAgent(tmp_path / "dqn.safetensors"), frames(), 0) == expected


def test_playing_leaves_the_callers_random_generators_alone(env, tmp_path):
    agent = make_explorer(env, ExplorerConfig(n_steps=8, batch_size=8, lstm_hidden_size=16), device="cpu")
    save_agent(agent, tmp_path / "agent.safetensors")
    before = random_state()
    played = actions_of(SavedAgent(tmp_path / "agent.safetensors"), frames(), 5)
    assert random_state() == before
    torch.manual_seed(99)  # nor do they change what is played
    assert actions_of(SavedAgent(tmp_path / "agent.safetensors"), frames(), 5) == played


def test_frames_of_another_size(env, tmp_path):
    save_agent(make_explorer(env, ExplorerConfig(lstm_hidden_size=16), device="cpu"), tmp_path / "agent.safetensors")
    with pytest.raises(ConfigError, match=r"frames of shape \(3, 64, 64\)"):
        SavedAgent(tmp_path / "agent.safetensors")(np.zeros((32, 32, 3), np.uint8))


def test_files_without_an_agent(tmp_path):
    with pytest.raises(CheckpointError, match="train one with: genie-gym explore"):
        SavedAgent(tmp_path / "none.safetensors")
    (tmp_path / "text.safetensors").write_text("no agent")
    with pytest.raises(CheckpointError, match="damaged or no agent"):
        SavedAgent(tmp_path / "text.safetensors")
