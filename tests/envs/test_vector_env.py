"""Many dreams: equal to as many single ones, the three ways to reset, and Gymnasium's form of infos."""

import copy
import os
import subprocess
import sys

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium.vector import AutoresetMode
from gymnasium.wrappers import TimeLimit

import genie_gym  # noqa: F401 (registers the ids)
from genie_gym.envs import WorldModelEnv, WorldModelVectorEnv
from genie_gym.errors import ConfigError, InvalidActionError, PromptError
from genie_gym.models.heads import OutcomeHeads

ACTIONS = np.random.default_rng(0).integers(0, 4, (12, 3))


@pytest.fixture
def make(toy_checkpoint):
    def make_env(count: int = 3, **options) -> WorldModelVectorEnv:
        return WorldModelVectorEnv(count, checkpoint=toy_checkpoint, temperature=1.0, device="cpu", **options)

    return make_env


@pytest.mark.parametrize("mode", ["NextStep", "SameStep"])
@pytest.mark.parametrize("reward", ["game", "autoexplore"])
def test_each_dream_is_that_of_a_single_env_also_through_resets(make, toy_checkpoint, mode, reward):
    vector = make(autoreset_mode=mode, reward=reward)
    singles = gym.vector.SyncVectorEnv(
        [lambda: WorldModelEnv(checkpoint=toy_checkpoint, temperature=1.0, reward=reward)] * 3,
        autoreset_mode=AutoresetMode(mode),
    )
    (frames, infos_at_reset), (expected, theirs) = vector.reset(seed=7), singles.reset(seed=7)
    assert np.array_equal(frames, expected)
    assert infos_at_reset.keys() == theirs.keys()
    for name, value in theirs.items():
        np.testing.assert_array_equal(infos_at_reset[name], value)
    ended = 0
    for actions in ACTIONS:
        frames, rewards, ends, cuts, infos = vector.step(actions)
        theirs = singles.step(actions)
        # A batch of three may round otherwise than three batches of one, which shows as a level of colour at most.
        assert np.abs(frames.astype(int) - theirs[0]).max() <= 1
        assert np.allclose(rewards, theirs[1], rtol=1e-4) and rewards.dtype == theirs[1].dtype
        assert np.array_equal(ends, theirs[2])
        assert np.array_equal(cuts, theirs[3])
        assert infos.keys() == theirs[4].keys()
        for name in ("game_reward", "termination_prob"):
            # Where a dream ends and begins at once Gymnasium has the new one's, and ours are those of the end.
            same = ~ends if mode == "SameStep" else slice(None)
            assert np.allclose(infos[name][same], theirs[4][name][same], rtol=1e-4)
            assert np.array_equal(infos[f"_{name}"], theirs[4][f"_{name}"])
        if "final_info" in infos:
            last, other = infos["final_info"]["game_reward"][ends], theirs[4]["final_info"]["game_reward"][ends]
            assert np.allclose(last, other, rtol=1e-4) and (last != 0).all()
        if "final_obs" in infos:
            for mine, other in zip(infos["final_obs"], theirs[4]["final_obs"], strict=True):
                assert (mine is None) == (other is None)
                assert mine is None or np.abs(mine.astype(int) - other).max() <= 1
        ended += ends.sum()
    assert ended > 0


def test_disabled_resets_only_what_the_mask_says(make):
    env = make(autoreset_mode="Disabled", terminate=False)
    env.reset(seed=0)
    env.step(ACTIONS[0])
    twin = make(autoreset_mode="Disabled", terminate=False)
    twin.reset(seed=0)
    twin.step(ACTIONS[0])
    frames, _ = env.reset(seed=[None, 5, None], options={"reset_mask": np.array([False, True, False])})
    fresh, _ = make().reset(seed=[1, 5, 2])
    assert np.array_equal(frames[1], fresh[1])
    mine, theirs = env.step(ACTIONS[1])[0], twin.step(ACTIONS[1])[0]
    assert np.abs(mine[[0, 2]].astype(int) - theirs[[0, 2]]).max() <= 1


def test_infos_of_a_partial_reset_say_whose_they_are(make):
    env = make()
    env.reset(seed=0)
    mask = np.arange(env.num_envs) == 1
    _, infos = env.reset(options={"reset_mask": mask})
    assert infos["_game_reward"].tolist() == infos["_termination_prob"].tolist() == mask.tolist()


