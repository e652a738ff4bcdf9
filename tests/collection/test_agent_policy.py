"""Collecting with a saved agent stores its actions, optionally with a share of random ones."""

import os
import pickle
import warnings

import numpy as np
import pytest
import torch

pytest.importorskip("sb3_contrib", reason="needs sb3-contrib: pip install genie_gym[sb3]")

from genie_gym import data
from genie_gym.collection.agent_policy import AgentPolicy
from genie_gym.collection.collect import collect
from genie_gym.collection.policies import make_policy
from genie_gym.errors import CheckpointError, ConfigError
from genie_gym.sb3 import ExplorerConfig, SavedAgent, make_explorer, make_game_vec_env, save_agent
from genie_gym.utils import precision
from tests.conftest import what_the_hardware_says

OPTIONS = {"episodes": 2, "max_steps": 30, "workers": 1, "progress": False}


@pytest.fixture(scope="module")
def agent(tmp_path_factory):
    """Return an untrained explorer of the toy game with large random weights, so that it prefers some actions."""
    path = tmp_path_factory.mktemp("explorer") / "agent.safetensors"
    explorer = make_explorer(make_game_vec_env("Toy-Numpy", 1), ExplorerConfig(lstm_hidden_size=16), device="cpu")
    torch.manual_seed(2)
    for parameter in explorer.policy.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    save_agent(explorer, path, {"game": "Toy-Numpy"})
    return path


def test_a_recording_holds_the_agents_actions(agent, tmp_path, monkeypatch):
    # Tests ask in float32 elsewhere; the process that collects asks the hardware.
    monkeypatch.setattr(precision, "_multiplies_bfloat16", what_the_hardware_says)
    collect("Toy-Numpy", out=tmp_path, policy=str(agent), seed=4, **OPTIONS)
    dataset, player = data.EpisodeDataset(tmp_path), SavedAgent(agent)
    name = AgentPolicy(agent).name
    assert dataset.ids == [f"{name}-4-000000", f"{name}-4-000001"]
    (run,) = dataset.header["runs"]
    assert (run["policy"], run["seed"], run["agent"]) == (name, 4, str(agent))
    for episode in dataset.episodes():
        player.reset(int(np.random.default_rng([episode.info["seed"], 1]).integers(2**31)))
        assert [player(frame) for frame in episode.frames[:-1]] == episode.actions.tolist()


def test_a_share_of_random_actions(agent, tmp_path):
    report = collect("Toy-Numpy", out=tmp_path, policy=str(agent), epsilon=1.0, seed=4, **OPTIONS)
    (run,) = data.EpisodeDataset(tmp_path).header["runs"]
    assert run["epsilon"] == 1.0 and run["policy"].endswith("-random100") and run["agent"] == str(agent)
    assert report.episodes == 2
    # The same run again finds its own episodes; the agent without random actions would play its own.
    again = collect("Toy-Numpy", out=tmp_path, policy=str(agent), epsilon=1.0, seed=4, **OPTIONS)
    assert again.episodes == 0


def test_the_name_tells_agents_apart(agent, tmp_path):
    folder = tmp_path / "game-0"
    folder.mkdir()
    copy = folder / "agent.safetensors"
    copy.write_bytes(agent.read_bytes())
    first = AgentPolicy(folder)
    assert first.path == copy and first.name.startswith("game-0-")
    copy.write_bytes(agent.read_bytes() + b" ")
    assert AgentPolicy(folder).name != first.name


def test_it_travels_as_a_path(agent):
    def play(policy: AgentPolicy) -> list[int]:
        policy.reset(4, np.random.default_rng(0))
        return [policy(np.zeros((64, 64, 3), np.uint8)) for _ in range(20)]

    policy = AgentPolicy(agent)
    played = play(policy)
    content = pickle.dumps(policy)
    assert len(content) < 2000
    assert play(pickle.loads(content)) == played


def test_another_file_of_that_path_is_refused(agent, tmp_path):
    """As on another node of a cluster: the episodes would bear the first one's name."""
    copy = tmp_path / "agent.safetensors"
    copy.write_bytes(agent.read_bytes())
    travelled = pickle.loads(pickle.dumps(AgentPolicy(copy)))
    copy.write_bytes(agent.read_bytes() + b" ")
    with pytest.raises(CheckpointError, match="is not the one that the collection began with"):
        travelled.reset(4, np.random.default_rng(0))
    copy.unlink()
    with pytest.raises(CheckpointError, match="cannot be read"):
        travelled.reset(4, np.random.default_rng(0))


def test_agents_that_do_not_fit(agent, tmp_path):
    with pytest.raises(CheckpointError, match=r"there is no agent at .*nowhere\.safetensors; train one"):
        AgentPolicy(tmp_path / "nowhere.safetensors")
    with pytest.raises(ConfigError, match="chooses from 4 actions, this game has 6"):
        AgentPolicy(agent).reset(6, np.random.default_rng(0))


def test_a_name_alone_finds_no_folder_by_chance(agent, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("random", "sticky", "notes"):
        (tmp_path / name).mkdir()
    (tmp_path / "sticky" / "agent.safetensors").write_bytes(agent.read_bytes())
    assert make_policy("sticky")[0] == "sticky"  # built-in names win
    with pytest.raises(ConfigError, match="unknown policy 'notes'"):
        make_policy("notes")
    (tmp_path / "notes" / "agent.safetensors").write_bytes(agent.read_bytes())
    with pytest.warns(UserWarning, match=f"notes is the agent in {tmp_path}"):
        assert make_policy("notes")[0].startswith("notes-")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert make_policy("./sticky")[0].startswith("sticky-")  # as a path it is meant


def test_impossible_paths(tmp_path):
    (tmp_path / "round").symlink_to(tmp_path / "round")
    os.mkfifo(tmp_path / "pipe")
    for name in ("./" + 5000 * "x", tmp_path / "round", tmp_path / "pipe", "./a\0b"):
        with pytest.raises(CheckpointError, match="there is no agent at"):
            AgentPolicy(name)
    with pytest.raises(ConfigError, match="unknown policy"):
        make_policy(5000 * "x")
