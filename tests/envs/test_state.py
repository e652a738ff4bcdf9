"""State of a dream: kept and restored exactly, refused if it is anybody else's, and fanned out."""

import copy
import json

import gymnasium as gym
import numpy as np
import pytest
from safetensors.torch import load, save

from genie_gym.envs import WorldModelEnv, WorldModelVectorEnv
from genie_gym.errors import ClosedError, ConfigError, GenieGymError, InvalidActionError, StateError
from genie_gym.world_model import Checkpoint
from genie_gym.world_model.checksum import checksum
from tests.conftest import untrained

ACTIONS = np.random.default_rng(0).integers(0, 4, (12, 3))
PLANS = np.random.default_rng(1).integers(0, 4, (5, 6))


@pytest.fixture(params=["transformer", "convolutional"])
def checkpoint(request, toy_checkpoint, conv_checkpoint) -> str:
    return toy_checkpoint if request.param == "transformer" else conv_checkpoint


def single(checkpoint: str, **options) -> WorldModelEnv:
    return WorldModelEnv(checkpoint=checkpoint, temperature=1.0, device="cpu", **options)


def vector(checkpoint: str, count: int = 3, **options) -> WorldModelVectorEnv:
    return WorldModelVectorEnv(count, checkpoint=checkpoint, temperature=1.0, device="cpu", **options)


def play(env: WorldModelEnv, actions: np.ndarray) -> list[tuple]:
    """What single steps give, with a reset after each end, so that random streams count too."""
    seen = []
    for action in actions:
        frame, reward, ended, _, info = env.step(action)
        seen.append((frame.tobytes(), reward, ended, info["termination_prob"]))
        if ended:
            seen.append((env.reset()[0].tobytes(),))
    return [*seen, (env.reset()[0].tobytes(),)]


@pytest.mark.parametrize("reward", ["game", "autoexplore"])
def test_a_single_dream_goes_on_exactly(checkpoint, reward, tmp_path):
    env = single(checkpoint, reward=reward)
    env.reset(seed=3)
    for action in ACTIONS[:5, 0]:
        frame = env.step(action)[0]
    (tmp_path / "state").write_bytes(env.get_state())
    expected = play(env, ACTIONS[:, 1])
    other = single(checkpoint, reward=reward)  # which never was reset
    for again in (env, other):
        assert np.array_equal(again.set_state((tmp_path / "state").read_bytes()), frame)
        assert again.np_random_seed == 3
        assert play(again, ACTIONS[:, 1]) == expected


@pytest.mark.parametrize("mode", ["NextStep", "SameStep", "Disabled"])
def test_a_vector_goes_on_exactly_also_through_ends(checkpoint, mode):
    def go_on(env: WorldModelVectorEnv, rows: np.ndarray = ACTIONS) -> list[tuple]:
        seen = []
        for actions in rows:
            frames, rewards, ended, cut, _ = env.step(actions)
            seen.append((frames.tobytes(), rewards.tobytes(), ended.tolist(), cut.tolist()))
            if mode == "Disabled" and (ended | cut).any():
                seen.append((env.reset(options={"reset_mask": ended | cut})[0].tobytes(),))
        return seen

    env = vector(checkpoint, autoreset_mode=mode, max_episode_steps=7)
    env.reset(seed=4)
    go_on(env, ACTIONS[:3])
    kept = env.get_state()
    expected = go_on(env)
    other = vector(checkpoint, autoreset_mode=mode, max_episode_steps=7)
    other.reset(seed=9)
    frames = other.set_state(kept)
    assert np.array_equal(frames, env.set_state(kept)) and other.np_random_seed == (4, 5, 6)
    assert go_on(other) == expected == go_on(env)


def test_taking_a_state_changes_nothing_and_later_steps_do_not_change_it(checkpoint):
    env, untouched = single(checkpoint), single(checkpoint)
    env.reset(seed=0)
    untouched.reset(seed=0)
    kept = env.get_state()
    before = copy.copy(kept)
    assert play(env, ACTIONS[:, 0]) == play(untouched, ACTIONS[:, 0])
    assert kept == before


