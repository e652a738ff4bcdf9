"""The vector wrapper gives each environment the rewards of the wrapper for one, in every autoreset mode."""

from functools import partial

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.vector import AsyncVectorEnv, AutoresetMode, SyncVectorEnv
from gymnasium.wrappers import TimeLimit
from gymnasium.wrappers.vector import RecordEpisodeStatistics

from genie_gym import games
from genie_gym.envs import WorldModelEnv, WorldModelVectorEnv
from genie_gym.errors import ConfigError, InvalidActionError
from genie_gym.wrappers.autoexplore import AutoExploreReward as SingleReward
from genie_gym.wrappers.vector import AutoExploreReward

LENGTHS = (6, 9, 14)  # episodes end at different times
ACTIONS = np.random.default_rng(0).integers(0, 4, (30, 3))
MAKERS = [partial(games.make, "Toy", max_steps=length) for length in LENGTHS]


def make(checkpoint: str, autoreset: AutoresetMode, kind: type = SyncVectorEnv, **options) -> AutoExploreReward:
    return AutoExploreReward(kind(MAKERS, autoreset_mode=autoreset), checkpoint=checkpoint, device="cpu", **options)


def singles(checkpoint: str, row: int, resets_take_a_step: bool, **options) -> list[tuple]:
    """Return frame, reward, game reward and done of each step of one environment with a row's seed and actions."""
    env = SingleReward(MAKERS[row](), checkpoint=checkpoint, device="cpu", **options)
    frame, _ = env.reset(seed=5 + row)
    steps, over = [], False
    for action in ACTIONS[:, row]:
        if over and resets_take_a_step:
            frame, over = env.reset()[0], False
            steps.append((frame, 0.0, 0.0, False))
            continue
        if over:
            env.reset()
        frame, reward, terminated, truncated, info = env.step(action)
        over = terminated or truncated
        steps.append((frame, reward, info["game_reward"], over))
    return steps


@pytest.mark.parametrize("mode", [AutoresetMode.NEXT_STEP, AutoresetMode.SAME_STEP])
@pytest.mark.parametrize("kind", [SyncVectorEnv, AsyncVectorEnv])
def test_each_row_is_rewarded_as_a_single_environment_is(exploring_checkpoint, mode, kind):
    env = make(exploring_checkpoint, mode, kind)
    expected = [singles(exploring_checkpoint, row, mode == AutoresetMode.NEXT_STEP) for row in range(3)]
    env.reset(seed=5)
    for t, actions in enumerate(ACTIONS):
        frames, rewards, terminated, truncated, infos = env.step(actions)
        for row in range(3):
            frame, reward, own, over = expected[row][t]
            assert rewards[row] == pytest.approx(reward, rel=1e-4), (t, row)
            assert infos["intrinsic_reward"][row] == pytest.approx(reward, rel=1e-4)
            assert infos["game_reward"][row] == own
            assert (terminated | truncated)[row] == over
            if mode == AutoresetMode.NEXT_STEP:
                assert np.array_equal(frames[row], frame)
    env.close()


def test_a_reset_by_mask_clears_only_those_rows(exploring_checkpoint):
    env = make(exploring_checkpoint, AutoresetMode.DISABLED)
    expected = [singles(exploring_checkpoint, row, False) for row in range(3)]
    env.reset(seed=5)
    for t, actions in enumerate(ACTIONS):
        _, rewards, terminated, truncated, _ = env.step(actions)
        assert rewards == pytest.approx([expected[row][t][1] for row in range(3)], rel=1e-4)
        if (over := terminated | truncated).any():
            env.reset(options={"reset_mask": over})


