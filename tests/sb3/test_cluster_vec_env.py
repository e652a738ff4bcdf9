"""Games on the nodes of a Ray cluster step as those of this machine do, and a node that dies costs episodes only."""

import time

import numpy as np
import pytest
from safetensors.numpy import load_file

from genie_gym import games
from genie_gym.exploration.explore import explore
from genie_gym.sb3 import make_game_vec_env
from genie_gym.utils.parallel.cluster import RayCluster

pytest.importorskip("ray", reason="needs Ray: pip install genie_gym[ray]")
pytestmark = pytest.mark.slow

GAME = "Breakout-Ale" if games.available("Breakout-Ale") else "Toy-Numpy"
ACTIONS = np.random.default_rng(0).integers(3, size=(50, 3))


def play(env, steps):
    """Frames, rewards, ends and last frames of all steps."""
    seen = [(env.reset(), np.zeros(3), np.zeros(3, bool), [{}] * 3)]
    seen += [env.step(actions) for actions in ACTIONS[:steps]]
    return seen


def test_steps_are_those_of_local_games(nodes):
    options = {"seed": 5, "max_steps": 20}
    local = make_game_vec_env(GAME, 3, **options)
    with RayCluster(nodes.cluster.address) as cluster:
        remote = make_game_vec_env(GAME, 3, cluster=cluster, **options)
        for one, other in zip(play(local, 50), play(remote, 50), strict=True):
            for values, others in zip(one[:3], other[:3], strict=True):
                np.testing.assert_array_equal(values, others)
            for info, same in zip(one[3], other[3], strict=True):
                assert info.get("TimeLimit.truncated") == same.get("TimeLimit.truncated")
                assert np.array_equal(info.get("terminal_observation", 0), same.get("terminal_observation", 0))
                assert [(info.get("episode") or {}).get(key) for key in "rl"] == [
                    (same.get("episode") or {}).get(key) for key in "rl"
                ]
        assert remote.env_method("get_action_meanings") == local.env_method("get_action_meanings")
        assert remote.env_method("has_savestates", indices=[1]) == local.env_method("has_savestates", indices=[1])
        assert remote.observation_space == local.observation_space
        remote.close()
    local.close()


def test_an_agent_learns_the_same_on_a_cluster(nodes, tmp_path):
    options = {"steps": 256, "reward": "game", "num_envs": 2, "max_steps": 30, "progress": False, "threads": 1}
    explore("Toy-Numpy", out=tmp_path / "local", **options)
    report = explore("Toy-Numpy", out=tmp_path / "remote", ray=nodes.cluster.address, **options)
    assert report.finished and report.steps >= 256
    one, other = (load_file(tmp_path / place / "agent.safetensors") for place in ("local", "remote"))
    assert one.keys() == other.keys()
    assert all(np.array_equal(one[name], other[name]) for name in one)


def test_a_node_that_dies_costs_the_episodes_of_its_games(nodes):
    with RayCluster(nodes.cluster.address) as cluster:
        env = make_game_vec_env("Toy-Numpy", 3, seed=5, max_steps=30, cluster=cluster)
        env.reset()
        frames = [env.step(actions)[0] for actions in ACTIONS[:10]][-1]
        nodes.cluster.remove_node(nodes.nodes[2], allow_graceful=False)
        lost, deadline = np.zeros(3, bool), time.monotonic() + 60
        with pytest.warns(UserWarning, match="its episode is lost"):
            while not lost.any() and time.monotonic() < deadline:  # a node's processes outlive it by a moment
                before = frames
                frames, rewards, dones, infos = env.step(ACTIONS[10])
                lost = np.array([info.get("lost", False) for info in infos])
        assert 1 <= lost.sum() < 3  # those of one node
        assert dones[lost].all()
        for row in np.flatnonzero(lost):
            assert infos[row]["TimeLimit.truncated"] and rewards[row] == 0 and 1 <= infos[row]["episode"]["l"] <= 30
            np.testing.assert_array_equal(infos[row]["terminal_observation"], before[row])
        lengths = [
            info["episode"]["l"] for actions in ACTIONS[11:41] for info in env.step(actions)[3] if "episode" in info
        ]
        assert lengths and max(lengths) <= 30  # the new games play on
        env.close()
