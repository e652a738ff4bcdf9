"""Where the processor's time goes among torch's operations.

torch's profiler measures by the wall: where other programs run, it counts their time too.
"""

import time
from typing import Any

from torch.utils._python_dispatch import TorchDispatchMode

__all__ = ["OperationClock"]

KINDS = {
    "products": ("mm.", "addmm.", "bmm.", "baddbmm.", "convolution."),  # of matrices, and convolutions
    "attention": ("_scaled_dot_product",),
}


class OperationClock(TorchDispatchMode):
    """Counts the seconds of the processor that operations take within it, on the CPU and in the calling thread.

    Attributes:
        seconds: Seconds by kind: "products", "attention", and "rest", which is all others.
    """

    def __init__(self) -> None:
        super().__init__()
        self.seconds = dict.fromkeys((*KINDS, "rest"), 0.0)

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        started = time.thread_time()
        result = func(*args, **(kwargs or {}))
        self.seconds[_kind_of(func.__name__)] += time.thread_time() - started
        return result


def _kind_of(name: str) -> str:
    return next((kind for kind, starts in KINDS.items() if name.startswith(starts)), "rest")