def test_upscaled_dreams_have_a_state_too(upscaled_checkpoint):
    env = single(upscaled_checkpoint, upscale=True)
    frame = env.reset(seed=0)[0]
    assert np.array_equal(single(upscaled_checkpoint, upscale=True).set_state(env.get_state()), frame)
    with pytest.raises(StateError, match="frames"):
        single(upscaled_checkpoint).set_state(env.get_state())


def test_precision_is_part_of_a_state(toy_checkpoint):
    env = single(toy_checkpoint, precision="bfloat16")
    env.reset(seed=0)
    env.step(0)
    again = single(toy_checkpoint, precision="bfloat16")
    again.set_state(env.get_state())
    assert np.array_equal(env.step(1)[0], again.step(1)[0])
    with pytest.raises(StateError, match="precision"):
        single(toy_checkpoint, precision="float32").set_state(env.get_state())


def test_there_is_no_state_before_a_reset_or_after_the_end(toy_checkpoint):
    for env in (single(toy_checkpoint), vector(toy_checkpoint)):
        for call in (env.get_state, lambda env=env: env.branch(2)):
            with pytest.raises(gym.error.ResetNeeded):
                call()
        env.reset(seed=0)
        kept = env.get_state()
        env.close()
        for call in (env.get_state, lambda env=env: env.branch(2), lambda env=env, kept=kept: env.set_state(kept)):
            with pytest.raises(ClosedError):
                call()


def refused(env, content) -> str:
    """The message with which an environment refuses a state, and goes on as if nothing had been."""
    untouched = copy.deepcopy(env)
    with pytest.raises(StateError) as caught:
        env.set_state(content)
    assert np.array_equal(env.step(1)[0], untouched.step(1)[0])
    assert env.np_random.random() == untouched.np_random.random()
    return str(caught.value)


def test_states_of_others_are_refused(toy_checkpoint, conv_checkpoint, tmp_path):
    env = single(toy_checkpoint)
    env.reset(seed=0)
    untrained(seed=5).save(tmp_path)
    for stranger in (str(tmp_path), conv_checkpoint):
        other = single(stranger)
        other.reset(seed=0)
        assert "another model" in refused(env, other.get_state())
    several = vector(toy_checkpoint)
    several.reset(seed=0)
    assert "3 dream" in refused(env, several.get_state())
    for nothing in (None, "text", 7, [1, 2]):
        assert "bytes" in refused(env, nothing)


def test_damaged_states_are_refused(toy_checkpoint):
    env = single(toy_checkpoint)
    env.reset(seed=0)
    kept = env.get_state()
    rng = np.random.default_rng(0)
    for length in [0, 1, 7, 8, 9, *rng.integers(10, len(kept), 30).tolist(), len(kept) - 1]:
        refused(env, kept[:length])
    refused(env, kept + b"0")
    for place in rng.integers(0, len(kept), 60):
        flipped = bytearray(kept)
        flipped[place] ^= 1 << int(rng.integers(8))
        with pytest.raises(StateError):
            env.set_state(flipped)
    env.set_state(memoryview(kept))


def parts_of(content: bytes) -> tuple[dict, dict]:
    """The tensors of a state and the texts beside them, read as any program would."""
    length = int.from_bytes(content[:8], "little")
    return load(content), json.loads(content[8 : 8 + length])["__metadata__"]


def forged(tensors: dict, texts: dict, **about) -> bytes:
    """A state with a checksum that is right."""
    text = json.dumps(json.loads(texts["about"]) | about)
    return save(tensors, texts | {"about": text, "sha256": checksum(tensors, text)})


@pytest.mark.parametrize("name", ["rollouts.tokens", "rollouts.actions", "rollouts.past.tokens", "rollouts.past.count"])
@pytest.mark.parametrize("value", [-7, 16, 2**62])
def test_forged_tables_are_refused_before_the_model_looks_beyond_them(conv_checkpoint, name, value):
    env = single(conv_checkpoint)
    env.reset(seed=0)
    tensors, texts = parts_of(env.get_state())
    env.set_state(forged(tensors, texts))
    if name.endswith("count") and value == 16:
        return  # as good a number as any
    tensors[name].fill_(value)
    refused(env, forged(tensors, texts))


