"""Evaluation of models whose every figure can be worked out by hand, and of an untrained one."""

import json
import math
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import imageio.v3 as imageio
import numpy as np
import pytest
import torch

from genie_gym import data
from genie_gym.errors import ConfigError, DataError
from genie_gym.metrics import count_pairs, frechet_distance, mutual_information
from genie_gym.models.latent_actions import LatentActionConfig, LatentActionModel
from genie_gym.pipeline.evaluate import evaluate
from genie_gym.pipeline.figures import plain, summary
from genie_gym.pipeline.latent_play import compare_actions
from genie_gym.pipeline.long_dreams import longest_absence, thumbnails
from genie_gym.pipeline.sprites import SpriteDetector
from genie_gym.world_model import ButtonMap, Checkpoint, Outcome, Sampling, WorldModel
from tests.conftest import untrained, untrained_latent
from tests.toy_play import record

LEVEL, PATCH = 10, 8  # a lamp of 8 x 8 pixels on black, which action 1 makes brighter by 10 levels
AREA = 10 * math.log10(64 * 64 / PATCH**2)  # dB that the black around the lamp adds to a frame's PSNR
GAME = {"name": "Lamp-Own", "actions": [{"meaning": "NOOP"}, {"meaning": "BRIGHTER"}]}


def decibels(error: float) -> float:
    """PSNR of pixels that are all off by `error` levels."""
    return 20 * math.log10(255 / error)


def brighter(frames: torch.Tensor, levels: torch.Tensor) -> torch.Tensor:
    """uint8 (b, 64, 64, 3) after the lamp has gained `levels` (b,)."""
    changed = frames.int()
    changed[:, :PATCH, :PATCH] += levels[:, None, None, None].int()
    return changed.to(torch.uint8)


class Lamp:
    """A model that knows the game perfectly; tokens are pictures. It keeps the seeds and the actions it was given."""

    dtype, device, tokens, latent_actions = torch.float32, torch.device("cpu"), 1, None
    tokenizer = SimpleNamespace(encode=lambda frames: frames, decode=lambda tokens: tokens)

    def __init__(self) -> None:
        self.seeds, self.actions, self.prompts = [], [], []

    def start(self, frames, actions, seeds):
        for i in range(actions.shape[1]):  # the actions lie between the right frames
            assert torch.equal(brighter(frames[:, i], LEVEL * actions[:, i]), frames[:, i + 1])
        self.prompts.append(frames), self.seeds.append(seeds)
        return {"frames": frames[:, -1], "step": 0}, frames[:, -1]

    def step(self, state, actions, sampling):
        self.actions.append(actions)
        state["frames"] = brighter(state["frames"], LEVEL * actions)
        state["step"] += 1
        return self.outcome(state)

    def at_once(self, frames, led, actions, seeds, sampling):
        levels = (LEVEL * actions.cumsum(1)).unbind(1)
        return torch.stack([brighter(frames[:, -1], level) for level in levels], 1)

    def outcome(self, state):
        b = len(state["frames"])
        return Outcome(state["frames"], torch.zeros(b), torch.zeros(b), torch.zeros(b) > 0, torch.zeros(b, 1, 2))


def checkpoint(model) -> Checkpoint:
    return Checkpoint(model, GAME, {}, Sampling(steps=3))


@pytest.fixture
def lamps(tmp_path):
    """Makes a recording of the lamp under the actions given by a function of an episode's number."""

    def make(actions) -> data.Recording:
        with data.RecordingWriter(tmp_path / "lamp", {"game": GAME, "actions": ["NOOP", "BRIGHTER"]}) as writer:
            for number in range(12):
                taken = np.asarray(actions(number), np.int64)
                levels = LEVEL * np.concatenate([[0], taken.cumsum()])
                frames = np.zeros((len(levels), 64, 64, 3), np.uint8)
                frames[:, :PATCH, :PATCH] = levels[:, None, None, None]
                writer.append(data.Episode(frames, taken, np.zeros(len(taken), np.float32)))
        return data.Recording(tmp_path / "lamp")

    return make


def at_random(number: int) -> np.ndarray:
    return np.random.default_rng(number).integers(0, 2, 23)


