"""The training loop: seeds, batches drawn ahead, the clock, TensorBoard and losses that are not finite."""

import threading
import time
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from genie_gym.errors import ConfigError, DataError
from genie_gym.training.loop.config import TrainerConfig
from genie_gym.training.loop.trainer import run_training
from tests.ctrl_c import StopAfter
from tests.training.loop.small_models import CONFIG, Line, Noisy, clips, line_batch, make, nothing


@pytest.mark.parametrize("accumulate", [1, 2])
def test_batches_drawn_ahead_change_nothing(tmp_path, accumulate):
    def slow(rng: np.random.Generator, size: int) -> dict[str, torch.Tensor]:
        time.sleep(0.002 * rng.random())
        return clips(rng, size)

    states = []
    for prefetch in (0, 1, 5):
        config, folder = replace(CONFIG, steps=8, accumulate=accumulate, prefetch=prefetch), tmp_path / str(prefetch)
        first = run_training(make(Noisy), StopAfter(slow, 5), nothing, config, folder)
        assert not first.finished and first.steps < 8
        model = make(Noisy, seed=7)
        assert run_training(model, slow, nothing, config, folder).steps == 8
        states.append(model.state_dict())
    for other in states[1:]:
        assert all(torch.equal(value, other[name]) for name, value in states[0].items())


def test_an_error_of_the_sampler_arrives(tmp_path):
    def broken(rng: np.random.Generator, size: int) -> dict[str, torch.Tensor]:
        raise DataError("the file is gone")

    for prefetch in (0, 2):
        with pytest.raises(DataError, match="the file is gone"):
            run_training(make(Line), broken, nothing, replace(CONFIG, prefetch=prefetch), tmp_path)
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("ahead")]


def own_clock(monkeypatch) -> list[float]:
    """The seconds that a training reads, to be changed by hand."""
    clock = [0.0]
    for module in ("progress", "trainer"):
        monkeypatch.setattr(f"genie_gym.training.loop.{module}.time", SimpleNamespace(monotonic=lambda: clock[0]))
    return clock


def test_minutes_end_and_count_over_pieces(tmp_path, monkeypatch):
    clock = own_clock(monkeypatch)

    def tick(rng: np.random.Generator, size: int) -> dict[str, torch.Tensor]:
        clock[0] += 1 / 64
        return line_batch(rng, size)

    config = replace(CONFIG, steps=None, minutes=1 / 60)
    first = run_training(make(Line), StopAfter(tick, 32), nothing, config, tmp_path)
    assert (first.finished, first.steps, first.seconds) == (False, 32, 0.5)
    clock[0] += 1000  # in which nobody fits
    second = run_training(make(Line), tick, nothing, config, tmp_path)
    assert (second.finished, second.steps, second.seconds) == (True, 64, 1.0)


def test_minutes_include_the_validation_at_the_end(tmp_path, monkeypatch):
    clock = own_clock(monkeypatch)

    def tick(rng: np.random.Generator, size: int) -> dict[str, torch.Tensor]:
        clock[0] += 1
        return line_batch(rng, size)

    def slow(model: nn.Module) -> dict:
        clock[0] += 90
        return {"seconds": clock[0]}

    config = replace(CONFIG, steps=None, minutes=10, validate_every=10_000, save_every=1e9)
    report = run_training(make(Line), tick, slow, config, tmp_path)
    assert report.finished and 590 <= report.seconds <= 610
    assert report.metrics["seconds"] >= 590  # the last weights are validated
    again = run_training(make(Line), tick, slow, config, tmp_path)  # it is finished, and stays so
    assert (again.steps, again.seconds) == (report.steps, report.seconds)


def test_slow_steps_print_lines_all_the_same(tmp_path, monkeypatch, capsys):
    clock = [0.0]
    monkeypatch.setattr("genie_gym.training.loop.logger.time", SimpleNamespace(monotonic=lambda: clock[0]))

    def slow(rng: np.random.Generator, size: int) -> dict[str, torch.Tensor]:
        clock[0] += 11
        return line_batch(rng, size)

    run_training(make(Line), slow, nothing, replace(CONFIG, steps=4, log_every=100), tmp_path)
    lines = [line for line in capsys.readouterr().out.splitlines() if "loss" in line]
    assert [line.split(",")[0].split()[-1] for line in lines] == ["2", "4"]  # it is decided before a step


