"""Saved agents play as Stable-Baselines3 itself would have them play, whatever they need to remember."""

import numpy as np
import pytest
import torch

pytest.importorskip("sb3_contrib", reason="needs sb3-contrib: pip install genie_gym[sb3]")

from stable_baselines3 import DQN, PPO
from stable_baselines3.common.vec_env import VecFrameStack

from genie_gym.errors import CheckpointError, ConfigError
from genie_gym.sb3 import AgentPlayer, ExplorerConfig, make_explorer, make_game_vec_env, save_agent

STEPS = 12


@pytest.fixture
def env():
    return make_game_vec_env("Toy-Numpy", 1)


def excite(agent) -> None:
    """Untrained policies choose nearly evenly whatever they see; these do not."""
    torch.manual_seed(1)
    for parameter in agent.policy.parameters():
        torch.nn.init.normal_(parameter, std=0.1)


def play(player: AgentPlayer, frames: np.ndarray, seed: int) -> list[int]:
    player.start(seed)
    return [player(frame) for frame in frames]


def frames() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (STEPS, 64, 64, 3), np.uint8)


def test_a_recurrent_agent_keeps_its_state_through_an_episode(env, tmp_path):
    agent = make_explorer(env, ExplorerConfig(steps=8, batch=8, lstm=16), device="cpu")
    excite(agent)
    save_agent(agent, tmp_path / "agent.zip", {"game": "Toy-Numpy"})
    player = AgentPlayer(tmp_path / "agent.zip")
    assert player.about == {"game": "Toy-Numpy"} and player.actions == 4

    torch.manual_seed(7)
    state, expected = None, []
    for step, frame in enumerate(frames()):
        action, state = agent.predict(frame.transpose(2, 0, 1), state, np.array([step == 0]))
        expected.append(int(action))
    assert play(player, frames(), 7) == expected
    assert play(player, frames(), 7) == expected  # a new episode begins without the old one's state
    assert len({tuple(play(player, frames(), seed)) for seed in range(5)}) > 1


def test_an_agent_of_stacked_frames_gets_them_stacked(env, tmp_path):
    stacked = VecFrameStack(env, 3)
    agent = PPO("CnnPolicy", stacked, n_steps=8, batch_size=8, device="cpu")
    excite(agent)
    agent.save(tmp_path / "ppo.zip")
    shown = frames()
    padded = np.concatenate([np.zeros((2, 64, 64, 3), np.uint8), shown])
    torch.manual_seed(3)
    expected = [int(agent.predict(np.concatenate(padded[t : t + 3], -1).transpose(2, 0, 1))[0]) for t in range(STEPS)]
    assert play(AgentPlayer(tmp_path / "ppo.zip"), shown, 3) == expected


def test_other_algorithms_play_too(env, tmp_path):
    agent = DQN("CnnPolicy", env, buffer_size=10, device="cpu")
    excite(agent)
    agent.save(tmp_path / "dqn.zip")
    expected = [int(agent.predict(frame.transpose(2, 0, 1), deterministic=True)[0]) for frame in frames()]
    assert play(AgentPlayer(tmp_path / "dqn.zip"), frames(), 0) == expected


def test_pictures_of_another_size(env, tmp_path):
    make_explorer(env, ExplorerConfig(lstm=16), device="cpu").save(tmp_path / "agent.zip")
    with pytest.raises(ConfigError, match=r"pictures of shape \(3, 64, 64\)"):
        AgentPlayer(tmp_path / "agent.zip")(np.zeros((32, 32, 3), np.uint8))


def test_files_that_hold_no_agent(tmp_path):
    with pytest.raises(CheckpointError, match="train one with: genie-gym explore"):
        AgentPlayer(tmp_path / "none.zip")
    (tmp_path / "text.zip").write_text("no zip")
    with pytest.raises(CheckpointError, match="damaged or was not saved by"):
        AgentPlayer(tmp_path / "text.zip")
    PPO("MlpPolicy", "CartPole-v1", device="cpu").save(tmp_path / "cart.zip")
    with pytest.raises(CheckpointError, match="colour pictures"):
        AgentPlayer(tmp_path / "cart.zip")
