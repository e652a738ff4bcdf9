"""Evaluation of models whose figures can be worked out by hand, and of an untrained one."""

import json
import math
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import imageio.v3 as imageio
import numpy as np
import pytest
import torch
from scipy.stats import sem

from genie_gym import data
from genie_gym.errors import ConfigError, DataError
from genie_gym.evaluation.config import EvalConfig
from genie_gym.evaluation.evaluate import evaluate
from genie_gym.evaluation.frame_metrics import step_metrics, thumbnails
from genie_gym.evaluation.long_horizon import longest_absence
from genie_gym.evaluation.results import EvalReport
from genie_gym.evaluation.sprites import SpriteDetector
from genie_gym.metrics.image import frechet_distance
from genie_gym.metrics.latent_actions import count_pairs, mutual_information
from genie_gym.models.lam import LatentActionConfig, LatentActionModel
from genie_gym.utils import paths
from genie_gym.world_model import ActionMap, Checkpoint, Outcome, SamplingConfig, WorldModel
from genie_gym.world_model.actions.latent_relabel import compare_actions
from tests.conftest import untrained, untrained_latent
from tests.toy_play import record

LEVEL, PATCH = 10, 8  # action 1 makes a lamp of 8 x 8 pixels on black brighter by 10 levels
SHARE = PATCH**2 / 64**2  # of the lamp in a frame
AREA = -10 * math.log10(SHARE)  # dB that the black around the lamp adds to a frame's PSNR
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
    """A model that knows the game perfectly; its tokens are frames. It keeps the seeds and the actions it was given."""

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

    def single_pass(self, frames, prev_actions, actions, seeds, sampling):
        levels = (LEVEL * actions.cumsum(1)).unbind(1)
        return torch.stack([brighter(frames[:, -1], level) for level in levels], 1)

    def outcome(self, state):
        b = len(state["frames"])
        return Outcome(state["frames"], torch.zeros(b), torch.zeros(b), torch.zeros(b) > 0, torch.zeros(b, 1, 2))


def checkpoint(model) -> Checkpoint:
    return Checkpoint(model, GAME, {}, SamplingConfig(steps=3))


@pytest.fixture
def lamps(tmp_path):
    """Make a dataset of the lamp under actions that are a function of the episode's number."""

    def make(actions) -> data.EpisodeDataset:
        with data.EpisodeWriter(tmp_path / "lamp", {"game": GAME, "actions": ["NOOP", "BRIGHTER"]}) as writer:
            for number in range(12):
                taken = np.asarray(actions(number), np.int64)
                levels = LEVEL * np.concatenate([[0], taken.cumsum()])
                frames = np.zeros((len(levels), 64, 64, 3), np.uint8)
                frames[:, :PATCH, :PATCH] = levels[:, None, None, None]
                writer.append(data.Episode(frames, taken, np.zeros(len(taken), np.float32)))
        return data.EpisodeDataset(tmp_path / "lamp")

    return make


def at_random(number: int) -> np.ndarray:
    return np.random.default_rng(number).integers(0, 2, 23)


def test_a_perfect_model_reaches_the_ceiling_at_every_step(lamps):
    report = evaluate(checkpoint(Lamp()), lamps(at_random), clips=10, long_steps=0)
    seen = report.reconstruction
    assert seen.mse == seen.moving_mse == 0
    assert seen.psnr == seen.moving_psnr == 60 and seen.ssim == pytest.approx(1)
    assert seen.frechet == pytest.approx(0, abs=0.01)
    for ahead in (report.prediction, report.single_pass):
        assert ahead.mse == [0] * 10 and ahead.psnr == ahead.pooled_psnr == [60] * 10
        assert ahead.ssim == pytest.approx([1] * 10)
        assert ahead.frechet == pytest.approx(0, abs=0.01)
    assert report.single_pass_controllability == report.controllability
    assert report.sprite is None and report.long_horizon is None
    assert report.settings.sampling.steps == 3