@pytest.mark.parametrize("kind", [Line, Noisy])
def test_the_seed_decides_clips_and_noise(kind, tmp_path):
    still = {"frames": torch.rand(2, 3, 3, 16, 16)}  # all that is random is the model's own
    ends = []
    for number, seed in enumerate((0, 1, 0)):
        model = make(kind)
        sample = line_batch if kind is Line else lambda *_: still
        run_training(model, sample, nothing, replace(CONFIG, steps=3, seed=seed), tmp_path / str(number))
        ends.append(torch.cat([parameter.flatten() for parameter in model.parameters()]))
    assert torch.equal(ends[0], ends[2]) and not torch.equal(ends[0], ends[1])


def test_activations_are_recomputed_where_asked_for(tmp_path):
    for recompute in (True, False):
        model = make(Noisy)
        run_training(model, clips, nothing, replace(CONFIG, steps=1, recompute=recompute), tmp_path / str(recompute))
        assert model.tokenizer.encoder.recompute is recompute


def test_tensorboard_has_curves_and_clips(tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    clip = np.zeros((4, 16, 32, 3), np.uint8)
    clip[1:, :, :16] = 200
    run_training(make(Line), line_batch, lambda m: {"psnr": 12.5, "seen": clip}, CONFIG, tmp_path)
    events = EventAccumulator(str(tmp_path / "tensorboard"))
    events.Reload()
    rate = CONFIG.lr * (CONFIG.final_lr + (1 - CONFIG.final_lr) * (1 + np.cos(np.pi * 4 / 20)) / 2)  # of step 5
    assert events.Scalars("train/lr")[0].value == pytest.approx(rate)
    losses = events.Scalars("train/loss")
    assert [event.step for event in losses] == [5, 10, 15, 20]
    assert [event.value for event in events.Scalars("validation/psnr")] == [12.5] * 3
    assert {"train/lr", "train/loss_again"} <= set(events.Tags()["scalars"])
    picture = events.Images("validation/seen")[0]
    assert (picture.width, picture.height, picture.encoded_image_string[:4]) == (32, 16, b"GIF8")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({}, "either steps or minutes"),
        ({"steps": 1, "minutes": 1.0}, "either steps or minutes"),
        ({"steps": 0}, "steps must be 1 or more; got 0"),
        ({"minutes": 0.0}, "minutes must be more than 0, got 0.0"),
        ({"minutes": -3.0}, "minutes must be more than 0, got -3.0"),
        ({"steps": 1, "batch_size": 0}, "batch_size and accumulate must be 1 or more; got 0 and 1"),
        ({"steps": 1, "accumulate": -1}, "got 8 and -1"),
        ({"steps": 1, "prefetch": -1}, "prefetch must be 0 or more; got -1"),
        ({"steps": 1, "log_every": 0}, "log_every and validate_every must be 1 or more; got 0 and 500"),
    ],
)
def test_bad_options(options, words):
    with pytest.raises(ConfigError, match=words):
        TrainerConfig(**options)


def spoilt(first: int, value: float):
    """Batches that hold a value from one of them on."""
    drawn = []

    def sample(rng: np.random.Generator, size: int) -> dict[str, torch.Tensor]:
        drawn.append(size)
        batch = line_batch(rng, size)
        return batch | {"y": torch.full_like(batch["y"], value)} if len(drawn) >= first else batch

    return sample


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 1e38])
@pytest.mark.parametrize("save_every", [0.0, 1e9])
def test_a_loss_that_is_not_finite_stops_the_run_and_keeps_what_was_good(tmp_path, value, save_every):
    config = replace(CONFIG, save_every=save_every)
    with pytest.raises(ConfigError, match=r"not finite after step 10; .*data, or lower the learning rate, 0.001"):
        run_training(make(Line), spoilt(11, value), nothing, config, tmp_path)
    assert (tmp_path / "state.safetensors").exists() == (save_every == 0)
    model = make(Line, seed=3)
    assert run_training(model, line_batch, nothing, config, tmp_path).steps == 20
    assert all(value.isfinite().all() for value in model.state_dict().values())


def test_weights_that_are_not_finite_are_never_saved(tmp_path):
    """The last step makes them so, which no loss tells."""
    config = replace(CONFIG, steps=1, lr=1e39, warmup=0)
    with pytest.raises(ConfigError, match="not finite after step 1"):
        run_training(make(Line), line_batch, nothing, config, tmp_path)
    assert not (tmp_path / "state.safetensors").exists()
