"""The training loop: exact resume, signals, accumulation, averages, the clock and TensorBoard."""

import copy
import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from genie_gym.errors import ConfigError, DataError
from genie_gym.models.conv.layers import Conv
from genie_gym.models.tokenizer import Tokenizer, TokenizerConfig
from genie_gym.training.loop.config import TrainerConfig
from genie_gym.training.loop.ema import averaged_model
from genie_gym.training.loop.trainer import batch_seed, run_training
from tests.ctrl_c import StopAfter

CONFIG = TrainerConfig(
    steps=20, batch_size=2, warmup=5, precision="float32", log_every=5, validate_every=8, ema_decay=0.8, prefetch=0
)
SIZES = TokenizerConfig(size=16, dim=16, heads=2, encoder_blocks=1, decoder_blocks=1, codes=64, code_dim=4, warmup=4)


class Line(nn.Module):
    """Least squares: the smallest thing that can be fitted."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(3, 2)

    def forward(self, batch: dict) -> tuple[torch.Tensor, dict]:
        loss = (self.layer(batch["x"]) - batch["y"]).square().mean()
        return loss, {"loss_again": loss.detach()}


class Noisy(nn.Module):
    """A tokenizer (random revival of codes) with dropout before it."""

    def __init__(self) -> None:
        super().__init__()
        self.dropout, self.tokenizer = nn.Dropout(0.2), Tokenizer(SIZES)

    def forward(self, batch: dict) -> tuple[torch.Tensor, dict]:
        return self.tokenizer({"frames": self.dropout(batch["frames"])})


class Picture(nn.Module):
    """A convolution and a linear layer, as large as Muon takes."""

    def __init__(self) -> None:
        super().__init__()
        self.kernel, self.layer = Conv(32, 32), nn.Linear(32, 32)

    def forward(self, batch: dict) -> tuple[torch.Tensor, dict]:
        return (self.layer(self.kernel(batch["x"]).mean((2, 3))) - 1).square().mean(), {}


def pictures(rng: np.random.Generator, size: int) -> dict[str, torch.Tensor]:
    return {"x": torch.from_numpy(rng.normal(size=(size, 32, 5, 5)).astype(np.float32))}


def line_batch(rng: np.random.Generator, size: int) -> dict[str, torch.Tensor]:
    x = torch.from_numpy(rng.normal(size=(size, 3)).astype(np.float32))
    return {"x": x, "y": x[:, :2] * 2 + 1}


def clips(rng: np.random.Generator, size: int) -> dict[str, torch.Tensor]:
    return {"frames": torch.from_numpy(rng.random((size, 3, 3, 16, 16), np.float32))}


class Joined:
    """A sampler of batches that hold what several smaller ones of a step do, as accumulated or of several processes."""

    def __init__(self, sample, parts, step: int = 0):
        self.sample, self.parts, self.step = sample, parts, step

    def __call__(self, rng: np.random.Generator, size: int) -> dict[str, torch.Tensor]:
        seeds = [batch_seed(CONFIG.seed, self.step, number) for number in range(self.parts(self.step))]
        drawn = [self.sample(np.random.default_rng(seed), size) for seed in seeds]
        self.step += 1
        return {name: torch.cat([one[name] for one in drawn]) for name in drawn[0]}


def nothing(model: nn.Module) -> dict:
    return {}


def make(kind: type[nn.Module], seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    return kind()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_fits_go_on_to_the_bit(tmp_path, number):
    config, whole = CONFIG, make(Noisy)
    run_training(whole, clips, nothing, config, tmp_path / "whole")

    pieces = make(Noisy)
    first = run_training(pieces, StopAfter(clips, 10, number), nothing, config, tmp_path / "pieces")
    assert (first.finished, first.steps) == (False, 10)
    assert any(not torch.equal(a, b) for a, b in zip(whole.parameters(), pieces.parameters(), strict=True))
    again = make(Noisy, seed=9)  # a new process knows nothing
    torch.rand(5)
    second = run_training(again, clips, nothing, config, tmp_path / "pieces")
    assert (second.finished, second.steps) == (True, 20)
    for (name, value), other in zip(whole.state_dict().items(), again.state_dict().values(), strict=True):
        assert torch.equal(value, other), name
    assert whole.tokenizer.codebook.started and whole.tokenizer.steps == 20


def test_kernels_alone_learn_by_muon_and_go_on_to_the_bit(tmp_path):
    config, first = replace(CONFIG, lr=1e-9, muon_lr=0.02), make(Picture)
    before = [p.clone() for p in first.parameters()]
    assert run_training(first, StopAfter(pictures, 10), nothing, config, tmp_path / "pieces").steps == 10
    moved = [bool((a - b).abs().max() > 1e-4) for a, b in zip(before, first.parameters(), strict=True)]
    assert moved == [name == "kernel.weight" for name, _ in first.named_parameters()]
    whole, again = make(Picture), make(Picture, seed=9)
    run_training(whole, pictures, nothing, config, tmp_path / "whole")
    assert run_training(again, pictures, nothing, config, tmp_path / "pieces").steps == 20
    assert all(torch.equal(a, b) for a, b in zip(whole.parameters(), again.parameters(), strict=True))


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


def test_handlers_of_signals_are_put_back(tmp_path):
    before = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)
    run_training(make(Line), line_batch, nothing, replace(CONFIG, steps=2), tmp_path)
    assert (signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)) == before


def test_a_finished_fit_trains_no_further(tmp_path):
    model = make(Line)
    metrics = run_training(model, line_batch, lambda m: {"bias": m.layer.bias[0]}, CONFIG, tmp_path).metrics
    before = copy.deepcopy(model.state_dict())
    again = make(Line, seed=3)

    def never(*_: object) -> dict:
        raise AssertionError("nothing is left to do")

    report = run_training(again, never, never, CONFIG, tmp_path)
    assert report.finished and report.steps == 20 and report.metrics == metrics
    assert all(torch.equal(before[name], value) for name, value in again.state_dict().items())


SUBPROCESS = """
import sys, time
from pathlib import Path
sys.path.insert(0, sys.argv[1])
import torch
from tests.training.loop.test_trainer import CONFIG, Line, line_batch, make, nothing, replace
from genie_gym.training.loop.trainer import run_training

