"""What agents' programs rely on: refused calls change nothing, closed means closed, modes and specs do not matter."""

import json
from contextlib import nullcontext
from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest
import torch

import genie_gym  # noqa: F401  (registers the ids)
from genie_gym.envs import WorldModelEnv, WorldModelEnvConfig, WorldModelVectorEnv
from genie_gym.errors import ClosedError, ConfigError, GenieGymError, InvalidActionError
from genie_gym.world_model.resolve import _load

BLACK = np.zeros((64, 64, 3), np.uint8)


def single(checkpoint: str, **options) -> WorldModelEnv:
    return WorldModelEnv(checkpoint=checkpoint, render_mode="rgb_array", terminate=False, **options)


def several(checkpoint: str, **options) -> WorldModelVectorEnv:
    return WorldModelVectorEnv(3, checkpoint=checkpoint, render_mode="rgb_array", terminate=False, **options)


def tensors(checkpoint: str, **options) -> WorldModelVectorEnv:
    return several(checkpoint, tensors=True, **options)


def action_of(env) -> object:
    return 1 if isinstance(env, WorldModelEnv) else np.array([1, 2, 3])


MAKERS = pytest.mark.parametrize("make", [single, several, tensors], ids=lambda make: make.__name__)


@MAKERS
@pytest.mark.parametrize("upscale", [False, True], ids=["plain", "upscaled"])
@pytest.mark.parametrize("until", range(4), ids=["never", "made", "reset", "stepped"])
def test_what_is_begun_in_inference_mode_goes_on_outside(upscaled_checkpoint, make, upscale, until):
    shown = []
    for inside in (0, until):
        _load.cache_clear()  # so that the weights are loaded in that mode too
        steps = [
            lambda kept: (
                kept.append(make(upscaled_checkpoint, upscale=upscale, max_episode_steps=2))
                if make is not single
                else kept.append(make(upscaled_checkpoint, upscale=upscale))
            ),
            lambda kept: kept.append(kept[0].reset(seed=0)[0]),
            lambda kept: kept.append(kept[0].step(action_of(kept[0]))[0]),
            *[lambda kept: kept.append(kept[0].step(action_of(kept[0]))[0])] * 3,
            lambda kept: kept.append(kept[0].reset()[0]),
        ]
        kept: list = []
        for number, step in enumerate(steps):
            with torch.inference_mode() if number < inside else nullcontext():
                step(kept)
        frames = [frame.numpy() if isinstance(frame, torch.Tensor) else frame for frame in kept[1:]]
        assert not any(frame.is_inference() for frame in kept[1:] if isinstance(frame, torch.Tensor))
        shown.append(np.stack(frames))
    assert np.array_equal(*shown)
    model = kept[0]._engine.model
    assert not any(weight.is_inference() for weight in model.parameters())
    _load.cache_clear()


WRONG = [
    [0, 4, 0],
    [0, -1, 0],
    [0, 1],
    [0.0, 1.0, 2.0],
    [[0], [1], [2]],
    [True, False, True],
    "abc",
    None,
    [0, None, 1],
]


