"""Dreams as TorchRL's environments: specs that TorchRL itself checks, and the same rollouts as the vector's."""

import numpy as np
import pytest
import torch

pytest.importorskip("torchrl", reason="needs torchrl: pip install genie_gym[torchrl]")

from torchrl.envs import TransformedEnv
from torchrl.envs.transforms import Compose, RewardSum, ToTensorImage
from torchrl.envs.utils import check_env_specs

from genie_gym.envs import TorchRLWorldModelEnv, WorldModelVectorEnv
from genie_gym.errors import ConfigError, InvalidActionError


@pytest.fixture(params=["transformer", "convolutional"])
def checkpoint(request, toy_checkpoint, conv_checkpoint) -> str:
    return toy_checkpoint if request.param == "transformer" else conv_checkpoint


@pytest.mark.parametrize("options", [{}, {"max_episode_steps": 2}, {"reward": "autoexplore"}], ids=str)
def test_torchrl_finds_the_specs_right(checkpoint, options):
    check_env_specs(TorchRLWorldModelEnv(num_envs=3, checkpoint=checkpoint, **options), seed=0)


def test_torchrl_finds_the_specs_of_upscaled_dreams_right(upscaled_checkpoint):
    env = TorchRLWorldModelEnv(num_envs=2, checkpoint=upscaled_checkpoint, upscale=True)
    check_env_specs(env)
    assert env.reset()["pixels"].shape == (2, 256, 256, 3)


def test_a_rollout_is_that_of_the_vector_with_the_same_seed(checkpoint):
    options = {"checkpoint": checkpoint, "max_episode_steps": 5}
    env, vector = TorchRLWorldModelEnv(num_envs=3, **options), WorldModelVectorEnv(3, **options)
    env.set_seed(7)
    rollout = env.rollout(5, break_when_any_done=False)
    frames, _ = vector.reset(seed=7)
    alive = np.ones(3, bool)
    for step in range(5):
        assert np.array_equal(rollout["pixels"][:, step].numpy()[alive], frames[alive])
        frames, rewards, ended, cut, infos = vector.step(rollout["action"][:, step].numpy())
        later = rollout["next"][:, step]
        assert np.array_equal(later["pixels"].numpy()[alive], frames[alive])
        assert np.allclose(later["reward"][alive, 0], rewards[alive])
        assert np.allclose(later["termination_prob"][alive, 0], infos["termination_prob"][alive])
        assert np.array_equal(later["terminated"][alive, 0], ended[alive])
        assert np.array_equal(later["truncated"][alive, 0], cut[alive])
        assert torch.equal(later["done"], later["terminated"] | later["truncated"])
        alive &= ~(ended | cut)
    assert not alive.any()


def test_only_episodes_that_ended_start_anew(toy_checkpoint):
    env = TorchRLWorldModelEnv(num_envs=4, checkpoint=toy_checkpoint, max_episode_steps=6)
    env.set_seed(0)
    rollout = env.rollout(20, break_when_any_done=False)
    done = rollout["next", "done"][..., 0]
    same = (rollout["pixels"][:, 1:] == rollout["next", "pixels"][:, :-1]).flatten(2).all(-1)
    assert same[~done[:, :-1]].all() and done.any() and not done.all(0).all()
    lengths = np.diff(np.flatnonzero(np.append(True, done[0].numpy())))
    assert lengths.max() <= 6


def test_it_works_inside_torchrls_transforms_and_keeps_states(toy_checkpoint):
    transforms = Compose(ToTensorImage(in_keys=["pixels"]), RewardSum())
    env = TransformedEnv(TorchRLWorldModelEnv(num_envs=2, checkpoint=toy_checkpoint), transforms)
    check_env_specs(env)
    assert env.reset()["pixels"].shape == (2, 3, 64, 64)
    vector = TorchRLWorldModelEnv(num_envs=2, checkpoint=toy_checkpoint, terminate=False)
    vector.reset()
    kept = vector.vector_env.get_state()
    action = vector.action_spec.rand()
    first = vector.vector_env.step(action)[0]
    vector.vector_env.set_state(kept)
    assert torch.equal(vector.vector_env.step(action)[0], first)


def test_mistakes_are_named(toy_checkpoint):
    with pytest.raises(ConfigError):
        TorchRLWorldModelEnv(num_envs=0, checkpoint=toy_checkpoint)
    with pytest.raises(ConfigError, match="temperature"):
        TorchRLWorldModelEnv(num_envs=2, checkpoint=toy_checkpoint, temprature=1.0)
    env = TorchRLWorldModelEnv(num_envs=2, checkpoint=toy_checkpoint)
    state = env.reset()
    state["action"] = torch.tensor([0, 9])
    with pytest.raises(InvalidActionError):
        env.step(state)
