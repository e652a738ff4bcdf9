"""The explorer: the paper's sizes, its network against NumPy, and resumed training."""

import numpy as np
import pytest
import torch

pytest.importorskip("sb3_contrib", reason="needs sb3-contrib: pip install genie_gym[sb3]")

import gymnasium as gym
from einops import reduce
from sb3_contrib.common.recurrent.policies import RecurrentActorCriticCnnPolicy

from genie_gym.errors import CheckpointError
from genie_gym.sb3 import (
    ExplorerCNN,
    ExplorerConfig,
    ExplorerPolicy,
    make_explorer,
    make_game_vec_env,
    resume_explorer,
    save_agent,
    wrap_reward,
)
from genie_gym.utils import precision

TINY = ExplorerConfig(n_steps=8, batch_size=16, n_epochs=1, lstm_hidden_size=16)


@pytest.fixture
def env():
    games = wrap_reward(make_game_vec_env("Toy-Numpy", 2, max_steps=12), "none", "Toy-Numpy", device="cpu")
    yield games
    games.close()


def test_four_stages_give_1024_features():
    network = ExplorerCNN(gym.spaces.Box(0, 255, (3, 64, 64), np.uint8))
    assert network.features_dim == 1024
    assert network(torch.rand(2, 3, 64, 64)).shape == (2, 1024)
    convolutions = [stage[0] for stage in list(network.stages)[:4]]
    assert [(c.in_channels, c.out_channels) for c in convolutions] == [(3, 32), (32, 32), (32, 64), (64, 64)]


def test_a_stage_equals_numpy():
    torch.manual_seed(0)
    network = ExplorerCNN(gym.spaces.Box(0, 255, (3, 64, 64), np.uint8))
    frame = np.random.default_rng(0).random((3, 64, 64), np.float32)
    kernel, bias = (p.detach().numpy() for p in network.stages[0][0].parameters())
    patches = np.lib.stride_tricks.sliding_window_view(np.pad(2 * frame - 1, ((0, 0), (1, 1), (1, 1))), (3, 3), (1, 2))
    convolved = np.einsum("cyxhw,ochw->oyx", patches, kernel) + bias[:, None, None]
    expected = np.maximum(reduce(convolved, "o (y a) (x b) -> o y x", "max", a=2, b=2), 0)
    got = network.stages[0](torch.from_numpy(2 * frame - 1)[None])[0].detach().numpy()
    np.testing.assert_allclose(got, expected, atol=1e-5)


def test_features_in_bfloat16_are_nearly_those_in_float32(monkeypatch):
    torch.manual_seed(0)
    network = ExplorerCNN(gym.spaces.Box(0, 255, (3, 64, 64), np.uint8))
    frames = torch.rand(3, 3, 64, 64)
    exact = network(frames)
    monkeypatch.setattr(precision, "_multiplies_bfloat16", lambda device: True)
    rounded = network(frames)
    assert rounded.dtype == torch.float32 and not torch.equal(rounded, exact)
    torch.testing.assert_close(rounded, exact, atol=0.01 * exact.abs().max().item(), rtol=0.02)


def test_the_lstm_has_512_units_by_default(env):
    policy = make_explorer(env, device="cpu").policy
    assert (policy.lstm_actor.input_size, policy.lstm_actor.hidden_size) == (1024, 512)


@pytest.mark.parametrize("starts", ["nowhere", "first", "within"])
def test_sequences_in_one_call_equal_sb3_contribs(starts):
    torch.manual_seed(0)
    lstm = torch.nn.LSTM(5, 7)
    features, states = torch.randn(3 * 4, 5), (torch.randn(1, 3, 7), torch.randn(1, 3, 7))
    episode_starts = torch.zeros(3, 4)
    if starts != "nowhere":
        episode_starts[1, 0 if starts == "first" else 2] = 1
    one_call, stepwise = (
        policy._process_sequence(features, states, episode_starts.flatten(), lstm)
        for policy in (ExplorerPolicy, RecurrentActorCriticCnnPolicy)
    )
    torch.testing.assert_close(one_call, stepwise)


