"""Agents in files: saved and loaded they act and learn as before; files of others are refused and run nothing."""

import copy
import json
import pickle
import resource
import time

import numpy as np
import pytest
import torch

pytest.importorskip("sb3_contrib", reason="needs sb3-contrib: pip install genie_gym[sb3]")

import cloudpickle
from safetensors import safe_open
from safetensors.torch import save_file
from sb3_contrib import QRDQN, TRPO, RecurrentPPO
from stable_baselines3 import A2C, DQN, PPO, SAC
from stable_baselines3.common.torch_layers import NatureCNN

from genie_gym.errors import CheckpointError, ConfigError, GenieGymError
from genie_gym.sb3 import (
    ExplorerConfig,
    SavedAgent,
    load_agent,
    make_explorer,
    make_game_vec_env,
    resume_explorer,
    save_agent,
    train,
)
from genie_gym.world_model.checksum import checksum
from tests.conftest import LONG
from tests.fuzz import Bomb, mutate_bytes, mutate_value

TINY = ExplorerConfig(n_steps=8, batch_size=16, n_epochs=1, lstm_hidden_size=16)
SMALL_NET = {"features_extractor_kwargs": {"features_dim": 32}}
ON_POLICY = {"n_steps": 8, "device": "cpu", "policy_kwargs": SMALL_NET}
OFF_POLICY = {"buffer_size": 20, "learning_starts": 4, "device": "cpu", "policy_kwargs": SMALL_NET}


@pytest.fixture
def env():
    return make_game_vec_env("Toy-Numpy", 2, max_steps=12)


@pytest.fixture(scope="module")
def trained():
    """A small explorer after two updates."""
    agent = make_explorer(make_game_vec_env("Toy-Numpy", 2, max_steps=12), TINY, seed=3, device="cpu")
    return agent.learn(32)