class Hasty(Lamp):
    """Repeats the last context frame in a single pass."""

    def single_pass(self, frames, prev_actions, actions, seeds, sampling):
        return frames[:, -1:].expand(-1, actions.shape[1], -1, -1, -1)


def test_a_single_pass_is_evaluated_separately(lamps):
    report = evaluate(checkpoint(Hasty()), lamps(lambda _: np.ones(23)), clips=8, horizon=5, long_steps=0)
    single = report.single_pass
    assert report.prediction.psnr == [60] * 5
    assert single.psnr == pytest.approx([decibels(LEVEL * t) + AREA for t in range(1, 6)])
    assert (single.psnr, single.mse) == (report.repeat.psnr, report.repeat.mse) and single.ssim[4] < single.ssim[0] < 1
    alone = report.single_pass_controllability
    assert alone.delta_psnr == alone.delta_psnr_last_action == 0
    assert report.controllability.delta_psnr > 1
    # One cell of the thumbnails, the lamp, is too dark by 1 to 5 levels of LEVEL: by 3 of them on average.
    assert single.frechet >= 3 * (3 * LEVEL) ** 2


def test_another_last_action_costs_exactly_one_level(lamps):
    """With two actions the other one is known, so delta-PSNR has no chance in it."""
    found = evaluate(checkpoint(Lamp()), lamps(at_random), clips=12, long_steps=0).controllability
    assert found.delta_psnr_last_action == pytest.approx(60 - decibels(LEVEL) - AREA)
    assert found.delta_psnr_last_action_error == pytest.approx(0, abs=1e-4)


def test_the_error_of_the_psnr_is_that_of_scipy():
    real = np.random.default_rng(0).integers(0, 256, (7, 2, 8, 8, 3), np.uint8)
    shown = np.clip(real + np.arange(1, 8)[:, None, None, None, None], 0, 255).astype(np.uint8)
    found = step_metrics(shown, real, np.ones((7, 2, 8, 8), bool))
    squares = ((shown.astype(float) - real) ** 2).mean((2, 3, 4))
    assert found.psnr_error == pytest.approx(sem(10 * np.log10(255**2 / squares)))
    assert np.isnan(step_metrics(shown[:1], real[:1], np.ones((1, 2, 8, 8), bool)).psnr_error).all()


def test_random_actions_cost_what_chance_says(lamps):
    """All true actions are 1: with k of four random actions 0, the lamp is off by k levels."""
    dataset = lamps(lambda _: np.ones(23))
    found = evaluate(checkpoint(Lamp()), dataset, clips=60, horizon=4, long_steps=0).controllability
    cost = [0] + [60 - decibels(k * LEVEL) - AREA for k in range(1, 5)]
    share = [math.comb(4, k) / 16 for k in range(5)]
    mean = sum(p * c for p, c in zip(share, cost, strict=True))
    error = math.sqrt(sum(p * (c - mean) ** 2 for p, c in zip(share, cost, strict=True)) / 60)
    assert abs(found.delta_psnr - mean) < 4 * error
    assert found.delta_psnr_error == pytest.approx(error, rel=0.3)