def test_a_perfect_model_reaches_the_ceiling_at_every_step(lamps):
    figures = evaluate(checkpoint(Lamp()), lamps(at_random), clips=10, long_steps=0)
    seen = figures["reconstruction"]
    assert seen["psnr"] == seen["moving_psnr"] == 60 and seen["ssim"] == 1
    assert seen["frechet"] == pytest.approx(0, abs=0.01)
    for ahead in (figures["prediction"], figures["single_pass"]):
        assert ahead["psnr"] == ahead["pooled_psnr"] == [60] * 10 and ahead["ssim"] == [1] * 10
        assert ahead["frechet"] == pytest.approx(0, abs=0.01)
    assert figures["prediction"]["ssim_t4"] == 1
    assert figures["single_pass"]["control"] == figures["control"]
    assert figures["sprite"] is None and figures["long"] is None
    assert figures["settings"]["steps"] == 3


class Hasty(Lamp):
    """Knows nothing of what it does not see: in a single pass all frames are the last one shown."""

    def at_once(self, frames, led, actions, seeds, sampling):
        return frames[:, -1:].expand(-1, actions.shape[1], -1, -1, -1)


def test_a_single_pass_is_scored_apart_from_the_dream(lamps):
    figures = evaluate(checkpoint(Hasty()), lamps(lambda _: np.ones(23)), clips=8, horizon=5, long_steps=0)
    prediction, single = figures["prediction"], figures["single_pass"]
    assert prediction["psnr"] == [60] * 5
    assert single["psnr"] == pytest.approx([decibels(LEVEL * t) + AREA for t in range(1, 6)], abs=1e-3)
    assert single["psnr"] == prediction["repeat_psnr"] and single["ssim"][4] < single["ssim"][0] < 1
    assert single["control"]["delta_psnr"] == single["control"]["delta_psnr_last_action"] == 0
    assert figures["control"]["delta_psnr"] > 1
    # One place of the thumbnails, the lamp, is too dark by 1 to 5 levels of LEVEL: by 3 of them on average.
    assert single["frechet"] >= 3 * (3 * LEVEL) ** 2


def test_another_last_action_costs_exactly_one_level(lamps):
    """With two actions the other one is known, so delta-PSNR has no chance in it."""
    control = evaluate(checkpoint(Lamp()), lamps(at_random), clips=12, long_steps=0)["control"]
    assert control["delta_psnr_last_action"] == pytest.approx(60 - decibels(LEVEL) - AREA, abs=1e-3)
    assert control["delta_psnr_last_action_error"] == pytest.approx(0, abs=1e-4)


def test_random_actions_cost_what_chance_says(lamps):
    """All true actions are 1: with k of four random actions 0, the lamp is off by k levels."""
    control = evaluate(checkpoint(Lamp()), lamps(lambda _: np.ones(23)), clips=60, horizon=4, long_steps=0)["control"]
    cost = [0] + [60 - decibels(k * LEVEL) - AREA for k in range(1, 5)]
    share = [math.comb(4, k) / 16 for k in range(5)]
    mean = sum(p * c for p, c in zip(share, cost, strict=True))
    error = math.sqrt(sum(p * (c - mean) ** 2 for p, c in zip(share, cost, strict=True)) / 60)
    assert abs(control["delta_psnr"] - mean) < 4 * error
    assert control["delta_psnr_error"] == pytest.approx(error, rel=0.3)


def test_repeating_the_last_frame_falls_behind_by_a_level_a_step(lamps):
    prediction = evaluate(checkpoint(Lamp()), lamps(lambda _: np.ones(23)), clips=8, long_steps=0)["prediction"]
    expected = [decibels(LEVEL * t) for t in range(1, 11)]
    assert prediction["repeat_psnr"] == pytest.approx([value + AREA for value in expected], abs=1e-3)
    assert prediction["repeat_pooled_psnr"] == pytest.approx(prediction["repeat_psnr"])
    # The median of 12 levels lies half a level from frames 5 and 6, t = 4 and 5: there nothing moves.
    moving = [value if abs(t - 4.5) > 1 else None for t, value in enumerate(expected, 1)]
    assert prediction["repeat_moving_psnr"] == [value and pytest.approx(value, abs=1e-3) for value in moving]


def test_samples_that_are_compared_share_their_noise(lamps):
    model = Lamp()
    evaluate(checkpoint(model), lamps(at_random), clips=40, long_steps=0)  # 32 clips, then 8
    true, every, one = model.seeds[:2], model.seeds[2:4], model.seeds[4:]
    assert [len(seeds) for seeds in true] == [32, 8] and len(torch.cat(true).unique()) == 40
    for other in (every, one):
        assert all(torch.equal(a, b) for a, b in zip(other, true, strict=True))
    # of the last, only the fourth action is another
    changed = [(a != b).float().mean().item() for a, b in zip(model.actions[28:32], model.actions[:4], strict=True)]
    assert changed == [0, 0, 0, 1]
    changed = [(a != b).float().mean().item() for a, b in zip(model.actions[20:24], model.actions[:4], strict=True)]
    assert all(0.2 < share < 0.8 for share in changed)


