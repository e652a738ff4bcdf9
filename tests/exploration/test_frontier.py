"""Episodes begin at the savestate that promises most: reward divided by the root of the visits."""

import numpy as np
import pytest

pytest.importorskip("sb3_contrib", reason="needs sb3-contrib: pip install genie_gym[sb3]")

from genie_gym import games
from genie_gym.errors import ConfigError, GameError
from genie_gym.exploration.config import ExploreConfig
from genie_gym.exploration.explore import explore
from genie_gym.exploration.frontier import FrontierArchive
from genie_gym.refitting.config import RefitConfig
from genie_gym.sb3 import make_game_vec_env, wrap_reward
from genie_gym.sb3.frontier import VecArchivedStarts, VecStateArchiver
from tests.exploration.test_explore import OPTIONS


def grey(level: int) -> np.ndarray:
    return np.full((64, 64, 3), level, np.uint8)


def test_what_promises_most_is_drawn():
    archive, rng = FrontierArchive(capacity=100), np.random.default_rng(0)
    levels, visits, scores = range(0, 256, 8), {}, {}
    for _ in range(300):
        level = int(rng.choice(levels))
        archive.visit(grey(level)[None])
        visits[level] = visits.get(level, 0) + 1
        if rng.random() < 0.5:
            scores[level] = float(rng.random())
            archive.offer(grey(level), scores[level], lambda level=level: level)
        if scores:
            assert archive.draw() == max(scores, key=lambda one: scores[one] / np.sqrt(visits[one]))


def test_a_full_archive_keeps_what_promises_most_and_asks_for_no_other_state():
    archive, taken = FrontierArchive(capacity=2), []
    for level, score in ((0, 0.5), (64, 0.2), (128, 0.1), (192, 0.3)):
        archive.visit(grey(level)[None])
        archive.offer(grey(level), score, lambda level=level: taken.append(level) or level)
    assert taken == [0, 64, 192] and sorted(cell.state for cell in archive.cells.values()) == [0, 192]


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_a_share_of_the_episodes_begins_at_savestates(share):
    archive = FrontierArchive(share, seed=3)
    assert archive.draw() is None
    archive.visit(grey(0)[None])
    archive.offer(grey(0), 1.0, lambda: "state")
    assert np.mean([archive.draw() is not None for _ in range(500)]) == pytest.approx(share, abs=0.06)


def test_episodes_go_on_from_the_state_and_are_recorded_from_there(exploring_checkpoint):
    archive = FrontierArchive()
    inner = VecArchivedStarts(make_game_vec_env("Toy", 2, max_steps=12), archive)
    env = VecStateArchiver(wrap_reward(inner, "autoexplore", "Toy", exploring_checkpoint, device="cpu"), archive)
    frames, starts, ends = env.reset(), 0, 0
    for t in range(60):
        before = dict(archive.cells)
        frames, _, dones, infos = env.step(np.full(2, 1 + (t % 5 == 0) * 2))
        ends += int(dones.sum())
        for row in np.flatnonzero(dones):
            if infos[row]["archived_start"]:
                starts += 1
                kept = [cell.state for cell in before.values()]
                matches = [state for state in kept if np.array_equal(state[1], frames[row])]
                assert matches and infos[row]["terminal_observation"].shape == (64, 64, 3)
                assert not np.array_equal(infos[row]["terminal_observation"], frames[row])
                assert np.array_equal(env.env_method("render", indices=[int(row)])[0], frames[row])
    assert starts >= 4 and 1 < len(archive.cells) <= len(archive.visits)
    assert sum(archive.visits.values()) == 2 * 60 - ends + starts
    env.close()


def test_explores_with_every_option_and_is_resumed(exploring_checkpoint):
    chosen = {"habituation": "both", "frontier": 0.5, "uncertainty": "action_information", "action_sample": 2}
    options = OPTIONS | chosen | {"checkpoint": exploring_checkpoint, "seed": 1, "score_interval": 1}
    assert explore("Toy-Numpy", steps=64, **options).finished
    report = explore("Toy-Numpy", steps=128, **options)
    assert report.steps == 128 and np.isfinite(report.metrics.reward)
    with pytest.raises(ConfigError, match="frontier"):
        explore("Toy-Numpy", steps=128, **options | {"frontier": 0.0})


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"frontier": 1.5}, "frontier"),
        ({"frontier": 0.5, "reward": "game"}, "autoexplore"),
        ({"habituation": "both", "reward": "rnd"}, "autoexplore"),
        ({"frontier": 0.5, "imagined": True}, "imagin"),
        ({"habituation": "sometimes"}, "episodic"),
    ],
)
def test_wrong_options_are_told(options, told):
    with pytest.raises(ConfigError, match=told):
        ExploreConfig("Toy", **options)
    if not options.keys() & {"imagined"}:
        renamed = {"policy_source" if name == "reward" else name: value for name, value in options.items()}
        with pytest.raises(ConfigError, match=told):
            RefitConfig("Toy", **renamed)


def test_a_game_without_savestates_is_told():
    import gymnasium as gym

    class Blank(gym.Env):
        render_mode = "rgb_array"
        observation_space = gym.spaces.Box(0, 255, (64, 64, 3), np.uint8)
        action_space = gym.spaces.Discrete(2)

        def reset(self, *, seed=None, options=None):
            return grey(0), {}

        def step(self, action):
            return grey(0), 0.0, False, False, {}

    from stable_baselines3.common.vec_env import DummyVecEnv

    env = games.wrap(Blank())
    env.reset()
    assert not env.has_savestates()
    for use in (env.snapshot, lambda: env.restore(None)):
        with pytest.raises(GameError, match="no savestates"):
            use()
    with pytest.raises(GameError, match="frontier"):
        VecArchivedStarts(DummyVecEnv([lambda: games.wrap(Blank())]), FrontierArchive())