def test_repeating_the_last_frame_falls_behind_by_a_level_a_step(lamps):
    repeat = evaluate(checkpoint(Lamp()), lamps(lambda _: np.ones(23)), clips=8, long_steps=0).repeat
    errors = np.array([LEVEL * t for t in range(1, 11)], float)
    expected = np.array([decibels(error) for error in errors])
    assert repeat.mse == pytest.approx(errors**2 * SHARE)
    assert repeat.psnr == pytest.approx(expected + AREA)
    assert repeat.pooled_psnr == pytest.approx(repeat.psnr)
    assert repeat.psnr_error == pytest.approx([0] * 10, abs=1e-6)  # alike in all clips
    # The median of 12 levels lies half a level from frames 5 and 6, t = 4 and 5: there nothing moves.
    moving = abs(np.arange(1, 11) - 4.5) > 1
    assert repeat.moving_mse == pytest.approx(np.where(moving, errors**2, np.nan), nan_ok=True)
    assert repeat.moving_psnr == pytest.approx(np.where(moving, expected, np.nan), nan_ok=True)


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
    dataset, model = lamps(at_random), Lamp()
    evaluate(checkpoint(model), dataset, clips=30, episodes=np.array([3]), horizon=4, long_steps=0)
    levels = {int(frame[0, 0, 0]) for frame in dataset[3].frames}
    seen = {int(level) for prompt in model.prompts for level in prompt[:, :, 0, 0, 0].flatten()}
    assert seen <= levels

    model = Lamp()
    evaluate(checkpoint(model), dataset, clips=40, horizon=4, long_steps=0)
    held_out = {dataset[int(i)].frames.tobytes() for i in data.split(dataset)[1]}
    pieces = {prompt.numpy().tobytes() for batch in model.prompts for prompt in batch}
    assert all(any(piece in episode for episode in held_out) for piece in pieces)


SPRITE = np.random.default_rng(1).integers(100, 256, (6, 6, 3), np.uint8)
DETECTOR = SpriteDetector([SPRITE])


class Forgetful(Lamp):
    """Shows the player for ten steps, twice at step 3; terminates the first rollout at step 5."""

    def outcome(self, state):
        frames, step = torch.zeros_like(state["frames"]), state["step"]
        if step <= 10:
            frames[:, 40:46, 20:26] = torch.from_numpy(SPRITE)
        if step == 3:
            frames[:, 40:46, 40:46] = torch.from_numpy(SPRITE)
        over = torch.zeros(len(frames), dtype=torch.bool)
        over[0] = step == 5
        return Outcome(frames, torch.zeros(len(frames)), over.float(), over, torch.zeros(len(frames), 1, 2))


def test_a_long_rollout_that_loses_the_player(lamps, tmp_path):
    dataset = lamps(lambda _: np.zeros(23))
    long = evaluate(
        checkpoint(Forgetful()),
        dataset,
        clips=2,
        long_steps=100,
        num_rollouts=4,
        sprite=DETECTOR,
        out=tmp_path / "images",
    ).long_horizon
    assert long.terminated == 0.25
    sprite = long.sprite
    assert sprite.real == 0 and sprite.longest_absence == 0
    assert sprite.at_step == sprite.recently_seen == {8: 1, 100: 0}
    assert sprite.overall == pytest.approx(0.1) and sprite.doubled == pytest.approx(0.01)
    # real frames are black, and so is the second half of the rollouts; their first tenth shows the player
    assert long.mean_level.real == long.mean_level.late == 0 < long.mean_level.early
    distance = long.frechet
    assert distance.late == distance.real == distance.black == 0 < distance.early
    strip = imageio.imread(tmp_path / "images" / "long_rollouts.png")[::2, ::2]
    assert strip.shape == (4 * 65 - 1, 3 * 65 - 1, 3)
    np.testing.assert_array_equal(strip[40:46, 65 + 20 : 65 + 26], SPRITE)  # step 8 of the first rollout
    assert strip[:64, 130:].max() == 0  # step 100


def test_held_out_episodes_are_compared_with_the_other_episodes(lamps):
    dataset = lamps(lambda number: np.full(23, number % 2))  # every other lamp stays off
    episodes = np.array([i for i in range(12) if not dataset[i].frames.any()][:2])
    options = {"clips": 2, "long_steps": 8, "num_rollouts": 2}
    distance = evaluate(checkpoint(Forgetful()), dataset, episodes=episodes, **options).long_horizon.frechet
    off, mixed = (
        thumbnails(np.concatenate([dataset[i].frames for i in range(12) if (i in episodes) == held_out]))
        for held_out in (True, False)
    )
    assert distance.real == pytest.approx(frechet_distance(mixed, off), rel=1e-3) and distance.real > 1
    assert distance.black == pytest.approx(0, abs=1e-3)