def test_only_held_out_episodes_are_used(lamps):
    recording, model = lamps(at_random), Lamp()
    evaluate(checkpoint(model), recording, clips=30, episodes=np.array([3]), horizon=4, long_steps=0)
    levels = {int(frame[0, 0, 0]) for frame in recording[3].frames}
    seen = {int(level) for prompt in model.prompts for level in prompt[:, :, 0, 0, 0].flatten()}
    assert seen <= levels

    model = Lamp()
    evaluate(checkpoint(model), recording, clips=40, horizon=4, long_steps=0)
    held_out = {recording[int(i)].frames.tobytes() for i in data.split(recording)[1]}
    pieces = {prompt.numpy().tobytes() for batch in model.prompts for prompt in batch}
    assert all(any(piece in episode for episode in held_out) for piece in pieces)


SPRITE = np.random.default_rng(1).integers(100, 256, (6, 6, 3), np.uint8)
DETECTOR = SpriteDetector([SPRITE])


class Forgetful(Lamp):
    """Paints the player in for ten steps, then leaves it out; ends the first dream at step 5; doubles it at step 3."""

    def outcome(self, state):
        frames, step = torch.zeros_like(state["frames"]), state["step"]
        if step <= 10:
            frames[:, 40:46, 20:26] = torch.from_numpy(SPRITE)
        if step == 3:
            frames[:, 40:46, 40:46] = torch.from_numpy(SPRITE)
        ended = torch.zeros(len(frames), dtype=torch.bool)
        ended[0] = step == 5
        return Outcome(frames, torch.zeros(len(frames)), ended.float(), ended, torch.zeros(len(frames), 1, 2))


def test_a_long_dream_that_loses_the_player(lamps, tmp_path):
    recording = lamps(lambda _: np.zeros(23))
    long = evaluate(
        checkpoint(Forgetful()),
        recording,
        clips=2,
        long_steps=100,
        dreams=4,
        sprite=DETECTOR,
        out=tmp_path / "pictures",
    )["long"]
    assert long["ended"] == 0.25
    sprite = long["sprite"]
    assert sprite["real"] == 0 and sprite["longest_absence"] == 0
    assert sprite["at_step"] == sprite["recently_seen"] == {"8": 1, "100": 0}
    assert sprite["overall"] == 0.1 and sprite["doubled"] == 0.01
    # real frames are black: so is the late half of the dream, and a black frame; its first tenth shows the player
    assert long["mean_level"]["real"] == long["mean_level"]["late"] == 0 < long["mean_level"]["early"]
    distance = long["frechet"]
    assert distance["late"] == distance["real"] == distance["black"] == 0 < distance["early"]
    strip = imageio.imread(tmp_path / "pictures" / "long_dreams.png")[::2, ::2]
    assert strip.shape == (4 * 65 - 1, 3 * 65 - 1, 3)
    np.testing.assert_array_equal(strip[40:46, 65 + 20 : 65 + 26], SPRITE)  # step 8 of the first dream
    assert strip[:64, 130:].max() == 0  # step 100


def test_real_play_is_measured_against_other_real_play(lamps):
    recording = lamps(lambda number: np.full(23, number % 2))  # every other lamp stays off
    episodes = np.array([i for i in range(12) if not recording[i].frames.any()][:2])
    figures = {"clips": 2, "long_steps": 8, "dreams": 2}
    distance = evaluate(checkpoint(Forgetful()), recording, episodes=episodes, **figures)["long"]["frechet"]
    off, mixed = (
        thumbnails(np.concatenate([recording[i].frames for i in range(12) if (i in episodes) == held_out]))
        for held_out in (True, False)
    )
    assert distance["real"] == pytest.approx(frechet_distance(mixed, off), rel=1e-3) and distance["real"] > 1
    assert distance["black"] == pytest.approx(0, abs=1e-3)


