"""The demo's figures agree with a plain computation, and its images show the real game and the world model."""

import imageio.v3 as imageio
import numpy as np
import pytest
import torch

from genie_gym import games
from genie_gym.cli import main
from genie_gym.collection.policies import StickyPolicy
from genie_gym.collection.rollout import play_episode
from genie_gym.envs import WorldModelEnv
from genie_gym.errors import ConfigError
from genie_gym.evaluation.demo import CONTEXT, demo
from genie_gym.world_model import Checkpoint
from tests.conftest import random_state, untrained_latent, untrained_upscaler


@pytest.fixture(scope="module")
def report(toy_checkpoint, tmp_path_factory):
    return demo("Toy", steps=40, seed=3, checkpoint=toy_checkpoint, out=tmp_path_factory.mktemp("demo"))


@pytest.fixture(scope="module")
def real():
    return play_episode(games.make("Toy"), StickyPolicy(), 3, CONTEXT + 40 - 1)


def test_gif_shows_the_real_game_and_a_rollout_under_the_same_actions(report, real, toy_checkpoint):
    shown = imageio.imread(report.gif, extension=".gif")[:, ::3, ::3]  # enlarged threefold
    assert shown.shape == (40, 64, 64 + 2 + 64, 3)
    # GIF frames have few colours: equal within what that costs
    assert np.abs(shown[:, :, :64].astype(int) - real.frames[CONTEXT:]).mean() < 3

    env = WorldModelEnv(checkpoint=toy_checkpoint, terminate=False)
    env.reset(seed=3, options={"prompt": real.frames[:CONTEXT], "prompt_actions": real.actions[: CONTEXT - 1]})
    imagined = np.stack([env.step(action)[0] for action in real.actions[CONTEXT - 1 :]])
    right = shown[:, :, 66:].astype(int)
    assert np.abs(right - imagined).mean() < 0.5 * np.abs(right - imagined[::-1]).mean()


def test_a_latent_action_model_is_given_the_actions_it_infers(real, tmp_path):
    latent = untrained_latent()
    latent.save(tmp_path / "latent")
    shown = demo("Toy", steps=40, seed=3, checkpoint=tmp_path / "latent", out=tmp_path)
    frames = torch.from_numpy(real.frames.astype(np.float32) / 255).permute(0, 3, 1, 2)
    codes = latent.model.latent_actions.codes(frames[None])[0].numpy()
    assert len(set(codes.tolist())) > 1

    env = WorldModelEnv(checkpoint=tmp_path / "latent", terminate=False)
    env.reset(seed=3, options={"prompt": real.frames[:CONTEXT], "prompt_actions": codes[: CONTEXT - 1]})
    imagined = np.stack([env.step(action)[0] for action in codes[CONTEXT - 1 :]])
    np.testing.assert_array_equal(imageio.imread(shown.grid)[::2, ::2][65:, -64:], imagined[-1])


def test_grid_has_both_rows(report, real):
    picture = imageio.imread(report.grid)[::2, ::2]
    assert picture.shape[0] == 64 + 1 + 64
    np.testing.assert_array_equal(picture[:64, :64], real.frames[CONTEXT])
    np.testing.assert_array_equal(picture[:64, -64:], real.frames[-1])


def test_repeating_the_last_frame(report, real):
    decibels = []
    for start in range(CONTEXT, len(real) - 3, 4):
        error = (real.frames[start + 3] / 255.0 - real.frames[start - 1] / 255.0) ** 2
        decibels.append(-10 * np.log10(max(error.mean(), 1e-6)))
    assert report.comparison.repeat_psnr == pytest.approx(np.mean(decibels))


def test_figures_are_of_rollouts_under_the_episodes_actions(real, toy_checkpoint, tmp_path, monkeypatch):
    calls = []

    def still(checkpoint, prompts, prev_actions, actions, *others):
        calls.append((prompts, prev_actions, actions))
        return prompts[:, -1:].repeat(actions.shape[1], 1)

    monkeypatch.setattr("genie_gym.evaluation.demo.rollout", still)
    report = demo("Toy", steps=40, seed=3, checkpoint=toy_checkpoint, out=tmp_path)
    (prompts, prev_actions, taken), (_, _, others) = calls
    assert len(prompts) == 10 and (taken != others).any()
    for number, start in enumerate(range(CONTEXT, CONTEXT + 40 - 3, 4)):
        np.testing.assert_array_equal(prompts[number], real.frames[start - CONTEXT : start])
        before_and_after = [*prev_actions[number].tolist(), *taken[number].tolist()]
        assert before_and_after == real.actions[start - CONTEXT : start + 3].tolist()
    assert report.comparison.psnr == report.comparison.repeat_psnr and report.comparison.delta_psnr == 0


def test_speeds(report):
    assert report.imagined_speed > 1 and report.comparison.real_speed > 1


def test_table(toy_checkpoint, tmp_path, capsys):
    arguments = ["demo", "Toy", "--steps", "16", "--checkpoint", toy_checkpoint, "--out", str(tmp_path / "new")]
    assert main(arguments) == 0
    text = capsys.readouterr().out
    for word in ("PSNR at t = 4", "delta-PSNR", "steps/s", "Toy-Numpy.gif"):
        assert word in text
    assert {path.name for path in (tmp_path / "new").iterdir()} == {"Toy-Numpy.gif", "Toy-Numpy.png"}


@pytest.mark.retro
def test_the_shipped_model_follows_the_real_game(tmp_path):
    pytest.importorskip("stable_retro", reason="needs stable-retro: pip install genie_gym[retro]")
    report = demo(steps=120, out=tmp_path)
    assert report.game == "Airstriker-Genesis"
    assert report.comparison.psnr > report.comparison.repeat_psnr + 4
    assert report.comparison.delta_psnr > 5


def test_a_model_whose_game_is_not_here_is_shown_alone(toy_checkpoint, tmp_path, monkeypatch):
    monkeypatch.setattr("genie_gym.evaluation.demo.games.available", lambda name: False)
    monkeypatch.setattr("genie_gym.evaluation.demo.games.make", None)
    report = demo("Toy", steps=20, seed=3, checkpoint=toy_checkpoint, out=tmp_path)
    assert report.comparison is None and report.imagined_speed > 1
    assert imageio.imread(report.gif, extension=".gif").shape == (20, 192, 192, 3)


def test_where_there_is_an_upscaler_both_are_shown_sharp(toy_checkpoint, tmp_path):
    checkpoint = Checkpoint.load(toy_checkpoint)
    checkpoint.upscaler = untrained_upscaler()
    checkpoint.save(tmp_path / "upscaled")
    report = demo("Toy", steps=16, seed=3, checkpoint=tmp_path / "upscaled", out=tmp_path)
    assert imageio.imread(report.gif, extension=".gif").shape == (16, 256, 256 + 2 + 256, 3)


def test_too_short(toy_checkpoint):
    with pytest.raises(ConfigError, match="steps must be 16 or more, got 3"):
        demo("Toy", steps=3, checkpoint=toy_checkpoint)


def test_the_demo_leaves_the_callers_random_generators_alone(toy_checkpoint, tmp_path):
    before = random_state()
    demo("Toy", steps=16, checkpoint=toy_checkpoint, out=tmp_path)
    assert random_state() == before
