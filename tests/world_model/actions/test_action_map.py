"""A button map is kept in the checkpoint, and an environment takes the real game's actions by it."""

import json
import math
from dataclasses import replace

import gymnasium as gym
import numpy as np
import pytest
import torch

import genie_gym  # noqa: F401  (registers the ids)
from genie_gym import games
from genie_gym.envs import WorldModelEnv, WorldModelVectorEnv
from genie_gym.errors import CheckpointError, ConfigError, InvalidActionError
from genie_gym.world_model import ActionMap, Checkpoint
from genie_gym.world_model.actions.action_map import ActionAgreement, ActionFit, ActionMapFit
from tests.conftest import untrained_latent

CODES = [3, 0, 4, 1]
AGREEMENT = ActionAgreement(0.4, math.nan, 0.1, 0.2, 0.6, 5, 100)
FIT = ActionMapFit(AGREEMENT, 0.5, 0.25, (ActionFit("NOOP", 3, 40, None), ActionFit("RIGHT", 0, 60, 0.75)))


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> str:
    place = tmp_path_factory.mktemp("buttons")
    buttons = ActionMap(games.find("Toy").to_dict()["actions"], CODES, FIT)
    replace(untrained_latent(), action_map=buttons).save(place)
    return str(place)


def test_it_is_kept(folder):
    loaded = Checkpoint.load(folder)
    assert loaded.action_map.actions == games.find("Toy").to_dict()["actions"] and loaded.action_map.codes == CODES
    assert str(loaded.action_map.fit) == str(FIT)  # NaN is not equal to itself
    assert len(loaded.game["actions"]) == 5


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda buttons: buttons["codes"].pop(), "3 codes for 4"),
        (lambda buttons: buttons["codes"].__setitem__(0, 5), "5, 0, 4, 1"),
        (lambda buttons: buttons.pop("codes"), "codes"),
    ],
)
def test_a_map_that_does_not_fit(folder, tmp_path, change, words):
    Checkpoint.load(folder).save(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    change(config["action_map"])
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(CheckpointError, match=rf"incomplete or damaged .*{words}"):
        Checkpoint.load(tmp_path)


def test_buttons_are_codes(folder):
    real, latent = WorldModelEnv(checkpoint=folder, real_actions=True), WorldModelEnv(checkpoint=folder)
    assert real.get_action_meanings() == games.find("Toy").meanings and real.action_space.n == 4
    assert real.get_keys_to_action() == games.find("Toy").keys_to_action()
    assert latent.action_space.n == 5
    np.testing.assert_array_equal(real.reset(seed=3)[0], latent.reset(seed=3)[0])
    for button, code in enumerate(CODES):
        np.testing.assert_array_equal(real.step(button)[0], latent.step(code)[0])
    with pytest.raises(InvalidActionError, match="0 NOOP, 1 RIGHT"):
        real.step(4)


def test_a_prompts_actions_are_buttons_too(folder):
    frames = np.random.default_rng(0).integers(0, 256, (3, 64, 64, 3), np.uint8)
    memories = []
    for buttons, prev_actions in ((True, [1, 2]), (False, [0, 4]), (False, [1, 2])):
        env = WorldModelEnv(checkpoint=folder, real_actions=buttons)
        env.reset(seed=0, options={"prompt": frames, "prompt_actions": prev_actions})
        memories.append(env._engine._state.past.blocks[0].memory)
    assert torch.equal(memories[0], memories[1]) and not torch.equal(memories[0], memories[2])


def test_many_dreams_at_once(folder):
    real, latent = (
        WorldModelVectorEnv(4, checkpoint=folder, real_actions=True),
        WorldModelVectorEnv(4, checkpoint=folder),
    )
    assert real.single_action_space.n == 4
    real.reset(seed=0), latent.reset(seed=0)
    np.testing.assert_array_equal(real.step(np.arange(4))[0], latent.step(np.array(CODES))[0])


def test_without_a_map(tmp_path, toy_checkpoint):
    untrained_latent().save(tmp_path)
    with pytest.raises(ConfigError, match=r"has no action map; .* genie-gym map-actions Toy-Numpy --data FOLDER"):
        gym.make("GenieRedux/Toy-v0", checkpoint=str(tmp_path), real_actions=True)
    env = gym.make("GenieRedux/Toy-v0", checkpoint=toy_checkpoint, real_actions=True)  # its actions are the real ones
    assert env.unwrapped.get_action_meanings() == games.find("Toy").meanings