@pytest.mark.parametrize("reward", ["random_features", "rnd"])
def test_a_baseline_scores_the_last_frame_of_an_episode_not_the_next_first(reward):
    """The reward depends on the newest frame, which SAME_STEP mode returns in `final_obs`."""
    same, following = (
        AutoExploreReward(SyncVectorEnv(MAKERS, autoreset_mode=mode), reward=reward, device="cpu")
        for mode in (AutoresetMode.SAME_STEP, AutoresetMode.NEXT_STEP)
    )
    for env in (same, following):
        env.reset(seed=5)
    for actions in ACTIONS[:6]:
        one, other = same.step(actions), following.step(actions)
        assert np.array_equal(one[1], other[1]) and (one[1] > 0).all()
    assert one[3].any() and not np.array_equal(one[0], other[0])


def test_rows_and_order_do_not_matter(exploring_checkpoint):
    def run(order: list[int]) -> np.ndarray:
        env = AutoExploreReward(SyncVectorEnv([MAKERS[row] for row in order]), checkpoint=exploring_checkpoint)
        env.reset(seed=[5 + row for row in order])
        return np.stack([env.step(actions[order])[1] for actions in ACTIONS])

    together = run([0, 1, 2])
    np.testing.assert_allclose(run([2, 0, 1]), together[:, [2, 0, 1]], rtol=1e-4)
    np.testing.assert_allclose(run([1]), together[:, [1]], rtol=1e-4)


def test_a_full_reset_forgets_pending_autoresets(exploring_checkpoint):
    env = make(exploring_checkpoint, AutoresetMode.NEXT_STEP)
    for _ in range(2):
        env.reset(seed=5)
        rewards = np.stack([env.step(actions)[1] for actions in ACTIONS[:6]])  # row 0 is done and would reset next
        assert (rewards[:3] == 0).all() and (rewards[3:] > 0).all()


def test_it_adds_to_the_games_reward_below_other_wrappers(exploring_checkpoint):
    env = RecordEpisodeStatistics(make(exploring_checkpoint, AutoresetMode.NEXT_STEP, mode="add", coefficient=3))
    env.reset(seed=5)
    total = np.zeros(3)
    for actions in ACTIONS[:6]:
        _, rewards, _, _, infos = env.step(actions)
        np.testing.assert_allclose(rewards, infos["game_reward"] + 3 * infos["intrinsic_reward"], rtol=1e-6)
        total += rewards
    assert infos["episode"]["r"][0] == pytest.approx(total[0])


def test_it_wraps_imagined_environments(exploring_checkpoint):
    import genie_gym  # noqa: F401 (registers the ids)

    imagined = gym.make_vec("GenieRedux/Toy-v0", num_envs=2, checkpoint=exploring_checkpoint, terminate=False)
    env = AutoExploreReward(imagined, checkpoint=exploring_checkpoint)
    env.reset(seed=0)
    assert (np.stack([env.step(actions[:2])[1] for actions in ACTIONS[:6]])[3:] > 0).all()


def test_frames_that_do_not_fit(exploring_checkpoint):
    vector = SyncVectorEnv([partial(games.make, "Toy", size=32)])
    with pytest.raises(ConfigError, match="64x64, the environment gives 32x32"):
        AutoExploreReward(vector, checkpoint=exploring_checkpoint)


@pytest.mark.parametrize("kind", [SyncVectorEnv, AsyncVectorEnv])
def test_action_meanings_that_do_not_fit(kind):
    """Both games have four actions, of which the last is JUMP in one and PRIMARY in the other."""
    vector = kind(MAKERS)
    with pytest.raises(ConfigError, match="knows the actions NOOP, RIGHT, LEFT, PRIMARY, the environment has the"):
        AutoExploreReward(vector, game="Airstriker")
    vector.close()


class WithoutMeanings(gym.Env):
    """The toy game without action meanings."""

    def __init__(self):
        self.game = games.make("Toy", max_steps=20)
        self.observation_space, self.action_space = self.game.observation_space, self.game.action_space

    def reset(self, *, seed=None, options=None):
        return self.game.reset(seed=seed)

    def step(self, action):
        return self.game.step(action)