def test_prediction_without_the_player_is_noticed(lamps):
    recording = lamps(lambda _: np.zeros(23))

    class Blind(Lamp):
        def step(self, state, actions, sampling):
            outcome = super().step(state, actions, sampling)
            if state["step"] > 3:
                outcome.frames = torch.zeros_like(outcome.frames)
            return outcome

    lamp_on = SpriteDetector([np.pad(np.full((8, 8, 3), 200, np.uint8), ((0, 2), (0, 2), (0, 0)))])
    bright = [
        data.Episode(brighter(torch.from_numpy(e.frames), torch.full((24,), 200)).numpy(), e.actions, e.rewards)
        for e in recording.episodes()
    ]
    folder = recording.folder.with_name("bright")
    with data.RecordingWriter(folder, {"game": GAME, "actions": ["NOOP", "BRIGHTER"]}) as writer:
        for episode in bright:
            writer.append(episode)
    figures = evaluate(checkpoint(Blind()), data.Recording(folder), clips=5, long_steps=0, sprite=lamp_on)["sprite"]
    assert figures["real"] == [1] * 10
    assert figures["kept"] == figures["in_place"] == [1] * 3 + [0] * 7
    assert figures["pictured"] == 1


def test_thumbnails_are_means_of_places():
    frames = np.random.default_rng(0).integers(0, 256, (2, 3, 64, 64, 3), np.uint8)
    small = thumbnails(frames)
    assert small.shape == (6, 192)
    assert small[4].reshape(8, 8, 3)[2, 5, 1] == pytest.approx(frames[1, 1, 16:24, 40:48, 1].mean(), abs=1e-4)


def test_an_absence_counts_if_the_player_comes_back():
    assert longest_absence(np.array([0, 0, 1, 1, 0, 0, 0, 1, 0, 1, 0, 0, 0, 0, 0], bool)) == 3
    assert longest_absence(np.zeros(9, bool)) == longest_absence(np.ones(9, bool)) == 0


@pytest.fixture(scope="module")
def toy(tmp_path_factory) -> data.Recording:
    return data.Recording(record(tmp_path_factory.mktemp("toy"), 5, 60))


def test_a_real_model_gives_the_same_json_for_the_same_seed(toy, tmp_path):
    model = untrained()

    def figures(seed: int, out: Path | None = None) -> dict:
        found = evaluate(
            model, toy, clips=6, horizon=5, sampling=Sampling(2, 1.0), seed=seed, long_steps=12, dreams=2, out=out
        )
        del found["speed"]
        return found

    first = figures(1, tmp_path)
    assert json.loads(json.dumps(first, allow_nan=False)) == first == figures(1)
    assert first["prediction"] != figures(2)["prediction"]
    assert first["game"] == "Toy-Numpy" and len(first["prediction"]["psnr"]) == 5
    assert abs(first["control"]["delta_psnr"]) < 2  # it knows nothing of actions
    assert first["long"]["frechet"]["late"] > 2 * first["long"]["frechet"]["real"]  # nor of pictures
    strip = imageio.imread(tmp_path / "prediction.png")
    assert strip.shape == ((6 * 3 * 65 - 1) * 2, (5 * 65 - 1) * 2, 3)
    assert imageio.imread(tmp_path / "long_dreams.png").shape == ((2 * 65 - 1) * 2, (2 * 65 - 1) * 2, 3)


def test_the_table_shows_the_main_figures(toy):
    from rich.console import Console

    figures = evaluate(untrained(), toy, clips=4, horizon=4, long_steps=10, dreams=2)
    console = Console(width=100)
    with console.capture() as captured:
        console.print(summary(figures))
    text = captured.get()
    assert f"{figures['prediction']['psnr'][3]:.2f}" in text
    assert f"{figures['control']['delta_psnr']:.2f}" in text
    assert f"{figures['reconstruction']['moving_psnr']:.2f}" in text


def test_the_table_shows_a_dash_for_what_is_no_number(toy):
    figures = evaluate(untrained(), toy, clips=4, horizon=4, long_steps=10, dreams=2)
    same = np.zeros(9, int)
    figures["latent"] = plain(compare_actions(same, same))  # one code, one action: no information to be mutual
    figures["long"]["frechet"]["real"] = None
    cells = [[*column.cells] for column in summary(figures).columns]
    shown = dict(zip(cells[0], cells[1], strict=True))
    assert shown["latent and true actions (chance), mutual information"] == "- (-)"
    assert shown["Frechet distance late in dreams (real, black)"].endswith(
        f"(-, {figures['long']['frechet']['black']:.0f})"
    )