@pytest.mark.parametrize("kind", [np.asarray, torch.tensor, list], ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("wrong", WRONG, ids=repr)
@pytest.mark.parametrize("make", [several, tensors], ids=lambda make: make.__name__)
def test_an_action_is_refused_before_anything_changes(toy_checkpoint, make, kind, wrong):
    refused, plain = make(toy_checkpoint), make(toy_checkpoint)
    for env in (refused, plain):
        env.reset(seed=0)
        env.step(action_of(env))
    try:
        given = kind(wrong)
    except (TypeError, ValueError, RuntimeError):
        given = wrong
    with pytest.raises(InvalidActionError) as error:
        refused.step(given)
    assert "\n" not in str(error.value)
    one, other = (env.step(action_of(env))[0] for env in (refused, plain))
    assert np.array_equal(np.asarray(one), np.asarray(other))


@pytest.mark.parametrize(
    "wrong", [4, -1, 1.0, True, None, "up", [0, 1], 2**70, torch.tensor(9), np.array([[1]])], ids=repr
)
def test_a_single_action_is_refused_before_anything_changes(toy_checkpoint, wrong):
    refused, plain = single(toy_checkpoint), single(toy_checkpoint)
    refused.reset(seed=0)
    plain.reset(seed=0)
    with pytest.raises(InvalidActionError):
        refused.step(wrong)
    assert np.array_equal(refused.step(1)[0], plain.step(1)[0])


@pytest.mark.parametrize(
    "right", [1, np.int8(1), np.uint64(1), np.array(1), np.array([1]), torch.tensor(1), [1]], ids=repr
)
def test_integers_of_any_kind_are_actions(toy_checkpoint, right):
    env, plain = single(toy_checkpoint), single(toy_checkpoint)
    env.reset(seed=0)
    plain.reset(seed=0)
    assert np.array_equal(env.step(right)[0], plain.step(1)[0])


@pytest.mark.parametrize("options", [{"prompt": None}, {"prompt": BLACK[..., 0]}, {"colour": 1}, "prompt", 3], ids=repr)
def test_a_refused_first_reset_leaves_an_env_of_gymnasium_usable(toy_checkpoint, options):
    env, plain = (gym.make("GenieRedux/Toy-v0", checkpoint=toy_checkpoint) for _ in range(2))
    with pytest.raises(GenieGymError):
        env.reset(seed=3, options=options)
    for one in (env, plain):
        one.reset(seed=0)
    for _ in range(3):
        assert np.array_equal(env.step(1)[0], plain.step(1)[0])


@MAKERS
@pytest.mark.parametrize("wrong", [{"options": {"prompt": "x"}, "seed": 9}, {"seed": -1}, {"seed": "x"}], ids=repr)
def test_a_refused_reset_changes_no_random_stream(toy_checkpoint, make, wrong):
    refused, plain = make(toy_checkpoint), make(toy_checkpoint)
    for env in (refused, plain):
        env.reset(seed=0)
    with pytest.raises(GenieGymError):
        refused.reset(**wrong)
    one, other = (env.step(action_of(env))[0] for env in (refused, plain))
    assert np.array_equal(np.asarray(one), np.asarray(other))
    one, other = (env.reset()[0] for env in (refused, plain))
    assert np.array_equal(np.asarray(one), np.asarray(other))


@pytest.mark.parametrize("seed", [True, 1.5, "1", -1, np.array([1.0]), np.array("1"), float("nan")], ids=repr)
@pytest.mark.parametrize("make", [single, several], ids=lambda make: make.__name__)
def test_seeds_that_are_none(toy_checkpoint, make, seed):
    with pytest.raises(ConfigError, match="seed"):
        make(toy_checkpoint).reset(seed=seed)


@pytest.mark.parametrize("make", [single, several], ids=lambda make: make.__name__)
def test_seeds_of_numpy_and_of_any_size(toy_checkpoint, make):
    env = make(toy_checkpoint)
    assert np.array_equal(env.reset(seed=np.int64(5))[0], env.reset(seed=5)[0])
    assert env.reset(seed=2**100)[0].dtype == np.uint8


@MAKERS
def test_closed_means_closed_and_twice_is_fine(toy_checkpoint, make):
    for begun in (False, True):
        env = make(toy_checkpoint)
        if begun:
            env.reset(seed=0)
        env.close()
        env.close()
        for use in (lambda env: env.step(action_of(env)), lambda env: env.reset(seed=0), lambda env: env.render()):
            with pytest.raises(ClosedError, match="closed"):
                use(env)
        assert env.action_space is not None and len(env.get_action_meanings()) == 4


def test_a_closed_env_can_be_caught_as_gymnasiums_error(toy_checkpoint):
    env = gym.make("GenieRedux/Toy-v0", checkpoint=toy_checkpoint)
    env.reset(seed=0)
    env.close()
    env.close()
    with pytest.raises(gym.error.ClosedEnvironmentError):
        env.step(0)


SPELLINGS = [
    lambda folder: {"checkpoint": Path(folder)},
    lambda folder: {"checkpoint": folder, "temperature": np.float32(0.5), "sampling_steps": np.int64(2)},
    lambda folder: {"config": WorldModelEnvConfig(checkpoint=Path(folder), reward="autoexplore", terminate=False)},
    lambda folder: {"config": WorldModelEnvConfig(game="Toy-Numpy", checkpoint=folder)},
]


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_a_spec_goes_through_json(toy_checkpoint, spelling):
    env = gym.make("GenieRedux/Toy-v0", **spelling(toy_checkpoint))
    again = gym.make(gym.envs.registration.EnvSpec.from_json(env.spec.to_json()))
    assert np.array_equal(env.reset(seed=0)[0], again.reset(seed=0)[0])
    (*one, _), (*other, _) = env.step(1), again.step(1)
    assert all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_a_spec_of_many_goes_through_json(toy_checkpoint, spelling):
    mode = gym.vector.AutoresetMode.SAME_STEP
    env = gym.make_vec("GenieRedux/Toy-v0", 2, autoreset_mode=mode, **spelling(toy_checkpoint))
    plain = json.loads(env.spec.to_json())["kwargs"]
    assert plain["num_envs"] == 2 and plain["autoreset_mode"] == "SameStep"
    again = gym.make_vec(gym.envs.registration.EnvSpec.from_json(env.spec.to_json()))
    assert np.array_equal(env.reset(seed=0)[0], again.reset(seed=0)[0])


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"num_envs": 100_000}, "num envs must be 16384 or less"),
        ({"num_envs": True}, "num envs must be a whole number"),
        ({"num_envs": 2.0}, "num envs must be a whole number"),
        ({"num_envs": None}, "num envs must be a whole number"),
        ({"max_episode_steps": "9"}, "max episode steps must be a whole number"),
        ({"max_episode_steps": True}, "max episode steps must be a whole number"),
        ({"tensors": 1}, "tensors must be True or False"),
        ({"render_mode": ["rgb_array"]}, "render_mode must be"),
        ({"autoreset_mode": None}, "autoreset_mode must be"),
        ({"sampling_steps": 17}, "16 or less"),  # tokens of a frame
        ({"sampling_steps": True}, "sampling steps must be a whole number"),
    ],
    ids=repr,
)
def test_options_of_the_vector_env(toy_checkpoint, options, words):
    with pytest.raises(ConfigError, match=words):
        WorldModelVectorEnv(checkpoint=toy_checkpoint, **options)


NUMPY_WRAPPERS = {
    "RecordEpisodeStatistics": {},
    "NormalizeReward": {},
    "NormalizeObservation": {},
    "GrayscaleObservation": {},
    "ResizeObservation": {"shape": (32, 32)},
    "RescaleObservation": {"min_obs": np.float32(0), "max_obs": np.float32(1)},
}


@pytest.mark.parametrize("name", NUMPY_WRAPPERS)
def test_tensors_under_a_wrapper_that_takes_arrays_are_refused(toy_checkpoint, name):
    wrapper = getattr(gym.wrappers.vector, name)
    env = gym.wrappers.vector.DictInfoToList(wrapper(tensors(toy_checkpoint), **NUMPY_WRAPPERS[name]))
    with pytest.raises(ConfigError, match=f"{name}.*without tensors=True"):
        env.reset(seed=0)
    wrapper(several(toy_checkpoint), **NUMPY_WRAPPERS[name]).reset(seed=0)


def test_tensors_under_other_wrappers_are_given(toy_checkpoint):
    env = gym.wrappers.vector.ClipReward(gym.wrappers.vector.DictInfoToList(tensors(toy_checkpoint)), -1, 1)
    assert isinstance(env.reset(seed=0)[0], torch.Tensor)