@pytest.fixture(scope="module")
def content(trained, tmp_path_factory) -> tuple[dict, dict]:
    """The description and the tensors in its file."""
    path = tmp_path_factory.mktemp("agent") / "agent.safetensors"
    save_agent(trained, path, {"game": "Toy-Numpy", "seconds": 3.5})
    with safe_open(path, "pt") as file:
        return json.loads(file.metadata()["agent"]), {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118


def write(path, description, tensors):
    text = description if isinstance(description, str) else json.dumps(description)
    text = text.encode(errors="replace").decode()  # a file of tensors holds nothing but Unicode
    tensors = {name: value.clone() for name, value in tensors.items()}
    save_file(tensors, path, {"agent": text, "sha256": checksum(tensors, text)})  # whoever damages it can count, too
    return path


AGENTS = [
    (A2C, "CnnPolicy", ON_POLICY),
    (A2C, "CnnPolicy", ON_POLICY | {"use_rms_prop": False}),
    (PPO, "CnnPolicy", ON_POLICY | {"batch_size": 8, "clip_range": 0.3, "target_kl": 0.1}),
    (TRPO, "CnnPolicy", ON_POLICY | {"batch_size": 8, "n_critic_updates": 1, "cg_max_steps": 2}),
    (
        RecurrentPPO,
        "CnnLstmPolicy",
        ON_POLICY | {"batch_size": 8, "policy_kwargs": SMALL_NET | {"lstm_hidden_size": 16}},
    ),
    (DQN, "CnnPolicy", OFF_POLICY | {"train_freq": (3, "step")}),
    (QRDQN, "CnnPolicy", OFF_POLICY),
]


@pytest.mark.parametrize(("kind", "policy", "options"), AGENTS)
def test_every_algorithm_comes_back_as_stable_baselines3_itself_loads_it(kind, policy, options, env, tmp_path):
    agent = kind(policy, env, seed=4, **copy.deepcopy(options)).learn(32)
    agent.save(tmp_path / "theirs.zip")
    save_agent(agent, tmp_path / "ours.safetensors", {"note": [1, None, "x"]})
    mine = load_agent(tmp_path / "ours.safetensors", env, device="cpu")
    theirs = kind.load(tmp_path / "theirs.zip", env=env, device="cpu")
    assert type(mine) is kind and mine.about == {"note": [1, None, "x"]}
    assert_same(mine, theirs)
    for one in (mine, theirs):  # and they learn the same from the same games
        one.set_random_seed(11)
        one.learn(32, reset_num_timesteps=False)
    assert mine.num_timesteps >= 64
    assert_same(mine, theirs)


def assert_same(mine, theirs) -> None:
    for name in ("num_timesteps", "_n_updates", "gamma", "learning_rate", "seed", "_total_timesteps", "_episode_num"):
        assert getattr(mine, name) == getattr(theirs, name), name
    assert [one["r"] for one in mine.ep_info_buffer] == [one["r"] for one in theirs.ep_info_buffer]
    assert mine.ep_info_buffer.maxlen == theirs.ep_info_buffer.maxlen
    ours, expected = mine.policy.state_dict(), theirs.policy.state_dict()
    assert ours.keys() == expected.keys() and all(torch.equal(ours[name], expected[name]) for name in ours)
    state, known = mine.policy.optimizer.state_dict(), theirs.policy.optimizer.state_dict()
    assert type(mine.policy.optimizer) is type(theirs.policy.optimizer)
    assert state["param_groups"] == known["param_groups"] and state["state"].keys() == known["state"].keys()
    for index, slots in known["state"].items():
        assert all(torch.equal(torch.as_tensor(state["state"][index][k]), torch.as_tensor(v)) for k, v in slots.items())


def test_an_agent_predicts_without_an_environment(trained, tmp_path):
    save_agent(trained, tmp_path / "a.safetensors")
    frame = np.random.default_rng(0).integers(0, 256, (3, 64, 64), np.uint8)
    asked = [one.predict(frame, deterministic=True)[0] for one in (trained, load_agent(tmp_path / "a.safetensors"))]
    assert asked[0] == asked[1]


def test_a_device_that_is_not_there(trained, tmp_path):
    save_agent(trained, tmp_path / "a.safetensors")
    with pytest.raises(ConfigError, match="device"):
        load_agent(tmp_path / "a.safetensors", device="cuda:99")


def test_the_file_is_not_larger_than_its_weights(trained, tmp_path):
    """Networks that actor and critic share are stored once."""
    save_agent(trained, tmp_path / "a.safetensors")
    size = 4 * sum(one.numel() for one in trained.policy.parameters())
    assert (tmp_path / "a.safetensors").stat().st_size < 3 * size + 50_000  # with two moments of Adam


def test_a_schedule_is_asked_for(env, tmp_path):
    def decaying(left: float) -> float:
        return 0.01 * left

    agent = PPO("CnnPolicy", env, learning_rate=decaying, batch_size=8, **ON_POLICY)
    save_agent(agent, tmp_path / "a.safetensors")
    assert 0 <= SavedAgent(tmp_path / "a.safetensors")(np.zeros((64, 64, 3), np.uint8)) < 4  # playing needs none
    with pytest.raises(ConfigError, match=r"load_agent\(path, env, learning_rate="):
        load_agent(tmp_path / "a.safetensors", env)
    assert load_agent(tmp_path / "a.safetensors", env, learning_rate=decaying).learning_rate is decaying


class OwnNetwork(NatureCNN):
    """Code that no file can hold."""


def test_agents_that_a_file_cannot_hold(env, tmp_path):
    with pytest.raises(ConfigError, match="OwnNetwork"):
        own = ON_POLICY | {"policy_kwargs": {"features_extractor_class": OwnNetwork}, "batch_size": 8}
        save_agent(PPO("CnnPolicy", env, **own), tmp_path / "a.safetensors")
    with pytest.raises(ConfigError, match="agents of SAC cannot be saved; known are: A2C, DQN"):
        save_agent(SAC("MlpPolicy", "Pendulum-v1", buffer_size=10, device="cpu"), tmp_path / "a.safetensors")
    with pytest.raises(ConfigError, match="it takes Box"):
        save_agent(PPO("MlpPolicy", "CartPole-v1", device="cpu"), tmp_path / "a.safetensors")
    assert not list(tmp_path.iterdir())


def test_nothing_in_a_file_is_run(env, trained, tmp_path):
    mark, path = tmp_path / "executed", tmp_path / "agent.safetensors"
    hostile = copy.copy(trained)
    hostile.about = Bomb(mark)
    trained.__class__.save(hostile, tmp_path / "agent.zip")
    zipped = (tmp_path / "agent.zip").read_bytes()
    for content in (pickle.dumps(Bomb(mark)), cloudpickle.dumps(Bomb(mark)), zipped):
        path.write_bytes(content)
        for read in (SavedAgent, load_agent, lambda path: resume_explorer(path, env, device="cpu")):
            with pytest.raises(CheckpointError):
                read(path)
    torch.save(Bomb(mark), path)
    with pytest.raises(CheckpointError):
        load_agent(path)
    with pytest.raises(CheckpointError, match=r"can run code when it is read.*save_agent"):
        SavedAgent(tmp_path / "agent.zip")
    assert not mark.exists()
    trained.__class__.load(tmp_path / "agent.zip", env=env)  # the bomb is a real one
    assert mark.exists()


DAMAGES = [
    {"algorithm": "os.system"},
    {"algorithm": 3},
    {"policy": "NoPolicy"},
    {"policy": "__class__"},
    {"observation": [3, 64]},
    {"observation": [3, 64, "64"]},
    {"observation": [3, 10**9, 10**9]},
    {"observation": [0, 64, 64]},
    {"actions": 10**12},
    {"actions": True},
    {"actions": -1},
    {"policy_options": {"features_extractor_class": {"class": "system"}}},
    {"policy_options": {"features_extractor_class": {"class": ["x"]}}},
    {"policy_options": {"lstm_hidden_size": 10**9}},
    {"policy_options": {"lstm_hidden_size": 30_000}},
    {"policy_options": {"n_lstm_layers": 10**9}},
    {"policy_options": {"net_arch": [1] * 100_000}},
    {"policy_options": {"net_arch": [10**12]}},
    {"policy_options": {"\x1b[2J": 3}},
    {"policy_options": None},
    {"settings": {"learning_rate": float("nan")}},
    {"settings": {"learning_rate": float("inf")}},
    {"settings": {"learning_rate": -1.0}},
    {"settings": {"n_steps": 10**15}},
    {"settings": {"n_steps": "8"}},
    {"settings": {"batch_size": 0}},
    {"settings": {"env": 3}},
    {"settings": {"_init_setup_model": False}},
    {"settings": []},
    {"counters": {"num_timesteps": -1}},
    {"counters": {"num_timesteps": 10**400}},
    {"counters": {"learn": 0}},
    {"counters": {"num_timesteps": 1.5}},
    {"episodes": [{"r": 1.0}]},
    {"episodes": [{"r": "1", "l": 1.0, "t": 1.0}]},
    {"episodes": 3},
    {"left_out": [3]},
    {"about": [1]},
    {"version": 2},
    {"version": "1"},
    {"format": "other"},
    {"more": 1},
]


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: str(damage)[:60])
def test_absurd_descriptions_are_refused_at_once(damage, content, env, tmp_path):
    description, tensors = content
    mixed = {
        name: {**description[name], **value} if isinstance(value, dict) and name != "about" else value
        for name, value in damage.items()
    }
    path = write(tmp_path / "agent.safetensors", {**description, **mixed}, tensors)
    memory, started = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.monotonic()
    with pytest.raises(GenieGymError) as error:
        load_agent(path, env, device="cpu")
    assert str(error.value).isprintable()
    assert time.monotonic() - started < 5
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - memory < 300_000  # KB


