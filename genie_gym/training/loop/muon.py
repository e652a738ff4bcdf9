"""Muon for matrices beside AdamW for everything else, in one optimiser."""

import math

import torch
from torch import Tensor

__all__ = ["MuonAdamW"]

# Coefficients of the Newton-Schulz iteration of Jordan et al. 2024, https://kellerjordan.github.io/posts/muon/
_A, _B, _C = 3.4445, -4.775, 2.0315


class MuonAdamW(torch.optim.Optimizer):
    """Muon (Jordan et al. 2024) for groups with `muon=True`, whose parameters are matrices; AdamW for the others.

    torch.optim.Muon multiplies in bfloat16, which processors without instructions for it emulate: its step takes
    fifteen times as long there as this one in float32, and longer than the backward pass of a small model.

    Args:
        groups: Groups of parameters: dicts with "params", "muon", "lr" and "weight_decay".
        betas: Decay rates of AdamW's moments.
        momentum: Decay rate of Muon's momentum.
    """

    def __init__(self, groups: list[dict], betas: tuple[float, float] = (0.9, 0.99), momentum: float = 0.95):
        super().__init__(groups, {"betas": betas, "momentum": momentum})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """Take a step along the gradients."""
        for group in self.param_groups:
            for weight in group["params"]:
                if weight.grad is None:
                    continue
                weight.mul_(1 - group["lr"] * group["weight_decay"])
                (self._muon if group["muon"] else self._adam)(weight, weight.grad, group)

    def _muon(self, weight: Tensor, grad: Tensor, group: dict) -> None:
        momentum = self.state[weight].setdefault("momentum", torch.zeros_like(weight))
        momentum.lerp_(grad, 1 - group["momentum"])
        direction = _orthogonal(torch.lerp(grad, momentum, group["momentum"]))  # Nesterov's
        rows, columns = weight.shape
        weight.add_(direction, alpha=-group["lr"] * math.sqrt(max(1, rows / columns)))

    def _adam(self, weight: Tensor, grad: Tensor, group: dict) -> None:
        state, (beta1, beta2) = self.state[weight], group["betas"]
        if not state:
            state.update(step=torch.tensor(0.0), mean=torch.zeros_like(weight), square=torch.zeros_like(weight))
        state["step"] += 1
        step = float(state["step"])
        state["mean"].lerp_(grad, 1 - beta1)
        state["square"].lerp_(grad.square(), 1 - beta2)
        spread = (state["square"] / (1 - beta2**step)).sqrt_().add_(1e-8)
        weight.addcdiv_(state["mean"], spread, value=-group["lr"] / (1 - beta1**step))


def _orthogonal(matrix: Tensor, iterations: int = 5) -> Tensor:
    """Return about the nearest matrix with orthonormal rows or columns, by Newton-Schulz iterations."""
    tall = matrix.shape[0] > matrix.shape[1]
    x = matrix.float().T if tall else matrix.float()
    x = x / (x.norm() + 1e-7)
    for _ in range(iterations):
        square = x @ x.T
        x = _A * x + (_B * square + _C * square @ square) @ x
    return (x.T if tall else x).to(matrix.dtype)