def test_forged_numbers_shapes_and_texts_are_refused(toy_checkpoint):
    env = single(toy_checkpoint)
    env.reset(seed=0)
    tensors, texts = parts_of(env.get_state())
    memory = tensors["rollouts.past.blocks.0.memory"]
    refused(env, forged(tensors | {"rollouts.past.blocks.0.memory": memory * float("nan")}, texts))
    refused(env, forged(tensors | {"rollouts.past.blocks.0.memory": memory[:1].clone()}, texts))
    refused(env, forged(tensors | {"rollouts.past.blocks.0.memory": memory.half()}, texts))
    refused(env, forged(tensors | {"more": memory.clone()}, texts))
    refused(env, forged({name: value for name, value in tensors.items() if name != "frames"}, texts))
    assert "version" in refused(env, save(tensors, texts | {"version": "2"}))
    refused(env, save(tensors, texts | {"format": "another"}))
    refused(env, save(tensors, {name: text for name, text in texts.items() if name != "about"}))
    refused(env, save(tensors))
    (stream,) = json.loads(texts["about"])["streams"]
    for change in ({"state": -1}, {"state": 2**200}, {"inc": "1"}, {"has_uint32": 2}, {"uinteger": None}, {"more": 1}):
        refused(env, forged(tensors, texts, streams=[stream | change]))
    refused(env, forged(tensors, texts, seeds=[]))
    refused(env, forged(tensors, texts, streams=[stream] * 1000))
    refused(env, forged(tensors, texts, model="0" * 64))
    refused(env, save(tensors, texts | {"about": "[" * 100_000}))
    refused(env, save(tensors, texts | {"about": '{"seeds": [' + "9" * 10_000 + "]}"}))


def test_another_kind_of_random_stream_is_named(toy_checkpoint):
    env = single(toy_checkpoint)
    env.np_random = np.random.Generator(np.random.MT19937(0))
    env.reset()
    with pytest.raises(GenieGymError, match="MT19937"):
        env.get_state()


def test_branches_are_copies_of_the_environment(checkpoint):
    env = single(checkpoint, terminate=False)
    env.reset(seed=3)
    for action in ACTIONS[:5, 0]:
        env.step(action)
    branches = env.branch(len(PLANS))
    copies = [copy.deepcopy(env) for _ in PLANS]
    assert branches.num_envs == len(PLANS) and branches.np_random_seed == (3,) * len(PLANS)
    for step in range(PLANS.shape[1]):
        frames, rewards, *_ = branches.step(PLANS[:, step])
        theirs = [one.step(action) for one, action in zip(copies, PLANS[:, step], strict=True)]
        # A batch may round otherwise than single steps do, which shows as a level of colour at most.
        assert np.abs(frames.astype(int) - np.stack([one[0] for one in theirs])).max() <= 1
        # An untrained reward is what remains of values up to 22,000 that cancel out, each rounded.
        np.testing.assert_allclose(rewards, [one[1] for one in theirs], rtol=1e-4, atol=1e-6 * 22_026)
    for one, theirs in zip(branches.reset()[0], copies, strict=True):  # later episodes too
        assert np.abs(one.astype(int) - theirs.reset()[0]).max() <= 1


def test_branching_changes_nothing_and_branches_are_independent(checkpoint):
    env, untouched = single(checkpoint), single(checkpoint)
    for one in (env, untouched):
        one.reset(seed=1)
        one.step(2)
    branches = env.branch(3)
    for actions in ACTIONS:
        branches.step(actions)
    assert play(env, ACTIONS[:, 0]) == play(untouched, ACTIONS[:, 0])


def test_branches_of_a_vector_lie_beside_each_other(checkpoint):
    env = vector(checkpoint, max_episode_steps=4, autoreset_mode="SameStep")
    env.reset(seed=0)
    env.step(ACTIONS[0])
    branches, alone = env.branch(2), copy.deepcopy(env)
    assert branches.num_envs == 6 and branches.autoreset_mode == env.autoreset_mode
    for actions in ACTIONS[1:8]:
        theirs, ours = alone.step(actions), branches.step(actions.repeat(2))
        for expected, got in zip(theirs[:4], ours[:4], strict=True):
            np.testing.assert_allclose(got.astype(float), expected.repeat(2, 0).astype(float), rtol=1e-4, atol=1)
        assert np.array_equal(ours[3], theirs[3].repeat(2))  # the steps before the branching count