def test_disabled_refuses_to_step_an_ended_dream(make):
    env = make(autoreset_mode="Disabled", max_episode_steps=1)
    env.reset(seed=0)
    env.step(ACTIONS[0])
    with pytest.raises(gym.error.ResetNeeded, match="reset_mask"):
        env.step(ACTIONS[1])


def test_the_asked_for_limit_truncates(make):
    env = make(terminate=False, max_episode_steps=4)
    env.reset(seed=0)
    cuts = np.stack([env.step(actions)[3] for actions in ACTIONS[:10]])
    # Steps 4 and, after the step that resets, 9.
    assert cuts.all(1).tolist() == [False, False, False, True, False, False, False, False, True, False]
    assert not cuts[[0, 1, 2, 4, 5, 6, 7, 9]].any()


def test_an_end_at_the_limit_is_both_as_in_gymnasiums_own(make, toy_checkpoint, monkeypatch):
    heads = OutcomeHeads.forward

    def ends(self, features, codes):
        rewards, logits = heads(self, features, codes)
        return rewards, torch.full_like(logits, 100.0)

    monkeypatch.setattr(OutcomeHeads, "forward", ends)
    single = TimeLimit(WorldModelEnv(checkpoint=toy_checkpoint), 1)
    single.reset(seed=0)
    assert single.step(0)[2:4] == (True, True)
    env = make(max_episode_steps=1)
    env.reset(seed=0)
    assert [flags.tolist() for flags in env.step(ACTIONS[0])[2:4]] == [[True] * 3] * 2


def test_seeds_are_told_and_copies_share_the_model(make):
    env = make()
    env.reset(seed=5)
    assert env.np_random_seed == (5, 6, 7)
    copied = copy.deepcopy(env)
    assert copied._engine.model is env._engine.model
    for actions in ACTIONS[:3]:  # each goes on by itself
        frames = env.step(actions)[0]
    for actions in ACTIONS[:3]:
        again = copied.step(actions)[0]
    assert np.array_equal(frames, again)


def test_make_vec_uses_one_batch(toy_checkpoint):
    env = gym.make_vec("GenieRedux/Toy-v0", num_envs=5, checkpoint=toy_checkpoint)
    assert isinstance(env, WorldModelVectorEnv)
    frames, _ = env.reset(seed=0)
    assert frames.shape == (5, 64, 64, 3)
    assert env.observation_space.contains(frames)
    assert env.metadata["autoreset_mode"] is AutoresetMode.NEXT_STEP


def test_a_prompt_starts_all_dreams(make, toy_checkpoint):
    prompt = np.random.default_rng(0).integers(0, 256, (3, 64, 64, 3), np.uint8)
    options = {"prompt": prompt, "prompt_actions": [2, 1]}
    alone = WorldModelEnv(checkpoint=toy_checkpoint, temperature=1.0, device="cpu", terminate=False)
    dreams = make(terminate=False)
    frames, expected = dreams.reset(seed=0, options=options)[0], alone.reset(seed=1, options=options)[0]
    assert np.abs(frames.astype(int) - expected).max() <= 1
    for actions in ACTIONS[:5]:  # a dream's seed is that of the row
        frames, expected = dreams.step(actions)[0], alone.step(actions[1])[0]
        assert np.abs(frames[1].astype(int) - expected).max() <= 1
    assert np.abs(frames[0].astype(int) - frames[1]).max() > 1