def test_prediction_without_the_player_is_noticed(lamps):
    dataset = lamps(lambda _: np.zeros(23))

    class Blind(Lamp):
        def step(self, state, actions, sampling):
            outcome = super().step(state, actions, sampling)
            if state["step"] > 3:
                outcome.frames = torch.zeros_like(outcome.frames)
            return outcome

    lamp_on = SpriteDetector([np.pad(np.full((8, 8, 3), 200, np.uint8), ((0, 2), (0, 2), (0, 0)))])
    bright = [
        data.Episode(brighter(torch.from_numpy(e.frames), torch.full((24,), 200)).numpy(), e.actions, e.rewards)
        for e in dataset.episodes()
    ]
    folder = dataset.folder.with_name("bright")
    with data.EpisodeWriter(folder, {"game": GAME, "actions": ["NOOP", "BRIGHTER"]}) as writer:
        for episode in bright:
            writer.append(episode)
    bright = data.EpisodeDataset(folder)
    found = evaluate(checkpoint(Blind()), bright, clips=5, long_steps=0, sprite=lamp_on).sprite
    assert found.real == [1] * 10
    assert found.kept == found.in_place == [1] * 3 + [0] * 7
    assert found.reconstructed == 1


def test_thumbnails_are_means_of_cells():
    frames = np.random.default_rng(0).integers(0, 256, (2, 3, 64, 64, 3), np.uint8)
    small = thumbnails(frames)
    assert small.shape == (6, 192)
    assert small[4].reshape(8, 8, 3)[2, 5, 1] == pytest.approx(frames[1, 1, 16:24, 40:48, 1].mean(), abs=1e-4)


def test_an_absence_counts_if_the_player_comes_back():
    assert longest_absence(np.array([0, 0, 1, 1, 0, 0, 0, 1, 0, 1, 0, 0, 0, 0, 0], bool)) == 3
    assert longest_absence(np.zeros(9, bool)) == longest_absence(np.ones(9, bool)) == 0


@pytest.fixture(scope="module")
def toy(tmp_path_factory) -> data.EpisodeDataset:
    return data.EpisodeDataset(record(tmp_path_factory.mktemp("toy"), 5, 60))


def test_a_real_model_gives_the_same_json_for_the_same_seed(toy, tmp_path):
    model = untrained()

    def figures(seed: int, out: Path | None = None) -> dict:
        options = {"sampling_steps": 2, "temperature": 1.0, "long_steps": 12, "num_rollouts": 2}
        found = evaluate(model, toy, clips=6, horizon=5, seed=seed, out=out, **options).to_dict()
        del found["speed"]
        return found

    first = figures(1, tmp_path)
    assert json.loads(json.dumps(first, allow_nan=False)) == first == figures(1)
    assert first["prediction"] != figures(2)["prediction"]
    assert first["game"] == "Toy-Numpy" and len(first["prediction"]["psnr"]) == 5
    assert first["settings"]["sampling"]["steps"] == 2
    assert abs(first["controllability"]["delta_psnr"]) < 2  # it knows nothing of actions
    distance = first["long_horizon"]["frechet"]
    assert distance["late"] > 2 * distance["real"]  # nor of frames
    written = json.loads((tmp_path / "figures.json").read_text())
    assert {name: part for name, part in written.items() if name != "speed"} == first
    strip = imageio.imread(tmp_path / "prediction.png")
    assert strip.shape == ((6 * 3 * 65 - 1) * 2, (5 * 65 - 1) * 2, 3)
    assert imageio.imread(tmp_path / "long_rollouts.png").shape == ((2 * 65 - 1) * 2, (2 * 65 - 1) * 2, 3)


