"""Muon beside AdamW: each group moves as torch's own optimiser of its kind would move it."""

import pytest
import torch

from genie_gym.training.loop.muon import MuonAdamW


def gradients(shape: tuple[int, ...], count: int = 4) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(shape, generator=generator) for _ in range(count)]


def path(optimizer: torch.optim.Optimizer, weight: torch.nn.Parameter) -> torch.Tensor:
    for gradient in gradients(tuple(weight.shape)):
        weight.grad = gradient.clone()
        optimizer.step()
    return weight.detach()


def start(shape: tuple[int, ...]) -> torch.nn.Parameter:
    return torch.nn.Parameter(torch.linspace(-1, 1, torch.Size(shape).numel()).reshape(shape).clone())


@pytest.mark.parametrize("shape", [(5,), (4, 3)])
def test_other_groups_move_as_by_adamw(shape):
    mine, theirs = start(shape), start(shape)
    group = {"params": [mine], "muon": False, "lr": 0.01, "weight_decay": 0.1}
    reference = torch.optim.AdamW([theirs], lr=0.01, weight_decay=0.1, betas=(0.9, 0.99))
    assert torch.allclose(path(MuonAdamW([group]), mine), path(reference, theirs), atol=1e-6)


@pytest.mark.parametrize("shape", [(32, 48), (48, 32)])
def test_matrices_move_as_by_torchs_muon(shape):
    mine, theirs = start(shape), start(shape)
    group = {"params": [mine], "muon": True, "lr": 0.02, "weight_decay": 0.01}
    before = mine.detach().clone()
    moved = path(MuonAdamW([group]), mine) - before
    reference = path(torch.optim.Muon([theirs], lr=0.02, weight_decay=0.01), theirs) - before
    assert (moved - reference).norm() < 0.05 * reference.norm()  # torch multiplies in bfloat16


def test_it_goes_on_from_its_saved_state():
    whole, halves = start((32, 32)), start((32, 32))
    first, other = (MuonAdamW([{"params": [w], "muon": True, "lr": 0.02, "weight_decay": 0}]) for w in (whole, halves))
    for gradient in gradients((32, 32)):
        whole.grad, halves.grad = gradient.clone(), gradient.clone()
        first.step()
        other.step()
        saved = other.state_dict()
        other = MuonAdamW([{"params": [halves], "muon": True, "lr": 0.02, "weight_decay": 0}])
        other.load_state_dict(saved)
    assert torch.equal(whole, halves)