@pytest.mark.parametrize("kind", [SyncVectorEnv, AsyncVectorEnv])
def test_environments_without_action_meanings(exploring_checkpoint, kind):
    env = AutoExploreReward(kind([WithoutMeanings] * 2), checkpoint=exploring_checkpoint)
    env.reset(seed=5)
    assert (np.stack([env.step(actions[:2])[1] for actions in ACTIONS[:6]])[3:] > 0).all()
    env.close()


@pytest.mark.parametrize("kind", [SyncVectorEnv, AsyncVectorEnv])
@pytest.mark.parametrize("wrong", [[0, 4, 0], [0, 0], [0.0, 1.0, 2.0]])
def test_an_invalid_action_is_refused_and_the_next_step_works(exploring_checkpoint, kind, wrong):
    env = make(exploring_checkpoint, AutoresetMode.NEXT_STEP, kind)
    env.reset(seed=5)
    for actions in ACTIONS[:5]:
        env.step(actions)  # so that windows are full
    with pytest.raises(InvalidActionError, match=r"must lie in 0 \.\. 3|expected 3 integer"):
        env.step(np.array(wrong))
    assert (env.step(ACTIONS[5])[1] > 0).all()
    env.close()


def test_imagined_environments_of_tensors_are_refused(exploring_checkpoint):
    imagined = WorldModelVectorEnv(2, checkpoint=exploring_checkpoint, tensors=True, device="cpu")
    with pytest.raises(ConfigError, match="without tensors=True"):
        AutoExploreReward(imagined, checkpoint=exploring_checkpoint)


def test_a_step_that_raises_leaves_the_windows_unchanged(exploring_checkpoint):
    results = []
    for refused in (False, True):
        env = make(exploring_checkpoint, AutoresetMode.DISABLED)
        env.reset(seed=5)
        for t, actions in enumerate(ACTIONS[:6]):
            if t == 3 and refused:
                step, env.env.step = env.env.step, _refuse
                with pytest.raises(gym.error.ResetNeeded):
                    env.step(actions)
                env.env.step = step
            rewards = env.step(actions)[1]
        results.append(rewards)
    assert np.array_equal(*results) and (results[0] > 0).any()


def _refuse(actions):
    raise gym.error.ResetNeeded("reset it first")


def test_the_games_reward_of_imagined_environments_with_another_reward_is_kept(exploring_checkpoint):
    imagined = WorldModelVectorEnv(2, checkpoint=exploring_checkpoint, reward="autoexplore")
    env = AutoExploreReward(imagined, checkpoint=exploring_checkpoint, mode="add")
    env.reset(seed=0)
    for actions in ACTIONS[:6]:
        _, rewards, _, _, infos = env.step(actions[:2])
        np.testing.assert_allclose(rewards, infos["game_reward"] + infos["intrinsic_reward"], rtol=1e-6)
    alone = WorldModelVectorEnv(2, checkpoint=exploring_checkpoint)
    alone.reset(seed=0)
    for actions in ACTIONS[:6]:
        own = alone.step(actions[:2])[1]
    np.testing.assert_allclose(infos["game_reward"], own, rtol=1e-5)


def test_the_last_reward_of_an_imagined_episode_is_kept_with_same_step_resets(exploring_checkpoint):
    """Its infos are in `final_info`, and those of the reset have replaced them."""

    def imagined() -> SyncVectorEnv:
        one = partial(WorldModelEnv, checkpoint=exploring_checkpoint, terminate=False)
        return SyncVectorEnv([lambda: TimeLimit(one(), 3)] * 2, autoreset_mode="SameStep")

    plain, wrapped = imagined(), AutoExploreReward(imagined(), reward="none", mode="add")
    plain.reset(seed=3)
    wrapped.reset(seed=3)
    for actions in ACTIONS[:7]:
        own = plain.step(actions[:2])[1]
        _, rewards, *_, infos = wrapped.step(actions[:2])
        assert own.all()
        np.testing.assert_allclose(infos["game_reward"], own, rtol=1e-6)
        np.testing.assert_allclose(rewards, own, rtol=1e-6)
