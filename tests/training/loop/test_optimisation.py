"""One step of the training loop against closed forms: gradients, rates and averages."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from genie_gym.training.loop.ema import averaged_model
from genie_gym.training.loop.trainer import batch_seed, run_training
from tests.ctrl_c import StopAfter
from tests.training.loop.small_models import CONFIG, Joined, Line, Picture, line_batch, make, nothing, pictures


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