def test_learning_changes_the_convolutions(env):
    agent = make_explorer(env, TINY, device="cpu")
    before = [p.detach().clone() for p in agent.policy.features_extractor.parameters()]
    agent.learn(32)
    assert agent.num_timesteps == 32
    assert all((a != b).any() for a, b in zip(before, agent.policy.features_extractor.parameters(), strict=True))


def test_a_resumed_explorer_continues(env, tmp_path):
    path = tmp_path / "agent.safetensors"
    agent, about = resume_explorer(path, env, TINY, seed=3, device="cpu")
    assert about == {}
    agent.learn(16)
    statistics = {"returns": {"mean": 1.0, "var": 4.0, "count": 9.0}}
    save_agent(agent, path, {"game": "Toy-Numpy", "reward_statistics": statistics})
    again, about = resume_explorer(path, env, device="cpu")
    assert again.num_timesteps == 16 and about["game"] == "Toy-Numpy"
    for mine, theirs in zip(agent.policy.parameters(), again.policy.parameters(), strict=True):
        assert torch.equal(mine, theirs)
    state = again.policy.optimizer.state_dict()["state"]
    assert state and all(s["step"] == 1 for s in state.values())  # one epoch of one batch
    assert env.venv.reward_pipeline.processor.normalizer.statistics.var == 4.0
    again.learn(16, reset_num_timesteps=False)
    assert again.num_timesteps == 32


def test_the_config_reaches_the_algorithm(env):
    config = ExplorerConfig(
        0.5, n_steps=3, batch_size=6, n_epochs=4, gamma=0.6, gae_lambda=0.7, ent_coef=0.8, lstm_hidden_size=9
    )
    agent = make_explorer(env, config, device="cpu")
    assert (agent.learning_rate, agent.n_steps, agent.batch_size, agent.n_epochs) == (0.5, 3, 6, 4)
    assert (agent.gamma, agent.gae_lambda, agent.ent_coef) == (0.6, 0.7, 0.8)
    assert agent.policy.lstm_actor.hidden_size == 9


def test_a_resumed_explorer_is_seeded_by_its_steps(env, tmp_path, monkeypatch):
    agent, seeds = make_explorer(env, TINY, device="cpu"), []
    monkeypatch.setattr(type(agent), "set_random_seed", lambda self, seed=None: seeds.append(seed))
    for steps, seed in ((16, 0), (32, 0), (16, 1), (16, 0)):
        agent.num_timesteps = steps
        save_agent(agent, tmp_path / "agent.safetensors", {})
        resume_explorer(tmp_path / "agent.safetensors", env, seed=seed, device="cpu")
    first, later, other, again = seeds[1::2]  # loading sets one, too
    assert first == again and len({first, later, other}) == 3


def test_a_damaged_agent_is_reported(env, tmp_path):
    (tmp_path / "agent.safetensors").write_bytes(b"PK no agent")
    with pytest.raises(CheckpointError, match=r"remove .* to start again"):
        resume_explorer(tmp_path / "agent.safetensors", env, device="cpu")


def test_an_agent_of_an_older_version_is_not_taken_for_none(env, tmp_path):
    (tmp_path / "agent.zip").write_bytes(b"PK")
    with pytest.raises(CheckpointError, match=r"older genie_gym.*remove .* to start again"):
        resume_explorer(tmp_path / "agent.safetensors", env, device="cpu")


def test_a_new_explorer_starts_with_anothers_weights(env, tmp_path):
    other = make_explorer(env, TINY, seed=1, device="cpu")
    save_agent(other, tmp_path / "other.safetensors", {})
    agent, about = resume_explorer(
        tmp_path / "agent.safetensors", env, TINY, device="cpu", init_from=tmp_path / "other.safetensors"
    )
    assert about == {} and agent.num_timesteps == 0
    mine, theirs = (one.policy.state_dict() for one in (agent, other))
    assert all(torch.equal(mine[name], theirs[name]) for name in theirs)
    fresh = make_explorer(env, TINY, device="cpu").policy.state_dict()
    assert not all(torch.equal(fresh[name], theirs[name]) for name in theirs)