def test_the_table_shows_the_main_figures(toy):
    from rich.console import Console

    report = evaluate(untrained(), toy, clips=4, horizon=4, long_steps=10, num_rollouts=2)
    console = Console(width=100)
    with console.capture() as captured:
        console.print(report.summary())
    text = captured.get()
    assert f"{report.prediction.psnr[3]:.2f}" in text
    assert f"{report.controllability.delta_psnr:.2f}" in text
    assert f"{report.reconstruction.moving_psnr:.2f}" in text
    first = [next(iter(column.cells)) for column in report.summary().columns]
    assert first[0].startswith("MSE")
    assert first[1:] == [f"{report.prediction.mse[0]:.2f}", f"{report.prediction.moving_mse[0]:.2f}"]


def test_the_table_shows_a_dash_for_what_is_no_number(toy):
    report = evaluate(untrained(), toy, clips=4, horizon=4, long_steps=10, num_rollouts=2)
    same = np.zeros(9, int)
    constant = compare_actions(same, same)  # one code, one action: no information
    distances = replace(report.long_horizon.frechet, real=None)
    report = replace(report, latent_actions=constant, long_horizon=replace(report.long_horizon, frechet=distances))
    shown = cells(report)
    assert shown["latent and true actions (shuffled), mutual information"] == "- (-)"
    assert shown["Frechet distance late in rollouts (real, black)"].endswith(f"(-, {distances.black:.0f})")


def cells(report: EvalReport) -> dict[str, str]:
    """Return the first value of each row of the summary by its name."""
    names, values, _ = ([*column.cells] for column in report.summary().columns)
    return dict(zip(names, values, strict=True))


def test_a_configuration_is_the_same_as_its_options(toy, tmp_path):
    untrained().save(tmp_path / "model")
    options = {"clips": 3, "horizon": 4, "long_steps": 0, "seed": 5}
    config = EvalConfig(str(tmp_path / "model"), data=toy.folder, **options)
    by_config, by_options = evaluate(config), evaluate(tmp_path / "model", toy, **options)
    assert by_config.prediction == by_options.prediction
    assert by_config.prediction == evaluate(Checkpoint.load(tmp_path / "model"), toy, **options).prediction
    with pytest.raises(ConfigError, match="clips"):
        evaluate(config, clips=4)
    with pytest.raises(ConfigError, match="did you mean 'horizon'"):
        evaluate(tmp_path / "model", toy, horison=4)


def test_a_dataset_is_found_by_the_games_name(tmp_path):
    with pytest.raises(DataError, match="genie-gym collect Toy-Numpy"):
        evaluate(untrained(), clips=2)
    record(paths.data_dir("Toy-Numpy"), 4, 30)
    assert evaluate(untrained(), clips=2, horizon=4, long_steps=0).game == "Toy-Numpy"
    other = data.EpisodeDataset(paths.data_dir("Toy-Numpy")).folder
    with pytest.raises(ConfigError, match="not of Airstriker-Genesis"):
        evaluate(untrained("Airstriker-Genesis"), data=other)


def test_refuses_what_cannot_be_evaluated(toy, lamps, tmp_path):
    with pytest.raises(ConfigError, match="horizon"):
        evaluate(untrained(), toy, horizon=3)
    for wrong in ({"seed": -1}, {"clips": 0}, {"long_steps": -5}, {"long_steps": 1}):
        with pytest.raises(ConfigError, match="must be"):
            evaluate(untrained(), toy, **wrong)
    with pytest.raises(ConfigError, match="BRIGHTER"):
        evaluate(untrained(), lamps(at_random))
    with pytest.raises(ConfigError, match="a model of Toy-Numpy alone"):
        evaluate(untrained(), toy, game="Airstriker")
    Path(tmp_path / "file").touch()
    with pytest.raises(DataError, match="cannot write"):
        evaluate(untrained(), toy, clips=2, horizon=4, long_steps=0, out=tmp_path / "file")
    with pytest.raises(DataError, match=r"clips have 2 \+ 24 frames .* give --horizon \d+"):
        evaluate(checkpoint(Lamp()), lamps(at_random), horizon=24)