def test_refuses_what_cannot_be_scored(toy, lamps, tmp_path):
    with pytest.raises(ConfigError, match="horizon"):
        evaluate(untrained(), toy, horizon=3)
    for wrong in ({"seed": -1}, {"clips": 0}, {"long_steps": -5}, {"long_steps": 1}):
        with pytest.raises(ConfigError, match="must be"):
            evaluate(untrained(), toy, **wrong)
    with pytest.raises(ConfigError, match="BRIGHTER"):
        evaluate(untrained(), lamps(at_random))
    Path(tmp_path / "file").touch()
    with pytest.raises(DataError, match="cannot write"):
        evaluate(untrained(), toy, clips=2, horizon=4, long_steps=0, out=tmp_path / "file")
    with pytest.raises(DataError, match="no window of 26 frames"):
        evaluate(checkpoint(Lamp()), lamps(at_random), horizon=24)


def test_a_model_of_latent_actions_is_scored_under_those_it_finds(tmp_path):
    recording, latent = data.Recording(record(tmp_path, 6, 30)), untrained_latent()
    episodes = np.arange(4)
    figures = evaluate(latent, recording, episodes=episodes, clips=4, horizon=4, long_steps=0)
    codes, actions = [], []
    for index in range(4):
        episode = recording[index]
        frames = torch.from_numpy(episode.frames.astype(np.float32) / 255).permute(0, 3, 1, 2)
        codes.extend(latent.model.latent_actions.codes(frames[None])[0].tolist())
        actions.extend(episode.actions.tolist())
    found = figures["latent"]
    assert found["nmi"] == pytest.approx(mutual_information(count_pairs(np.array(codes), np.array(actions))), abs=1e-4)
    assert found["steps"] == len(codes) and found["codes"] == len(set(codes)) > 1
    assert found["most_frequent"] == pytest.approx(max(actions.count(a) for a in range(4)) / len(actions), abs=1e-4)
    assert "latent and true actions" in str([list(column.cells) for column in summary(figures).columns])

    header = json.loads((tmp_path / "recording.json").read_text())
    header["runs"][0]["no_actions"] = True
    (tmp_path / "recording.json").write_text(json.dumps(header))
    silent = evaluate(latent, data.Recording(tmp_path), episodes=episodes, clips=4, horizon=4, long_steps=0)
    assert silent["latent"] is None and silent["control"] == figures["control"]


def test_a_model_of_latent_actions_is_scored_under_the_buttons(tmp_path):
    """A model of real actions, disguised as one of latent ones, scores the same under buttons that stand for them."""
    recording, plain_model = data.Recording(record(tmp_path, 6, 30)), untrained()
    settings = {"episodes": np.arange(4), "clips": 4, "horizon": 4, "long_steps": 0, "buttons": True}
    latent = LatentActionModel(LatentActionConfig(4, patch=16, dim=16, heads=2, encoder_blocks=1, decoder_blocks=1))
    model = WorldModel(plain_model.model.tokenizer, plain_model.model.dynamics, latent.eval())
    game = plain_model.game | {"actions": untrained_latent(4).game["actions"]}
    disguised = replace(plain_model, model=model, game=game)
    with pytest.raises(ConfigError, match="knows no buttons"):
        evaluate(disguised, recording, **settings)
    actions = recording.header["game"]["actions"]
    with pytest.raises(ConfigError, match="the model's actions are NOOP"):
        evaluate(replace(disguised, buttons=ButtonMap(actions[:2], [0, 1])), recording, **settings)
    same = evaluate(replace(disguised, buttons=ButtonMap(actions, [0, 1, 2, 3])), recording, **settings)
    expected = evaluate(plain_model, recording, **settings)
    assert same["control"] == expected["control"] and same["prediction"] == expected["prediction"]
    assert same["latent"]["steps"] > 0 and expected["latent"] is None

    codes = np.array([2, 0, 3, 1])
    turned = evaluate(replace(disguised, buttons=ButtonMap(actions, codes.tolist())), recording, **settings)
    pressed = [codes[recording.steps(i)[0]] for i in range(len(recording))]
    other = evaluate(plain_model, recording.with_actions(recording.header["game"], pressed), **settings)
    assert turned["prediction"] == other["prediction"] != expected["prediction"]
    # All buttons are one code: whatever is pressed, nothing else happens.
    one = evaluate(replace(disguised, buttons=ButtonMap(actions, [1, 1, 1, 1])), recording, **settings)
    assert one["control"]["delta_psnr"] == one["control"]["delta_psnr_last_action"] == 0
