"""Facts about the machine and the code that a benchmark ran on."""

import os
import platform
import time
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import torch

from genie_gym.utils.precision import resolve_precision
from genie_gym.utils.version import code_version

__all__ = ["join_machines", "machine_facts", "made_with", "matmul_peak"]

Figures = dict[str, Any]
LISTS = ("machines", "code", "torch")


def machine_facts() -> Figures:
    """Return processor, cores, load, versions and date as JSON values.

    Call it when a benchmark starts: the code may change while a long one runs.
    """
    return {
        "cpu": _cpu_model(),
        "cores": os.cpu_count(),
        "load_average": round(os.getloadavg()[0], 2),  # other programs slow a benchmark down
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "code": code_version(),
        "date": datetime.now(timezone.utc).isoformat(timespec="seconds"),
    }


def join_machines(parts: list[Figures]) -> Figures:
    """Summarise the facts of several runs, which may come from several machines.

    Args:
        parts: Results of `machine_facts` or of this function.

    Returns:
        The lists "machines", "code" and "torch", and the ISO dates "from" and "to" of the first and the last start.
    """
    joined = [_as_lists(part) if "cpu" in part else part for part in parts]
    lists = {name: list(dict.fromkeys(one for part in joined for one in part[name])) for name in LISTS}
    return lists | {"from": min(part["from"] for part in joined), "to": max(part["to"] for part in joined)}


def made_with(facts: Figures) -> str:
    """Return a sentence on how a result was made.

    Args:
        facts: "command", "hours", and "machine" as `join_machines` returns it.
    """
    machine = facts["machine"]
    dates = " to ".join(dict.fromkeys([machine["from"], machine["to"]]))
    machines, code, torch_versions = (", ".join(machine[name]) for name in LISTS)
    return f"`{facts['command']}`, in {facts['hours']} hours, on {machines}; {code}, torch {torch_versions}, {dates}"


def matmul_peak(device: str, precision: str = "auto", rounds: int = 7) -> float:
    """Return the GFLOP/s of large matrix products in the models' precision: an upper limit for any model."""
    size = 8192 if device != "cpu" else 2048
    a = torch.rand(size, size, device=device, dtype=resolve_precision(precision, device))
    b, times = torch.rand_like(a), []
    for _ in range(rounds):
        started = time.perf_counter()
        (a @ b)[0, 0].item()  # reading a value waits for the device
        times.append(time.perf_counter() - started)
    return 2 * size**3 / min(times) / 1e9


def _as_lists(facts: Figures) -> Figures:
    machine = f"{facts['gpu'] or facts['cpu']} ({facts['cores']} cores)"
    lists = dict(zip(LISTS, ([machine], [facts["code"]], [facts["torch"]]), strict=True))
    return lists | {"from": facts["date"], "to": facts["date"]}


def _cpu_model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.machine())
