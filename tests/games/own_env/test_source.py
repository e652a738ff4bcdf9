"""An environment is found by its name, but what a file says alone never imports code."""

import json
import pickle
import sys

import gymnasium as gym
import numpy as np
import pytest

from genie_gym import games
from genie_gym.errors import ConfigError, GameError
from genie_gym.games import GameSpec
from genie_gym.games.own_env.source import EnvSource
from tests.catch import Catch, make


@pytest.fixture
def trap(tmp_path, monkeypatch):
    """A module in the current folder that leaves a file behind when it is imported."""
    (tmp_path / "trap.py").write_text(
        "from pathlib import Path\nPath('sprung').touch()\nfrom tests.catch import make\n"
        "import gymnasium\ngymnasium.register('Trap-v0', make)\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", sys.path.copy())
    yield tmp_path / "sprung"
    sys.modules.pop("trap", None)
    gym.registry.pop("Trap-v0", None)


def stored(spec: GameSpec) -> GameSpec:
    """The specification as somebody finds it in a file."""
    return GameSpec.from_dict(json.loads(json.dumps(spec.to_dict())))


@pytest.mark.parametrize("name", ["trap:make", "trap:Trap-v0", "trap:missing.make"])
def test_a_file_imports_nothing(trap, name):
    plain = {**games.find("Toy").to_dict(), "env": EnvSource(name, named=True).to_dict()}
    for env in (plain["env"], {**plain["env"], "named": True}):  # a file cannot say that the user named it
        with pytest.raises(GameError, match=f"--env {name}"):
            games.make(GameSpec.from_dict({**plain, "env": env}))
    assert not trap.exists() and "trap" not in sys.modules


@pytest.mark.parametrize("name", ["trap:make", "trap:Trap-v0"])
def test_what_the_user_names_is_imported_from_here(trap, name):
    spec = games.own("Trap", name, env_kwargs={"size": 48})
    assert trap.exists()
    assert (spec.name, spec.meanings, spec.fps) == ("Trap-Own", ["LEFT", "STAY", "RIGHT"], 15)
    sent = pickle.loads(pickle.dumps(spec))  # to a worker process of the same user
    assert games.make(sent).reset(seed=0)[0].shape == (64, 64, 3)
    with pytest.raises(GameError, match=r"--env trap:"):
        games.make(stored(spec))


@pytest.mark.parametrize(
    "kwargs",
    [
        {"size": "evil:make"},
        {"size": {"deep": ["evil/file.xml"]}},
        {"size": "~/.bashrc"},
        {"size": "a.b"},
        {"size": "antigravity"},
        {"a b": 1},
        {"a:b": 1},
        {"size": "x\n"},
    ],
)
def test_arguments_of_a_file_name_neither_code_nor_files(kwargs):
    plain = {**games.find("Toy").to_dict(), "env": {"env": "CartPole-v1", "kwargs": kwargs}}
    with pytest.raises(GameError, match="--env CartPole-v1 --env-kwargs"):
        games.make(GameSpec.from_dict(plain))


def test_an_id_of_an_installed_package_needs_no_naming():
    pytest.importorskip("pygame", reason="needs pygame: pip install genie_gym[play]")
    spec = games.own("Cart", "CartPole-v1", env_kwargs={"sutton_barto_reward": True})
    env = games.make(stored(spec))
    assert stored(spec) == spec and spec.env.picture == "render"
    assert env.reset(seed=0)[0].any() and env.step(1)[1] == 0  # as with this argument only
    assert env.render().shape == (400, 600, 3)
    env.close()


def test_the_same_seed_gives_the_same_pictures_as_the_environment_itself():
    spec, bare = games.own("Catch", Catch, env_kwargs={"size": 64}), Catch(64)
    game = games.make(spec)
    frames, pictures = [game.reset(seed=3)[0]], [bare.reset(seed=3)[0]]
    for action in (0, 2, 2, 1):
        frames.append(game.step(action)[0])
        pictures.append(bare.step(action + 5)[0])
    np.testing.assert_array_equal(frames, np.stack(pictures)[:, 0, :, :, None].repeat(3, -1))


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("nowhere.at_all:make", "no module 'nowhere'"),
        ("nowhere.py:make", "without its .py: nowhere:"),
        ("tests.catch:missing", "has no 'missing'"),
        ("tests.catch:SIDES", "should be a function"),
        ("tests.catch:Catch.picture", "did not start"),
        ("json:loads", "did not start"),
        ("builtins:dict", "should return an environment"),
        ("Nonesuch-v0", "No environment is registered"),
        ("Nonesuch/Pong-v5", "No environment is registered"),
        ("CartPole-v99", "CartPole"),
        ("what is this", "did not start"),
        ("", "did not start"),
        (":", "did not start"),
    ],
)
def test_names_that_lead_nowhere(name, message):
    with pytest.raises(GameError, match=message) as error:
        games.own("Mine", name)
    assert "\n" not in str(error.value)


def test_arguments_that_do_not_fit():
    with pytest.raises(GameError, match=r"did not start: TypeError.*colour"):
        games.own("Mine", make, env_kwargs={"colour": 1})
    with pytest.raises(ConfigError, match="JSON can hold"):
        games.own("Mine", make, env_kwargs={"size": object()})
    for function in (lambda: Catch(), Catch().picture):
        with pytest.raises(ConfigError, match="put a function"):
            games.own("Mine", function)


@pytest.mark.parametrize(
    "env",
    [
        *(7, {}, {"env": 3}, {"env": ""}, {"env": "x" * 999}, {"env": "a", "code": "b"}),
        *({"env": "a", "kwargs": []}, {"env": "a", "kwargs": {"a": "b" * 99_999}}),
        *({"env": "a", "actions": []}, {"env": "a", "actions": [0] * 5000}),
    ],
)
def test_descriptions_that_are_none(env):
    with pytest.raises(GameError, match="Not the description of a game"):
        GameSpec.from_dict({**games.find("Toy").to_dict(), "env": env})