@pytest.mark.parametrize("name", ["algorithm", "policy", "observation", "actions", "policy_options", "settings"])
def test_missing_entries(name, content, tmp_path):
    description = {key: value for key, value in content[0].items() if key != name}
    with pytest.raises(CheckpointError, match=f"lacks '{name}'"):
        load_agent(write(tmp_path / "a.safetensors", description, content[1]))


DEEP = '{"format": ' * 200 + "1" + "}" * 200


@pytest.mark.parametrize("text", ["", "[]", "null", "{", "[" * 100_000, DEEP, 2**21 * " "], ids=range(7))
def test_descriptions_that_are_none(text, content, tmp_path):
    path = write(tmp_path / "a.safetensors", text, content[1])
    with pytest.raises(CheckpointError):
        load_agent(path)


def absurd_tensors(tensors):
    first = next(name for name in tensors if name.startswith("policy/"))
    moment = next(name for name in tensors if name.endswith("exp_avg_sq"))
    step = next(name for name in tensors if name.endswith("step"))
    yield {}
    yield {first: tensors[first]}
    yield {name: value for name, value in tensors.items() if name != first}
    yield tensors | {first: torch.full_like(tensors[first], float("nan"))}
    yield tensors | {first: tensors[first].double()}
    yield tensors | {first: tensors[first][:1]}
    yield tensors | {moment: -torch.ones_like(tensors[moment])}
    yield tensors | {moment: torch.tensor(1.0)}
    yield tensors | {step: torch.tensor(-1.0)}
    yield tensors | {step: torch.tensor(float("inf"))}
    yield tensors | {"optimizer/999/step": tensors[step]}
    yield tensors | {"optimizer/x/step": tensors[step]}
    yield tensors | {"optimizer/0/../../step": tensors[step]}
    yield {name: value for name, value in tensors.items() if name != moment}