def test_a_latent_action_model_is_evaluated_under_the_actions_it_infers(tmp_path):
    dataset, latent = data.EpisodeDataset(record(tmp_path, 6, 30)), untrained_latent()
    episodes = np.arange(4)
    report = evaluate(latent, dataset, episodes=episodes, clips=4, horizon=4, long_steps=0)
    codes, actions = [], []
    for index in range(4):
        episode = dataset[index]
        frames = torch.from_numpy(episode.frames.astype(np.float32) / 255).permute(0, 3, 1, 2)
        codes.extend(latent.model.latent_actions.codes(frames[None])[0].tolist())
        actions.extend(episode.actions.tolist())
    found = report.latent_actions
    assert found.nmi == pytest.approx(mutual_information(count_pairs(np.array(codes), np.array(actions))))
    assert found.steps == len(codes) and found.codes == len(set(codes)) > 1
    assert found.most_frequent == pytest.approx(max(actions.count(a) for a in range(4)) / len(actions))
    assert any("latent and true actions" in name for name in cells(report))

    header = json.loads((tmp_path / "recording.json").read_text())
    header["runs"][0]["no_actions"] = True
    (tmp_path / "recording.json").write_text(json.dumps(header))
    silent = evaluate(latent, data.EpisodeDataset(tmp_path), episodes=episodes, clips=4, horizon=4, long_steps=0)
    assert silent.latent_actions is None and silent.controllability == report.controllability


def test_a_latent_action_model_is_evaluated_under_real_actions(tmp_path):
    """A model of real actions, disguised as one of latent ones, gives the same figures through an action map."""
    dataset, plain_model = data.EpisodeDataset(record(tmp_path, 6, 30)), untrained()
    settings = {"episodes": np.arange(4), "clips": 4, "horizon": 4, "long_steps": 0, "real_actions": True}
    latent = LatentActionModel(LatentActionConfig(4, patch=16, dim=16, heads=2, encoder_blocks=1, decoder_blocks=1))
    model = WorldModel(plain_model.model.tokenizer, plain_model.model.dynamics, latent.eval())
    game = plain_model.game | {"actions": untrained_latent(4).game["actions"]}
    disguised = replace(plain_model, model=model, game=game)
    with pytest.raises(ConfigError, match="has no action map"):
        evaluate(disguised, dataset, **settings)
    actions = dataset.header["game"]["actions"]
    with pytest.raises(ConfigError, match="the model's actions are NOOP"):
        evaluate(replace(disguised, action_map=ActionMap(actions[:2], [0, 1])), dataset, **settings)
    same = evaluate(replace(disguised, action_map=ActionMap(actions, [0, 1, 2, 3])), dataset, **settings)
    expected = evaluate(plain_model, dataset, **settings)
    assert same.controllability == expected.controllability and same.prediction == expected.prediction
    assert same.latent_actions.steps > 0 and expected.latent_actions is None
    assert same.settings.real_actions and not expected.settings.real_actions

    codes = np.array([2, 0, 3, 1])
    turned = evaluate(replace(disguised, action_map=ActionMap(actions, codes.tolist())), dataset, **settings)
    mapped = [codes[dataset.steps(i)[0]] for i in range(len(dataset))]
    other = evaluate(plain_model, dataset.with_actions(dataset.header["game"], mapped), **settings)
    assert turned.prediction == other.prediction != expected.prediction
    # All actions are one code: whatever is pressed, nothing else happens.
    one = evaluate(replace(disguised, action_map=ActionMap(actions, [1, 1, 1, 1])), dataset, **settings)
    assert one.controllability.delta_psnr == one.controllability.delta_psnr_last_action == 0