def slow(rng, size):
    time.sleep(0.01)
    print("step", flush=True)
    return line_batch(rng, size)

report = run_training(make(Line), slow, nothing, replace(CONFIG, steps=3000), Path(sys.argv[2]))
print("stopped after", report.steps, report.finished, flush=True)
"""


def test_sigterm_saves_and_the_next_process_goes_on(tmp_path):
    root = Path(__file__).parents[3]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(root), *sys.path])}
    command = [sys.executable, "-c", SUBPROCESS, str(root), str(tmp_path)]
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
    for _ in range(5):
        process.stdout.readline()
    with pytest.raises(ConfigError, match="another process is training in"):
        run_training(make(Line), line_batch, nothing, CONFIG, tmp_path)
    process.send_signal(signal.SIGTERM)
    printed, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    words = printed.split("stopped after ")[1].split()
    steps = int(words[0])
    assert 5 <= steps < 3000 and words[1] == "False"

    pieces, whole = make(Line), make(Line)
    config = replace(CONFIG, steps=3000)
    assert run_training(pieces, StopAfter(line_batch, 7), nothing, config, tmp_path).steps == steps + 7
    run_training(whole, StopAfter(line_batch, steps + 7), nothing, config, tmp_path / "whole")
    assert torch.equal(whole.layer.weight, pieces.layer.weight)


def test_accumulated_batches_are_one_large_batch(tmp_path, monkeypatch):
    config, gradients = replace(CONFIG, steps=3, max_grad_norm=1e9), {}
    plain_step = torch.optim.AdamW.step

    def step(self, closure=None):
        gradients[name].append(self.param_groups[0]["params"][0].grad.clone())
        return plain_step(self, closure)

    monkeypatch.setattr(torch.optim.AdamW, "step", step)
    for name, sample, accumulate in (
        ("8", Joined(line_batch, lambda step: 2), 1),
        ("4+4", line_batch, 2),
        ("4", line_batch, 1),
    ):
        gradients[name] = []
        change = {"batch_size": 4, "accumulate": accumulate}
        run_training(make(Line), sample, nothing, replace(config, **change), tmp_path / name)
    for one, other, half in zip(*gradients.values(), strict=True):
        torch.testing.assert_close(one, other)
        assert not torch.allclose(one, half)


def test_one_step_is_adamw_at_the_warmed_up_rate(tmp_path):
    config = replace(CONFIG, steps=1, ema_decay=0.0, lr=0.1, warmup=4, weight_decay=0.5, max_grad_norm=1e9)
    model, before = make(Line), make(Line)
    run_training(model, line_batch, nothing, config, tmp_path)
    loss, _ = before(line_batch(np.random.default_rng(batch_seed(config.seed, 0, 0)), config.batch_size))
    loss.backward()
    weight, bias = before.layer.weight, before.layer.bias
    lr = 0.1 / 4  # the first of four steps of warm-up, at the cosine's beginning
    sign = [p.grad / (p.grad.abs() + 1e-8) for p in (weight, bias)]  # Adam's first step
    torch.testing.assert_close(model.layer.weight.data, weight.data * (1 - lr * 0.5) - lr * sign[0])
    torch.testing.assert_close(model.layer.bias.data, bias.data - lr * sign[1])  # vectors do not decay


class Scaled(Line):
    """Least squares with a weight that differs from batch to batch."""

    def forward(self, batch: dict) -> tuple[torch.Tensor, dict]:
        loss, metrics = super().forward(batch)
        return loss * batch["scale"], metrics


@pytest.mark.parametrize(("clip", "alike"), [(1e-3, True), (1e9, False)])
def test_gradients_are_clipped_to_the_norm(tmp_path, clip, alike):
    """A second gradient a thousand times the first moves Adam differently, unless both are cut to one norm."""
    config = replace(CONFIG, steps=2, ema_decay=0.0, warmup=0, weight_decay=0.0, max_grad_norm=clip)
    results = []
    for second in (1.0, 1000.0):
        model, scales = make(Scaled), iter([1.0, second])
        batch = line_batch(np.random.default_rng(1), 2)
        run_training(
            model, lambda rng, size, b=batch, s=scales: b | {"scale": next(s)}, nothing, config, tmp_path / str(second)
        )
        results.append(model.layer.weight.detach())
    assert torch.allclose(*results, rtol=0, atol=1e-5) == alike


def test_the_rate_follows_warm_up_and_cosine(tmp_path, monkeypatch):
    seen = []
    monkeypatch.setattr(torch.optim.AdamW, "step", lambda self, closure=None: seen.append(self.param_groups[0]["lr"]))
    run_training(make(Line), line_batch, nothing, replace(CONFIG, lr=0.5, final_lr=0.1), tmp_path)
    t = np.arange(20)
    cosine = 0.1 + 0.9 * (1 + np.cos(np.pi * t / 20)) / 2
    np.testing.assert_allclose(seen, 0.5 * np.minimum(1, (t + 1) / 5) * cosine)


def test_average_is_the_weighted_sum_of_all_weights():
    model = Line()
    first = model.layer.weight.detach().clone()
    average = averaged_model(model, 0.9)
    average.n_averaged.fill_(200)  # by when all updates are alike
    history = torch.randn(7, 2, 3)
    for weight in history:
        model.layer.weight.data.copy_(weight)
        average.update_parameters(model)
    shares = 0.1 * 0.9 ** torch.arange(6, -1, -1)
    expected = 0.9**7 * first + (shares[:, None, None] * history).sum(0)
    torch.testing.assert_close(average.module.layer.weight.data, expected)
    assert not average.module.training and not average.module.layer.weight.requires_grad


def test_little_of_the_first_weights_is_left_in_a_short_fit():
    model = Line()
    model.layer.weight.data.fill_(1.0)
    average = averaged_model(model, 0.999)
    model.layer.weight.data.zero_()
    left = []
    for _ in range(300):
        average.update_parameters(model)
        left.append(average.module.layer.weight.max().item())
    assert left[9] < 1e-3 and left[-1] < 1e-9  # with 0.999 from the first step, 0.99 and 0.74
    assert left[0] == pytest.approx(2 / 11)


def test_buffers_are_copied_not_averaged():
    model = nn.BatchNorm1d(2)
    average = averaged_model(model, 0.9)
    model.running_mean.fill_(5)
    average.update_parameters(model)
    assert (average.module.running_mean == 5).all() and average.module.num_batches_tracked == 0


def test_the_averaged_model_is_validated_and_returned(tmp_path):
    seen = []
    model = make(Line)

    def validate(average: nn.Module) -> dict:
        seen.append(average.layer.weight.detach().clone())
        assert not average.training
        return {"first": average.layer.weight[0, 0]}

    report = run_training(model, line_batch, validate, CONFIG, tmp_path)
    assert len(seen) == 3  # at steps 8 and 16, and at the end
    assert torch.equal(seen[-1], model.layer.weight) and not model.training
    assert report.metrics == {"first": pytest.approx(model.layer.weight[0, 0].item())}
    raw = make(Line)
    run_training(raw, line_batch, nothing, replace(CONFIG, ema_decay=0.0), tmp_path / "raw")
    assert not torch.allclose(raw.layer.weight, model.layer.weight)


def test_a_signal_during_the_last_validation_stops_what_would_come_next(tmp_path):
    def validate(model: nn.Module) -> dict:
        os.kill(os.getpid(), signal.SIGTERM)
        return {"seen": 1.0}

    config = replace(CONFIG, validate_every=100)
    assert not run_training(make(Line), line_batch, validate, config, tmp_path).finished
    report = run_training(make(Line), line_batch, validate, config, tmp_path)  # nothing of this stage was left
    assert report.finished and report.steps == 20 and report.metrics == {"seen": 1.0}


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


def test_saves_now_and_then(tmp_path, monkeypatch):
    saved = []
    monkeypatch.setattr("genie_gym.training.loop.trainer.save_state", lambda *args: saved.append(args[-1].step))
    run_training(make(Line), line_batch, nothing, replace(CONFIG, steps=4, save_every=0.0), tmp_path)
    assert saved == [1, 2, 3, 4, 4]


def test_what_a_killed_save_left_is_cleared_away(tmp_path):
    (tmp_path / ".state.safetensors.12345678.partial").write_bytes(b"half")
    run_training(make(Line), line_batch, nothing, replace(CONFIG, steps=2), tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [".lock", "state.safetensors", "tensorboard"]


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


class Killed(BaseException):
    """The process is gone: nothing else runs."""


def test_a_run_that_was_killed_before_its_last_validation_is_validated_when_resumed(tmp_path):
    config = replace(CONFIG, save_every=0.0)

    def validated(steps: list[int]):
        def validate(model: nn.Module) -> dict:
            steps.append(len(steps))
            if len(steps) == 3:  # steps 8 and 16, then the end
                raise Killed
            return {"bias": model.layer.bias[0]}

        return validate

    with pytest.raises(Killed):
        run_training(make(Line), line_batch, validated([]), config, tmp_path)
    model = make(Line, seed=3)
    report = run_training(model, line_batch, lambda m: {"bias": m.layer.bias[0]}, config, tmp_path)
    assert report.finished and report.steps == 20
    assert report.metrics["bias"] == pytest.approx(model.layer.bias[0].item())


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


class Exact(Line):
    """Keeps the batches that it was given."""

    def forward(self, batch: dict) -> tuple[torch.Tensor, dict]:
        self.batch = batch
        return super().forward(batch)


def test_products_are_bfloat16_but_batches_are_what_was_drawn(tmp_path):
    model = Exact()
    drawn = {"x": torch.rand(2, 3), "y": torch.rand(2, 2)}
    config = replace(CONFIG, steps=1, precision="bfloat16")
    run_training(model, lambda rng, size: drawn, lambda average: {}, config, tmp_path)
    assert all(torch.equal(model.batch[name], drawn[name]) for name in drawn)


class Two(nn.Module):
    """Two models that are trained together; the gradients of the first are a thousand times those of the second."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = Line(), Line()

    def models(self) -> list[nn.Module]:
        return [self.first, self.second]

    def forward(self, batch: dict) -> tuple[torch.Tensor, dict]:
        return 1000 * self.first(batch)[0] + self.second(batch)[0], {}


def test_models_that_are_trained_together_are_clipped_on_their_own(tmp_path, monkeypatch):
    norms = []

    def seen(self: torch.optim.AdamW, closure: object = None) -> None:
        grads = [parameter.grad for group in self.param_groups for parameter in group["params"]]
        norms.append(sorted(float(grad.norm()) for grad in grads if grad.ndim == 2))

    monkeypatch.setattr(torch.optim.AdamW, "step", seen)
    run_training(make(Two), line_batch, nothing, replace(CONFIG, steps=1, max_grad_norm=1e-3), tmp_path)
    (found,) = norms
    assert len(found) == 2 and all(2e-4 < norm <= 1e-3 for norm in found)