def test_branches_with_a_seed_differ_by_chance(toy_checkpoint):
    env = single(toy_checkpoint, terminate=False)
    env.reset(seed=0)
    rewards = []
    for seed in (None, 7, 7, 8):
        branches = env.branch(4, seed=seed)
        rewards.append(np.stack([branches.step(np.zeros(4, int))[1] for _ in range(4)], 1))
    assert (rewards[0] == rewards[0][0]).all()  # the same numbers, the same actions, the same dream
    assert len(np.unique(rewards[1], axis=0)) > 1 and np.array_equal(rewards[1], rewards[2])
    assert np.allclose(rewards[3][:3], rewards[1][1:])  # branch i of seed 8 is branch i + 1 of seed 7


def test_branches_take_the_options_of_a_vector(toy_checkpoint):
    env = single(toy_checkpoint, terminate=False)
    env.reset(seed=0)
    branches = env.branch(2, tensors=True, max_episode_steps=1, render_mode="rgb_array", autoreset_mode="SameStep")
    _, _, ended, cut, infos = branches.step(np.array([0, 1]))
    assert cut.tolist() == [True, True] and not ended.any() and infos["final_obs"][0].shape == (64, 64, 3)
    assert branches.render()[0].shape == (256, 256, 3)
    for wrong in ({"tensor": True}, {"max_episode_steps": 0}, {"render_mode": "human"}, {"checkpoint": "x"}):
        with pytest.raises(ConfigError):
            env.branch(2, **wrong)


@pytest.mark.parametrize("wrong", [{"n": 0}, {"n": -1}, {"n": 2.5}, {"n": "2"}, {"n": 10**9}, {"n": 2, "seed": -1}])
def test_impossible_branches_are_refused(toy_checkpoint, wrong):
    for env in (single(toy_checkpoint), vector(toy_checkpoint)):
        env.reset(seed=0)
        with pytest.raises(ConfigError):
            env.branch(**wrong)


def test_a_state_is_of_the_weights_not_of_where_they_lie(toy_checkpoint, tmp_path):
    Checkpoint.load(toy_checkpoint).save(tmp_path / "moved")
    env, moved = single(toy_checkpoint), single(str(tmp_path / "moved"))
    env.reset(seed=0)
    moved.set_state(env.get_state())
    assert np.array_equal(env.step(1)[0], moved.step(1)[0])


@pytest.mark.parametrize(
    "options", [{}, {"terminate": False}, {"reward": "autoexplore"}, {"sampling_steps": 3}], ids=str
)
def test_looking_ahead_gives_what_copies_of_the_environment_do(checkpoint, options):
    env = single(checkpoint, **options)
    env.reset(seed=3)
    env.step(1)
    plans = np.random.default_rng(2).integers(0, 4, (12, 6))
    plans[5:7, :4] = plans[4, :4]  # that begin alike
    plans[7] = plans[8]
    untouched, seen = copy.deepcopy(env), env.look_ahead(plans)
    for row, plan in enumerate(plans):
        twin = copy.deepcopy(untouched)
        for column, action in enumerate(plan):
            _, reward, ended, _, info = twin.step(action)
            assert seen.rewards[row, column] == pytest.approx(reward, rel=1e-3)
            assert seen.game_rewards[row, column] == pytest.approx(info["game_reward"], rel=1e-3)
            assert seen.termination_prob[row, column] == pytest.approx(info["termination_prob"], rel=1e-3)
            assert seen.terminated[row, column] == ended
            if ended:
                assert not seen.rewards[row, column + 1 :].any() and not seen.terminated[row, column + 1 :].any()
                break
    assert play(env, ACTIONS[:, 0]) == play(untouched, ACTIONS[:, 0])


@pytest.mark.parametrize("wrong", [[0, 1], [[0.5]], [[4]], [[-1]], [[]], None, [[0], [0, 1]], "01"])
def test_plans_that_are_none_are_refused(toy_checkpoint, wrong):
    env = single(toy_checkpoint)
    with pytest.raises(gym.error.ResetNeeded):
        env.look_ahead([[0]])
    env.reset(seed=0)
    with pytest.raises(InvalidActionError):
        env.look_ahead(wrong)
