"""What feeds each stage of a fit: tokens beside the actions that led to them, and validation over all clips."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from genie_gym import data
from genie_gym.metrics.image import psnr
from genie_gym.models.dynamics import Dynamics, DynamicsConfig
from genie_gym.models.lam import LatentActionConfig, LatentActionModel
from genie_gym.models.tokenizer import Tokenizer, TokenizerConfig
from genie_gym.training import stages
from genie_gym.training.loop.config import TrainerConfig
from genie_gym.training.loop.trainer import StageReport
from genie_gym.training.stages import (
    token_batch,
    train_decoder,
    train_dynamics,
    train_lam,
    train_tokenizer,
    validate_dreams,
)
from genie_gym.utils.images import to_model
from genie_gym.world_model import SamplingConfig, WorldModel
from tests.conftest import chosen_codes, excited

HEADER = {"game": {"name": "Toy-Numpy"}, "actions": ["A", "B", "C"]}
CONFIG = TrainerConfig(steps=2, batch_size=4, precision="float32", warmup=1)


@pytest.fixture
def tokenizer() -> Tokenizer:
    sizes = {"dim": 8, "heads": 1, "window": 3, "encoder_blocks": 1, "decoder_blocks": 1}
    return excited(Tokenizer(TokenizerConfig(patch=16, codes=16, code_dim=4, **sizes)))


@pytest.fixture
def dynamics() -> Dynamics:
    return excited(Dynamics(DynamicsConfig(3, dim=8, blocks=1, heads=1, side=4, window=3, codes=16, code_dim=4)))


@pytest.fixture
def recording(tmp_path) -> data.EpisodeDataset:
    """Three episodes of 12, 19 and 26 frames, of slowly moving blocks; 18 windows of 3 frames in order."""
    rng = np.random.default_rng(0)
    with data.EpisodeWriter(tmp_path, HEADER) as writer:
        for i in range(3):
            length = 12 + 7 * i
            blocks = rng.integers(0, 256, (4, 4, 3), np.uint8).repeat(16, 0).repeat(16, 1)
            frames = np.stack([np.roll(blocks, 2 * t, 1) for t in range(length)])
            if i == 2:
                frames[:, :32] = frames[0, :32]  # half of it stands still, so batches differ in how much changes
            actions = rng.integers(0, 3, length - 1)
            rewards = rng.normal(size=length - 1).astype(np.float32)
            writer.append(data.Episode(frames, actions, rewards, True, False, {"id": f"{i}"}))
    return data.EpisodeDataset(tmp_path)


def test_each_frame_stands_beside_what_led_to_it(tokenizer, recording):
    episode = recording[0]
    window = next(data.SequenceDataset(recording, 12).in_order(1))  # the whole first episode
    batch = token_batch(tokenizer, window, 0, 12, "float32")
    assert batch["actions"][0].tolist() == [-1, *episode.actions]
    np.testing.assert_allclose(batch["rewards"][0], [0, *episode.rewards])
    assert batch["terminated"][0].tolist() == [False] * 11 + [True] and batch["terminated"].dtype == torch.bool
    frames = torch.from_numpy(episode.frames.astype(np.float32) / 255).permute(0, 3, 1, 2)
    assert torch.equal(batch["tokens"], tokenizer.encode(frames[None]))


def test_a_clip_from_the_middle_keeps_its_places(tokenizer, recording):
    window = next(data.SequenceDataset(recording, 12).in_order(2))
    whole, part = (token_batch(tokenizer, window, *span, "float32") for span in ((0, 12), (4, 9)))
    assert {name: value.shape[1] for name, value in part.items()} == dict.fromkeys(part, 5)
    assert all(value.is_contiguous() for value in part.values())  # or a compiled fit compiles for each place
    for name in ("tokens", "rewards", "terminated", "changed"):
        assert torch.equal(part[name], whole[name][:, 4:9]), name
    assert torch.equal(part["actions"][:, 1:], whole["actions"][:, 5:9])
    assert (part["actions"][:, 0] == -1).all() and (whole["actions"][:, 4] >= 0).all()


def test_changed_tokens_in_numpy(tokenizer):
    rng = np.random.default_rng(1)
    frames = np.full((1, 5, 64, 64, 3), 100, np.uint8)
    for t in range(1, 5):
        frames[0, t] = frames[0, t - 1]
        y, x = rng.integers(64, size=2)
        frames[0, t, y, x, t % 3] += [0, 5, 6, 20, 100][t]  # at most 5 levels is no change
    batch = {"frames": frames, "actions": np.zeros((1, 4), np.int64), "rewards": np.zeros((1, 4), np.float32)}
    batch["terminated"] = np.zeros((1, 4), bool)
    changed = token_batch(tokenizer, batch, 0, 5, "float32")["changed"][0].numpy()
    for t in range(5):
        for n in range(16):
            y, x = 16 * (n // 4), 16 * (n % 4)
            patches = frames[0, max(t - 1, 0) : t + 1, y : y + 16, x : x + 16].astype(int)
            assert changed[t, n] == (np.abs(patches[-1] - patches[0]).max() > 5), (t, n)
    assert changed.sum(1).tolist() == [0, 0, 1, 1, 1]


def fed(monkeypatch) -> dict:
    """Catches what a stage hands to the loop."""
    caught: dict = {}

    def fit(model, sample, validate, config, folder, name):
        caught.update(sample=sample, validate=validate)
        return StageReport(0, 0.0)

    monkeypatch.setattr(stages, "run_training", fit)
    return caught


def test_batches_of_any_length_have_equally_many_frames(tokenizer, dynamics, recording, tmp_path, monkeypatch):
    caught = fed(monkeypatch)
    train = data.SequenceDataset(recording, 12)
    train_dynamics(dynamics, tokenizer, train, train, CONFIG, tmp_path / "run", clip_lengths=(2, 4, 8))
    assert torch.equal(dynamics.codebook, tokenizer.codebook.codes)
    rng = np.random.default_rng(0)
    shapes = [tuple(caught["sample"](rng, 4)["tokens"].shape[:2]) for _ in range(40)]
    assert set(shapes) == {(4, 2), (2, 4), (1, 8)}


def test_half_of_the_dynamics_clips_start_later_in_the_window(tokenizer, dynamics, recording, tmp_path, monkeypatch):
    caught, starts = fed(monkeypatch), []
    monkeypatch.setattr(stages, "token_batch", lambda _, clips, start, stop, precision: starts.append((start, stop)))
    train = data.SequenceDataset(recording, 12)
    train_dynamics(dynamics, tokenizer, train, train, CONFIG, tmp_path / "run", clip_lengths=(4,))
    rng = np.random.default_rng(0)
    for _ in range(300):
        caught["sample"](rng, 1)
    assert {stop - start for start, stop in starts} == {4}
    assert {start for start, _ in starts} == set(range(9))
    assert np.mean([start == 0 for start, _ in starts]) == pytest.approx(0.5 + 0.5 / 9, abs=0.1)


def test_an_end_is_predicted_as_often_as_it_happens(tokenizer, dynamics, recording, tmp_path, monkeypatch):
    """Three episodes of 54 steps in all, each ended by the game; clips from frame s on leave out s steps of each."""
    caught = fed(monkeypatch)
    monkeypatch.setattr(stages, "token_batch", lambda _, clips, start, stop, precision: (clips, start, stop))
    train = data.SequenceDataset(recording, 12, in_memory=True)
    train_dynamics(dynamics, tokenizer, train, train, CONFIG, tmp_path / "run", clip_lengths=(4, 8))
    rng, met, expected = np.random.default_rng(0), 0, 0.0
    for _ in range(1500):
        clips, start, stop = caught["sample"](rng, 4)
        assert clips["frames"].shape[1] == stop
        ends = clips["terminated"][:, start : stop - 1]  # of the steps that lead to a predicted frame
        met, expected = met + ends.sum(), expected + ends.size * 3 / (54 - 3 * start)
    assert met == pytest.approx(expected, rel=0.15)


def test_the_tokenizer_sees_an_episodes_last_frame_as_often_as_others(tokenizer, recording, tmp_path, monkeypatch):
    caught, last = fed(monkeypatch), 0
    train = data.SequenceDataset(recording, 8, in_memory=True)
    train_tokenizer(tokenizer, train, train, CONFIG, tmp_path / "run")
    lasts = {train.dataset[i].frames[-1].tobytes() for i in range(3)}
    rng = np.random.default_rng(0)
    for _ in range(300):
        frames = (caught["sample"](rng, 4)["frames"] * 255).round().to(torch.uint8)
        last += sum(frame.numpy().tobytes() in lasts for frame in frames[:, -1].permute(0, 2, 3, 1).contiguous())
    # each last frame is in one window, which weighs eight; each other window weighs one, 5 + 12 + 19 - 3 of them
    assert last / 1200 == pytest.approx(24 / (24 + 33), abs=0.05)


def test_the_tokenizers_psnr_is_that_of_all_held_out_frames(tokenizer, recording, tmp_path, monkeypatch):
    caught = fed(monkeypatch)
    clips = data.SequenceDataset(recording, 3)
    train_tokenizer(tokenizer, clips, clips, CONFIG, tmp_path / "run")
    figures = caught["validate"](tokenizer)

    values, codes = [], set()
    windows = [window for batch in clips.in_order(1) for window in batch["frames"]]
    assert len(windows) == 18  # a batch of sixteen and one of two
    for window in windows:
        with torch.no_grad():
            tokens = tokenizer.encode(torch.from_numpy(window.astype(np.float32) / 255).permute(0, 3, 1, 2)[None])
            seen = tokenizer.decode(tokens)[0].permute(0, 2, 3, 1).numpy()
        values.extend(psnr(np.clip(seen, 0, 1) * 255, window))
        codes |= set(tokens.flatten().tolist())
    assert float(figures["psnr"]) == pytest.approx(np.mean(values), rel=1e-4)
    assert figures["codes"] == len(codes)
    assert figures["real_and_reconstructed"].shape == (3, 64, 64 + 2 + 64, 3)
    np.testing.assert_array_equal(figures["real_and_reconstructed"][:, :, :64], windows[0])


def test_the_dynamics_figures_are_those_of_all_held_out_tokens_at_once(
    tokenizer, dynamics, recording, tmp_path, monkeypatch
):
    caught = fed(monkeypatch)
    dynamics.config = replace(dynamics.config, fully_masked_share=1.0)  # nothing is left to chance
    clips = data.SequenceDataset(recording, 3)
    train_dynamics(dynamics, tokenizer, clips, clips, CONFIG, tmp_path / "run", clip_lengths=(3,))
    torch.manual_seed(7)
    expected_noise = torch.rand(3)
    torch.manual_seed(7)
    figures = caught["validate"](dynamics)
    assert torch.equal(torch.rand(3), expected_noise)  # training's noise goes on as if nothing had been

    windows = [token_batch(tokenizer, window, 0, 3, "float32") for window in clips.in_order(1)]
    batch = {name: torch.cat([window[name] for window in windows]) for name in windows[0]}
    changed = batch["changed"][:, 1:].numpy()
    assert changed[:16].mean() != changed[16:].mean()  # of the batches of sixteen windows and of two
    with torch.no_grad():
        right = (dynamics.next_frames(batch["tokens"], batch["actions"]) == batch["tokens"])[:, 1:].numpy()
        _, metrics = dynamics(batch)
    assert figures["accuracy"] == pytest.approx(right.mean())
    assert figures["accuracy_changed"] == pytest.approx(right[changed].mean())
    for name in ("cross_entropy", "reward", "termination"):
        assert figures[name] == pytest.approx(float(metrics[name]), rel=1e-4), name
    assert figures["real_and_predicted"].shape == (3, 64, 64 + 2 + 64, 3)


def test_the_latent_action_models_figures_are_those_of_all_held_out_steps(recording, tmp_path, monkeypatch):
    caught, clips = fed(monkeypatch), data.SequenceDataset(recording, 3)
    model = LatentActionModel(
        LatentActionConfig(patch=16, dim=8, heads=1, encoder_blocks=1, decoder_blocks=1, drawing_dim=8)
    )
    chosen_codes(excited(model), to_model(torch.from_numpy(clips.sample(np.random.default_rng(0), 8)["frames"])))
    train_lam(model, clips, clips, CONFIG, tmp_path / "run")
    assert caught["sample"](np.random.default_rng(0), 4).keys() == {"frames"}  # it is never told an action
    figures = caught["validate"](model)

    values, repeated, codes = [], [], []
    for batch in clips.in_order(1):
        frames = torch.from_numpy(batch["frames"].astype(np.float32) / 255).permute(0, 1, 4, 2, 3)
        chosen = model.codes(frames)
        with torch.no_grad():
            seen = model.predict(frames[:, :-1], chosen).permute(0, 1, 3, 4, 2).numpy()
        real, last = batch["frames"][:, 1:] / 255, batch["frames"][:, :-1] / 255
        values.append(np.square(np.clip(seen, 0, 1) - real).mean())
        repeated.append(np.square(last - real).mean())
        codes.extend(chosen.flatten().tolist())
    shares = np.unique(codes, return_counts=True)[1] / len(codes)
    assert len(codes) == 36 and len(shares) > 1
    assert float(figures["psnr"]) == pytest.approx(-10 * np.log10(np.mean(values)), rel=1e-4)
    assert float(figures["repeat_psnr"]) == pytest.approx(-10 * np.log10(np.mean(repeated)), rel=1e-4)
    assert float(figures["codes"]) == len(shares)
    assert float(figures["perplexity"]) == pytest.approx(np.exp(-(shares * np.log(shares)).sum()), rel=1e-4)
    assert figures["real_and_predicted"].shape == (2, 64, 64 + 2 + 64, 3)


def test_windows_of_which_more_is_hidden_weigh_more(tokenizer, dynamics, recording, tmp_path, monkeypatch):
    """All tokens of the first window of a batch are hidden and one of each of the others."""
    caught, clips = fed(monkeypatch), data.SequenceDataset(recording, 3)
    train_dynamics(dynamics, tokenizer, clips, clips, CONFIG, tmp_path / "run", clip_lengths=(3,))
    row = torch.arange(18) % 16

    def hide(rows: torch.Tensor) -> None:
        def masks(shape, tokens, *_):
            hidden = torch.arange(tokens).expand(*shape, tokens) < 1
            return hidden | (rows[: shape[0], None, None] == 0)

        monkeypatch.setattr("genie_gym.models.masked_prediction.random_masks", masks)

    hide(row)
    figures = caught["validate"](dynamics)
    entropy = hidden = 0.0
    for i, window in enumerate(clips.in_order(1)):
        hide(row[i : i + 1])
        with torch.no_grad():
            _, metrics = dynamics(token_batch(tokenizer, window, 0, 3, "float32"))
        number = 2 * (16 if row[i] == 0 else 1)
        entropy, hidden = entropy + number * float(metrics["cross_entropy"]), hidden + number
    assert figures["cross_entropy"] == pytest.approx(entropy / hidden, rel=1e-4)


def test_the_latent_action_model_runs(recording, tmp_path):
    clips = data.SequenceDataset(recording, 4)
    model = LatentActionModel(
        LatentActionConfig(patch=16, dim=8, heads=1, encoder_blocks=1, decoder_blocks=1, drawing_dim=8)
    )
    report = train_lam(model, clips, clips, CONFIG, tmp_path / "run")
    assert report.finished and report.metrics.keys() == {"psnr", "repeat_psnr", "codes", "perplexity"}
    assert model.drawing.leave.weight.abs().sum() > 0  # it was zero


def test_both_stages_run(tokenizer, dynamics, recording, tmp_path):
    clips = data.SequenceDataset(recording, 4)
    before = {name: value.clone() for name, value in tokenizer.state_dict().items()}
    assert train_tokenizer(tokenizer, clips, clips, CONFIG, tmp_path / "tokenizer").metrics.keys() == {"psnr", "codes"}
    assert any(not torch.equal(before[name], value) for name, value in tokenizer.state_dict().items())
    frozen = {name: value.clone() for name, value in tokenizer.state_dict().items()}
    report = train_dynamics(dynamics, tokenizer, clips, clips, CONFIG, tmp_path / "dynamics", clip_lengths=(4,))
    assert report.finished and {"cross_entropy", "accuracy", "reward", "termination"} <= report.metrics.keys()
    assert all(torch.equal(frozen[name], value) for name, value in tokenizer.state_dict().items())


def test_the_decoder_learns_and_tokens_keep_their_meaning(tokenizer, recording, tmp_path):
    clips = data.MixtureDataset([data.SequenceDataset(recording, 4), data.SequenceDataset(recording, 4, [2])], (1, 1))
    frames = torch.from_numpy(next(clips.in_order(8))["frames"]).permute(0, 1, 4, 2, 3) / 255
    before, tokens = {k: v.clone() for k, v in tokenizer.state_dict().items()}, tokenizer.encode(frames)
    config = replace(CONFIG, steps=40, lr=3e-3, ema_decay=0.5)
    first = train_decoder(tokenizer, clips, clips, replace(config, steps=1), tmp_path / "one")
    report = train_decoder(tokenizer, clips, clips, config, tmp_path / "run")
    changed = {k.split(".")[0] for k, v in tokenizer.state_dict().items() if not torch.equal(before[k], v)}
    assert changed == {"from_code", "decoder", "to_pixels"}
    assert torch.equal(tokenizer.encode(frames), tokens)
    assert report.finished and report.metrics["psnr"] > first.metrics["psnr"] + 1


def test_dreams_are_compared_with_what_came_and_with_a_screen_that_stands_still(tokenizer, dynamics, recording):
    dynamics.adopt_codebook(tokenizer)
    clips = data.SequenceDataset(recording, 8)
    figures = validate_dreams(dynamics, tokenizer, clips, CONFIG)

    world, seeds, dreamt, still = WorldModel(tokenizer, dynamics), np.random.default_rng(CONFIG.seed), [], []
    for window in clips.in_order(1):
        frames, actions = torch.from_numpy(window["frames"]), torch.from_numpy(window["actions"])
        state, _ = world.start(frames[:, :2], actions[:, :1], torch.from_numpy(seeds.integers(2**63, size=1)))
        for step in range(4):
            outcome = world.step(state, actions[:, 1 + step], SamplingConfig())
        dreamt.append(np.square(outcome.frames[0].numpy() / 255 - window["frames"][0, 5] / 255).mean())
        still.append(np.square(window["frames"][0, 1] / 255 - window["frames"][0, 5] / 255).mean())
    assert figures["psnr"] == pytest.approx(-10 * np.log10(np.mean(dreamt)), rel=1e-4)
    assert figures["repeat_psnr"] == pytest.approx(-10 * np.log10(np.mean(still)), rel=1e-4)


@pytest.mark.parametrize("length", [2, 3])
def test_dreams_of_short_windows(tokenizer, dynamics, recording, length):
    dynamics.adopt_codebook(tokenizer)
    figures = validate_dreams(dynamics, tokenizer, data.SequenceDataset(recording, length), CONFIG)
    assert np.isfinite(list(figures.values())).all()
