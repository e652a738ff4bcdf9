"""Games of ale-py are listed with their minimal actions, start without ROMs, and take sticky actions."""

import sys

import gymnasium as gym
import numpy as np
import pytest

from genie_gym import games
from genie_gym.collection.collect import collect
from genie_gym.data import EpisodeDataset
from genie_gym.errors import ConfigError, GameError, MissingExtraError
from genie_gym.utils import paths
from genie_gym.utils.options import EnvOptions
from genie_gym.world_model.real_game import real_game
from genie_gym.world_model.resolve import shipped_checkpoint

ATARI_100K = (
    *("Alien", "Amidar", "Assault", "Asterix", "BankHeist", "BattleZone", "Boxing", "Breakout", "ChopperCommand"),
    *("CrazyClimber", "DemonAttack", "Freeway", "Frostbite", "Gopher", "Hero", "Jamesbond", "Kangaroo", "Krull"),
    *("KungFuMaster", "MsPacman", "Pong", "PrivateEye", "Qbert", "RoadRunner", "Seaquest", "UpNDown"),
)


@pytest.fixture
def ale():
    ale_py = pytest.importorskip("ale_py", reason="needs ale-py: pip install genie_gym[atari]")
    gym.register_envs(ale_py)


def test_titles_alone_mean_the_game_that_ships_or_else_the_consoles():
    shipped = [config.parent.name for config in shipped_checkpoint("").glob("*/config.json")]
    assert "Breakout-Ale" in shipped and "Breakout-Atari2600" in games.names()
    for name in shipped:
        title = games.find(name).title
        assert games.find(title).name == gym.spec(f"GenieRedux/{title}-v0").kwargs["game"] == name
    assert games.find("Kangaroo").name == "Kangaroo-Atari2600"
    assert games.find("kangaroo-ale").name == "Kangaroo-Ale"
    assert games.find("Pacman").name == "Pacman-Ale"  # on no console of stable-retro
    assert len(ATARI_100K) == 26 and {f"{title}-Ale" for title in ATARI_100K} <= set(games.names())


def test_keys_are_those_of_a_joystick():
    keys = {action.meaning: action.keys for action in games.find("Alien-Ale").actions}
    assert keys["NOOP"] == () and keys["UPRIGHTFIRE"] == ("up", "right", "z")


@pytest.mark.slow
@pytest.mark.retro
def test_the_list_is_ale_pys(ale):
    """All its games, with the actions that each needs."""
    ids = {name for name in gym.registry if name.startswith("ALE/") and name.endswith("-v5")}
    ours = {games.find(name).title for name in games.names() if name.endswith("-Ale")}
    assert {f"ALE/{title}-v5" for title in ours} == ids
    for title in ours:
        env = gym.make(f"ALE/{title}-v5", full_action_space=False)
        assert games.find(f"{title}-Ale").meanings == env.unwrapped.get_action_meanings()
        env.close()


@pytest.mark.retro
def test_two_games_run_side_by_side_and_repeat(ale):
    envs = [games.make("Breakout-Ale"), games.make("Pong-Ale")]
    first, again = ([[env.reset(seed=4)[0], *(env.step(i % 4)[0] for i in range(8))] for env in envs] for _ in range(2))
    np.testing.assert_array_equal(first, again)
    assert envs[0].render().shape == (210, 160, 3) and envs[0].game.fps == 15
    bare = gym.make("ALE/Breakout-v5", frameskip=1, repeat_action_probability=0.0, full_action_space=False)
    bare.reset(seed=4)
    envs[0].reset(seed=4, options={"noops": 0})
    for action in (1, 2, 3, 0, 2):
        *_, info = envs[0].step(action)
        for _ in range(4):
            image, *_, expected = bare.step(action)
    assert info == expected
    np.testing.assert_array_equal(envs[0].render(), image)


@pytest.mark.retro
def test_sticky_actions_are_an_option(ale):
    spec = real_game("Pong-Ale", EnvOptions(env_kwargs='{"repeat_action_probability": 0.25}'))
    assert spec.name == "Pong-Ale" and spec.env.kwargs["frameskip"] == 1
    assert games.make(spec).source.unwrapped.ale.getFloat("repeat_action_probability") == 0.25
    assert games.make("Pong-Ale").source.unwrapped.ale.getFloat("repeat_action_probability") == 0
    with pytest.raises(GameError, match="colour"):
        games.make(real_game("Pong-Ale", EnvOptions(env_kwargs='{"colour": 1}')))
    with pytest.raises(ConfigError, match="env_kwargs"):
        real_game("Airstriker", EnvOptions(env_kwargs="{}"))


@pytest.mark.retro
def test_a_recording_of_it_is_collected(ale):
    sticky = {"env_kwargs": {"repeat_action_probability": 0.25}}
    collect("Pong-Ale", episodes=1, max_steps=12, workers=1, progress=False, **sticky)
    dataset = EpisodeDataset(paths.data_dir("Pong-Ale"))
    assert dataset.header["actions"] == ["NOOP", "FIRE", "RIGHT", "LEFT", "RIGHTFIRE", "LEFTFIRE"]
    recorded = games.GameSpec.from_dict(dataset.header["game"])
    assert recorded == real_game("Pong-Ale", EnvOptions(env_kwargs='{"repeat_action_probability": 0.25}'))
    assert games.make(recorded).reset(seed=0)[0].any()  # the id of an installed package


def test_without_ale_py_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "ale_py", None)
    for name in [name for name in gym.registry if name.startswith("ALE/Pong")]:
        monkeypatch.delitem(gym.registry, name)
    with pytest.raises(MissingExtraError, match=r"genie_gym\[atari\]"):
        games.make("Pong-Ale")


@pytest.mark.slow
@pytest.mark.retro
@pytest.mark.parametrize("title", ATARI_100K)
def test_the_games_of_atari_100k_start(ale, title):
    """Pictures of 64x64 that are not one colour, and that change while the game is played."""
    env = games.make(f"{title}-Ale")
    frame, _ = env.reset(seed=0)
    assert frame.shape == (64, 64, 3) and frame.dtype == np.uint8 and frame.std() > 1
    frames = {frame.tobytes()}
    for step in range(200):  # Crazy Climber begins after some seconds
        frame, _, terminated, _, _ = env.step(step % env.action_space.n)
        frames.add(frame.tobytes())
        if terminated or len(frames) > 5:
            break
    env.close()
    assert len(frames) > 5