@pytest.mark.parametrize(
    ("call", "error", "says"),
    [
        (lambda make: make(0), ConfigError, "num.envs"),
        (lambda make: make(autoreset_mode="Sometimes"), ConfigError, "autoreset_mode"),
        (lambda make: make(max_episode_steps=0), ConfigError, "max_episode_steps must be 1 or more, or None"),
        (
            lambda make: make().reset(options={"reset_mask": np.array([True, False, False])}),
            gym.error.ResetNeeded,
            r"call reset\(\) first; only rollouts \[0\] of 3",
        ),
        (lambda make: make(render_mode="rgb_array").render(), gym.error.ResetNeeded, "before render"),
        (
            lambda make: make().reset(options={"prompt": [np.zeros((9, 9, 3)), np.zeros((8, 8, 3))]}),
            PromptError,
            "do not fit together",
        ),
        (lambda make: make().reset(seed=[1, 2]), ConfigError, "list of seeds"),
        (lambda make: make().reset(options={"reset_mask": np.ones(2, bool)}), PromptError, "reset_mask"),
        (
            lambda make: (e := make(), e.reset(), e.step(np.array([0, 1, 4]))),
            InvalidActionError,
            "must be one of 0 NOOP",
        ),
        (lambda make: (e := make(), e.reset(), e.step(np.array([0, 1]))), InvalidActionError, "3 integer"),
        (lambda make: (e := make(), e.reset(), e.step(torch.rand(3))), InvalidActionError, "3 integer"),
        (lambda make: (e := make(), e.reset(), e.step(torch.tensor([0, -1, 2]))), InvalidActionError, "must be one of"),
    ],
)
def test_bad_input_is_explained(make, call, error, says):
    with pytest.raises(error, match=says):
        call(make)


@pytest.mark.parametrize("mode", ["NextStep", "SameStep"])
def test_tensors_hold_what_arrays_hold(make, mode):
    arrays, tensors = make(autoreset_mode=mode), make(autoreset_mode=mode, tensors=True)
    expected, got = arrays.reset(seed=3), tensors.reset(seed=3)
    assert got[0].dtype == torch.uint8 and np.array_equal(got[0].numpy(), expected[0])
    kept = got[0].clone()
    for actions in ACTIONS:
        expected, got = arrays.step(actions), tensors.step(torch.from_numpy(actions))
        assert [x.dtype for x in got[:4]] == [torch.uint8, torch.float32, torch.bool, torch.bool]
        assert all(np.allclose(a, b.numpy()) for a, b in zip(expected[:4], got[:4], strict=True))
        assert np.array_equal(got[4]["termination_prob"], expected[4]["termination_prob"])
    mask = torch.tensor([True, False, True])
    arrays.reset(seed=9, options={"reset_mask": mask.numpy(), "prompt": np.asarray(kept[0])})
    again = tensors.reset(seed=9, options={"reset_mask": mask, "prompt": kept[0]})[0]
    assert np.array_equal(again.numpy(), arrays._frames.numpy())  # tensors that it gave may be handed back
    assert torch.equal(kept, tensors.reset(seed=3)[0])  # what was given away is not written into
    (got[1] * torch.ones(3, requires_grad=True)).sum().backward()  # and may stand in a loss


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_wrong_actions_on_a_gpu_are_refused_and_it_goes_on(toy_checkpoint):
    env = WorldModelVectorEnv(3, checkpoint=toy_checkpoint, device="cuda", tensors=True)
    env.reset(seed=0)
    untouched = copy.deepcopy(env)
    for wrong in ([0, 4, 0], [-1, 0, 0]):
        with pytest.raises(InvalidActionError, match="an action must be one of 0 NOOP"):
            env.step(torch.tensor(wrong, device="cuda"))
    with pytest.raises(InvalidActionError, match="3 integer"):
        env.step(torch.zeros(3, 1, device="cuda", dtype=torch.long))
    frames, expected = (one.step(torch.zeros(3, device="cuda", dtype=torch.long))[0] for one in (env, untouched))
    assert frames.is_cuda and torch.equal(frames, expected)  # the dream has not gone on without being told


FORKED = """
import gymnasium as gym, genie_gym, sys, torch
torch.set_num_threads(2)
env = gym.make("GenieRedux/Toy-v0", checkpoint=sys.argv[1])
env.reset(seed=0)
env.step(0)
envs = gym.make_vec("GenieRedux/Toy-v0", num_envs=2, vectorization_mode="async", checkpoint=sys.argv[1])
envs.reset(seed=0)
print(envs.step(envs.action_space.sample())[0].shape)
envs.close()
"""


def test_forked_processes_step_although_their_parent_has_stepped(toy_checkpoint):
    """Torch's threads stay in the parent, and would be waited for without end."""
    command = [sys.executable, "-c", FORKED, toy_checkpoint]
    environment = {name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
    assert done.stdout == "(2, 64, 64, 3)\n", done.stderr