def test_tensors_of_other_networks_are_refused(content, env, tmp_path):
    description, tensors = content
    for count, wrong in enumerate(absurd_tensors(tensors)):
        path = write(tmp_path / f"{count}.safetensors", description, wrong)
        with pytest.raises(CheckpointError):
            load_agent(path, env, device="cpu")


def test_no_flipped_bit_of_a_weight_goes_unnoticed(content, tmp_path):
    path = write(tmp_path / "agent.safetensors", *content)
    whole, rng = path.read_bytes(), np.random.default_rng(0)
    weights = 8 + int.from_bytes(whole[:8], "little")
    for _ in range(20):
        damaged = bytearray(whole)
        damaged[int(rng.integers(weights, len(whole)))] ^= 1 << int(rng.integers(8))
        path.write_bytes(damaged)
        with pytest.raises(CheckpointError, match="checksum"):
            load_agent(path)


@pytest.mark.parametrize("count", [40, pytest.param(1000, marks=LONG)])
def test_no_damage_gives_a_traceback(count, content, env, tmp_path):
    """A value of the description is replaced, removed or added at random, or bytes of the file are."""
    rng, path = np.random.default_rng(0), tmp_path / "agent.safetensors"
    whole = write(tmp_path / "whole.safetensors", *content).read_bytes()
    for _ in range(count):
        if rng.random() < 0.3:
            path.write_bytes(mutate_bytes(rng, whole[:8000]) + whole[8000:])
        else:
            write(path, mutate_value(rng, content[0]), content[1])
        try:
            agent = load_agent(path, env, device="cpu")
            if (agent.n_steps, agent.n_epochs) == (8, 1):  # others take their time
                train(agent, agent.num_timesteps + 4, Nobody(), tmp_path / "tensorboard")
            SavedAgent(path)(np.zeros((64, 64, 3), np.uint8))
        except GenieGymError as error:
            assert str(error).isprintable(), error


class Nobody:
    """Observes a training and does nothing."""

    def on_step(self, steps, frames, rewards, infos):
        return True

    def metrics(self):
        return {}

    def save(self):
        pass
