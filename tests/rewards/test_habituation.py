"""Rewards wear off by the square root of the visits, in the episode, in all of them, or both."""

import gymnasium as gym
import numpy as np
import pytest
import torch

from genie_gym import games
from genie_gym.rewards import RewardConfig, RolloutReward
from genie_gym.rewards.adapter import EnvAdapter
from genie_gym.rewards.habituation import Habituation
from genie_gym.rewards.pipeline import RewardPipeline
from genie_gym.rewards.token_hash import TokenHash
from genie_gym.wrappers import AutoExploreReward
from genie_gym.wrappers.vector import AutoExploreReward as VectorReward
from tests.conftest import untrained, untrained_conv
from tests.rewards.test_pipeline import IdentifyingReward, frame


def colour(frames: torch.Tensor) -> np.ndarray:
    """The key of a frame is its red."""
    return frames[:, 0, 0, 0].long().numpy()


def frames_of(*colours: int) -> torch.Tensor:
    return torch.from_numpy(np.concatenate([frame(one) for one in colours]))


def test_weights_are_those_of_the_formula():
    for mode in ("episodic", "lifelong", "both"):
        habituation, rng = Habituation(2, mode, colour), np.random.default_rng(0)
        episodes, lifelong = [[], []], []
        for _ in range(60):
            colours = rng.integers(3, size=2)
            if rng.random() < 0.2:
                row = int(rng.integers(2))
                habituation.reset(np.arange(2) == row)
                episodes[row] = []
            expected = []
            for row in range(2):
                episodes[row].append(colours[row])
                lifelong.append(colours[row])
                here, ever = episodes[row].count(colours[row]), lifelong.count(colours[row])
                expected.append({"episodic": here**-0.5, "lifelong": ever**-0.5, "both": (here * ever) ** -0.5}[mode])
            got = habituation(frames_of(*colours), np.arange(2))
            np.testing.assert_allclose(got, expected, rtol=1e-6)


def test_an_evaluation_leaves_the_lifelong_visits_alone():
    habituation = Habituation(1, "lifelong", colour)
    rows = np.arange(1)
    assert [float(habituation(frames_of(7), rows, update=False)[0]) for _ in range(2)] == [1, 1]
    habituation(frames_of(7), rows)
    assert habituation.copy()(frames_of(7), rows) == habituation(frames_of(7), rows) == np.float32(2**-0.5)


def test_the_pipeline_divides_the_score_of_the_frame_that_a_step_leads_to():
    pipelines = [
        RewardPipeline(IdentifyingReward(2, 1), 1, EnvAdapter(4, 4), RewardConfig(score_interval=2), habituation)
        for habituation in (None, Habituation(1, "episodic", colour))
    ]
    rewards = [[], []]
    for found, pipeline in zip(rewards, pipelines, strict=True):
        for _ in range(2):  # episodes
            pipeline.reset(frame(0))
            for t in range(8):
                pipeline.on_action(np.array([t % 3]))
                found.append(pipeline.observe(frame(9 if t == 5 else 3), np.zeros(1)).intrinsic[0])
    plain, worn = np.array(rewards)
    scored = np.arange(16) % 2 == 1
    expected = np.ones(16)
    expected[scored] = np.tile([1, 2**-0.5, 1, 3**-0.5], 2)
    np.testing.assert_allclose(worn, plain * expected, rtol=1e-6)


@pytest.mark.parametrize("make", [untrained, untrained_conv])
def test_the_hash_is_of_tokens_and_fixed(make):
    model, generator = make().model, torch.Generator().manual_seed(0)
    size = model.tokenizer.config.size
    frames = torch.randint(256, (40, size, size, 3), dtype=torch.uint8, generator=generator)
    keys = TokenHash(model, bits=16)(frames)
    assert keys.shape == (40,) and keys.dtype == np.int64 and keys.min() >= 0 and keys.max() < 2**16
    assert np.array_equal(TokenHash(model, bits=16)(frames[5:9]), keys[5:9])
    assert len(set(TokenHash(model, bits=1)(frames))) <= 2
    assert len(set(keys)) > len(set(TokenHash(model, bits=2)(frames)))


def test_a_token_flips_fewer_bits_than_all_of_them():
    """Like frames have like keys: the more tokens differ, the more bits do."""
    model = untrained().model
    tokens = torch.randint(model.tokenizer.config.codes, (1, 16), generator=torch.Generator().manual_seed(0))
    others = torch.randint(model.tokenizer.config.codes, (200, 16), generator=torch.Generator().manual_seed(1))
    hashing = TokenHash(model, bits=32)

    def flipped(changed: int) -> float:
        near = torch.cat([others[:, :changed], tokens.expand(200, -1)[:, changed:]], 1)
        both = hashing.keys_of_tokens(near) ^ hashing.keys_of_tokens(tokens)
        return float(np.mean([bin(int(key)).count("1") for key in both]))

    assert flipped(0) == 0 < flipped(1) < flipped(4) < flipped(16)


def play(env, steps: int) -> np.ndarray:
    rewards, actions = [], np.random.default_rng(0).integers(4, size=steps)
    for action in actions:
        *_, info = env.step(action)
        rewards.append(info["intrinsic_reward"])
    return np.array(rewards)


def test_every_face_divides_by_the_same_visits(exploring_checkpoint):
    """One environment, a vector of one, and a rollout afterwards."""
    options = {"checkpoint": exploring_checkpoint, "device": "cpu"}
    worn = {"habituation": "both", "hash_bits": 4}
    single = AutoExploreReward(games.make("Toy", max_steps=30), **options, **worn)
    unworn = AutoExploreReward(games.make("Toy", max_steps=30), **options)
    for env in (single, unworn):
        env.reset(seed=0)
    got, base = play(single, 25), play(unworn, 25)
    scored = base > 0
    assert scored.sum() > 15 and (got <= base + 1e-6).all() and (got[scored] < 0.9 * base[scored]).any()
    ratio = np.sort((base[scored] / got[scored]) ** 2)
    np.testing.assert_allclose(ratio, np.round(ratio), rtol=1e-3)  # the visits, each squared

    vector = VectorReward(gym.vector.SyncVectorEnv([lambda: games.make("Toy", max_steps=30)]), **options, **worn)
    vector.reset(seed=0)
    actions, rows = np.random.default_rng(0).integers(4, size=25), []
    observations = [vector.env.reset(seed=0)[0]]
    vector.reset(seed=0)
    for action in actions:
        frames, _, terminated, truncated, infos = vector.step(np.array([action]))
        rows.append(infos["intrinsic_reward"][0])
        observations.append(frames)
        assert not (terminated | truncated).any()
    np.testing.assert_allclose(rows, got, rtol=1e-4)

    rollout = RolloutReward(single.observation_space, single.action_space, 1, **options, **worn)
    pieces = []
    for part in (slice(0, 10), slice(10, 25)):
        steps = np.arange(25)[part]
        samples = {
            "observations": np.stack([observations[t] for t in steps]),
            "next_observations": np.stack([observations[t + 1] for t in steps]),
            "actions": actions[part][:, None],
            "terminateds": np.zeros((len(steps), 1), bool),
            "truncateds": np.zeros((len(steps), 1), bool),
        }
        asked = rollout.compute(samples, sync=False)
        pieces.append(rollout.compute(samples))
        torch.testing.assert_close(asked, pieces[-1])
    np.testing.assert_allclose(torch.cat(pieces)[:, 0].numpy(), got, rtol=1e-4)
