"""Console games are repeatable, agree with stable-retro, and report what is missing."""

import subprocess
import sys
from dataclasses import replace

import gymnasium as gym
import numpy as np
import pytest

from genie_gym import games
from genie_gym.errors import GameError, MissingExtraError
from genie_gym.games import roms
from genie_gym.utils import images

retro = pytest.importorskip("stable_retro", reason="needs stable-retro: pip install genie_gym[retro]")
pytestmark = pytest.mark.retro

ACTIONS = np.random.default_rng(0).integers(4, size=60)


def episode(env, **reset):
    """Return observations, rewards and the info of the reset of one episode with ACTIONS."""
    observation, info = env.reset(**reset)
    observations, rewards = [observation], []
    for action in ACTIONS:
        observation, reward, terminated, *_ = env.step(action)
        observations.append(observation)
        rewards.append(reward)
        if terminated:
            break
    return np.stack(observations), rewards, info


def test_the_same_seed_is_the_same_episode(make):
    env = make("Airstriker")
    first, rewards, info = episode(env, seed=3)
    again, rewards_again, _ = episode(env, seed=3)
    np.testing.assert_array_equal(first, again)
    assert rewards == rewards_again and info["state"] == "Level1"
    starts = [episode(env, seed=seed) for seed in range(4, 8)]
    assert len({start[2]["noops"] for start in starts}) > 1
    assert not all(np.array_equal(start[0][0], starts[0][0][0]) for start in starts)


def test_steps_are_four_frames_of_the_emulator():
    env = games.make("Airstriker")
    ours, rewards, _ = episode(env, seed=0, options={"noops": 2})
    buttons = [action.buttons for action in env.game.actions]
    env.close()

    raw = retro.make("Airstriker-Genesis-v0", use_restricted_actions=retro.Actions.ALL, render_mode="rgb_array")
    raw.reset()

    def advance(held):
        mask, total = np.array([button in held for button in raw.buttons], np.int8), 0
        for _ in range(4):
            frame, reward, *_ = raw.step(mask)
            total += reward
        return images.letterbox(frame), total

    advance(()), advance(())
    theirs = [advance(buttons[action]) for action in ACTIONS]
    raw.close()
    np.testing.assert_array_equal(ours[1:], np.stack([frame for frame, _ in theirs]))
    assert rewards == [reward for _, reward in theirs] and sum(rewards) > 0


def test_every_action_of_airstriker_does_something(make):
    env = make("Airstriker", random_start=False)
    frames = []
    for action in range(env.action_space.n):
        env.reset()
        for _ in range(3):
            observation = env.step(action)[0]
        frames.append(observation)
    assert env.get_action_meanings() == ["NOOP", "RIGHT", "LEFT", "PRIMARY"]
    assert len({frame.tobytes() for frame in frames}) == len(frames)


def test_the_rendered_frame_has_the_consoles_resolution(make):
    env = make("Airstriker")
    env.reset(seed=0)
    assert env.render().shape == (224, 320, 3) and env.render().dtype == np.uint8


def test_a_second_emulator_is_refused_and_the_first_still_works(make):
    env = make("Airstriker")
    env.reset(seed=0)
    with pytest.raises(GameError, match="One process holds one emulator"):
        games.make("Airstriker")
    env.step(1)
    env.close()
    make("Airstriker").reset(seed=0)


def test_an_unknown_savestate_lists_the_known(make):
    with pytest.raises(GameError, match="no savestate 'Level9'; it has Level1"):
        make("Airstriker").reset(options={"state": "Level9"})


def test_savestates_are_drawn_by_the_seed(make, ale_rom, home):
    roms.import_roms([ale_rom.with_name("pong.bin")])
    env = make("Pong-Atari2600")
    assert env.source.states == ["Start"]  # and not the one for two players
    assert env.reset(options={"state": "Start.2P"})[1]["state"] == "Start.2P"
    env.close()
    env = make(replace(games.find("Pong-Atari2600"), savestates=("Start", "Start.2P")))
    drawn = [env.reset(seed=seed)[1]["state"] for seed in range(12)]
    assert set(drawn) == {"Start", "Start.2P"}
    assert drawn == [env.reset(seed=seed)[1]["state"] for seed in range(12)]


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("KidIcarus", r"roms import PATH`\."),
        ("SuperMarioBros3", r"roms import PATH` \(or on Python 3\.13 .* genie-gym roms import --nes`"),
        ("SuperMarioBros", r"roms import PATH` \(or `.* genie-gym roms import --nes`"),
        ("Kangaroo", r"roms import PATH` \(or `genie-gym roms import --ale`"),
    ],
)
def test_a_missing_rom_says_how_to_import_it(name, says):
    with pytest.raises(GameError, match=f"No ROM of {name}-.*{says}"):
        games.make(name)


def test_a_missing_emulator_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "stable_retro", None)
    with pytest.raises(MissingExtraError, match=r"pip install genie_gym\[retro\]"):
        games.make("Airstriker")


def test_spawned_workers_find_imported_roms(ale_rom):
    roms.import_roms([ale_rom])
    envs = gym.vector.AsyncVectorEnv([_kangaroo, _kangaroo], context="spawn")
    observations, _ = envs.reset(seed=0)
    assert observations.shape == (2, 64, 64, 3) and observations.max() > 0
    envs.close()


def _kangaroo():
    return games.make("Kangaroo")


def test_importing_a_rom_leaves_stable_retro_as_it_was(ale_rom):
    package = roms.import_retro().data.path()
    code = f"import pathlib; print(sorted(map(str, pathlib.Path({package!r}).rglob('rom.a26'))))"
    before = subprocess.check_output([sys.executable, "-c", code])
    roms.import_roms([ale_rom])
    assert subprocess.check_output([sys.executable, "-c", code]) == before
