"""What a benchmark ran on, so that its figures can be read later."""

import json
import os
import platform
import time
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from genie_gym.files import write_aside
from genie_gym.pipeline.figures import plain
from genie_gym.pipeline.provenance import code_version

__all__ = ["machine_facts", "matmul_peak", "write_result"]

RESULTS = Path(__file__).parent / "results"


def machine_facts() -> dict[str, Any]:
    """Processor, cores, load, versions, code and date, as JSON values.

    Asked for as a run begins: the code may change during a long one.
    """
    import torch

    return {
        "cpu": _cpu_model(),
        "cores": os.cpu_count(),
        "load_average": round(os.getloadavg()[0], 2),  # other programs' work slows a benchmark down
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "code": code_version(),
        "date": datetime.now(timezone.utc).isoformat(timespec="seconds"),
    }


def write_result(path: Path, figures: dict[str, Any], facts: dict[str, Any]) -> Path:
    """Keeps figures and the machine's facts as JSON, making folders as needed; returns the path."""
    write_aside(path, (json.dumps({**plain(figures), "machine": facts}, indent=1) + "\n").encode())
    return path


def matmul_peak(device: str, precision: str = "auto", rounds: int = 7) -> float:
    """GFLOP/s of large matrix products in the precision that models run in: the most a model could reach."""
    import torch

    from genie_gym.precision import resolve

    size = 8192 if device != "cpu" else 2048
    a = torch.rand(size, size, device=device, dtype=resolve(precision, device))
    b, times = torch.rand_like(a), []
    for _ in range(rounds):
        started = time.perf_counter()
        (a @ b)[0, 0].item()  # reading a value waits for the device
        times.append(time.perf_counter() - started)
    return 2 * size**3 / min(times) / 1e9


def _cpu_model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.machine())
