"""One checksum of many tensors: of a model's weights, or of a state."""

import hashlib
from collections.abc import Mapping

import torch
from torch import Tensor

__all__ = ["checksum"]


def checksum(tensors: Mapping[str, Tensor], *texts: str) -> str:
    """Return the SHA-256 of named tensors on any device, and of texts, as 64 hexadecimal digits.

    >>> checksum({"a": torch.zeros(2)}) == checksum({"a": torch.zeros(2, 1)})
    False
    """
    digest = hashlib.sha256()
    for name in sorted(tensors):
        # A tensor of one element counts as contiguous whatever its stride, with which it has no bytes to look at.
        value = tensors[name].detach().cpu().clone(memory_format=torch.contiguous_format)
        digest.update(f"{name} {value.dtype} {tuple(value.shape)}\n".encode())
        digest.update(value.flatten().view(torch.uint8).numpy().data)
    for text in texts:
        digest.update(text.encode())
    return digest.hexdigest()
