"""What a fit tells while it runs: a line on the terminal, curves and clips in TensorBoard."""

import time
from pathlib import Path
from typing import Any

import numpy as np

from genie_gym.frames import to_gif

__all__ = ["Reporter"]


class Reporter:
    """Context manager around one fit; with enabled=False (other ranks) it says nothing."""

    def __init__(self, folder: Path, name: str, enabled: bool = True):
        self.folder, self.name, self.enabled = folder, name, enabled
        self._writer: Any = None
        self._told = 0.0

    def __enter__(self) -> "Reporter":
        if self.enabled:
            from torch.utils.tensorboard import SummaryWriter

            self._writer = SummaryWriter(str(self.folder / "tensorboard"))
        return self

    def __exit__(self, *_: object) -> None:
        if self._writer is not None:
            self._writer.close()

    def log(self, step: int, share: float, seconds: float, metrics: dict[str, float]) -> None:
        """Training figures of one step; the terminal sees at most one line in ten seconds."""
        if self._writer is None:
            return
        for key, value in metrics.items():
            self._writer.add_scalar(f"train/{key}", value, step)
        if time.monotonic() - self._told >= 10:
            self._told = time.monotonic()
            left = seconds * (1 - share) / max(share, 1e-6)
            figures = "  ".join(f"{key} {value:.4g}" for key, value in metrics.items() if key != "lr")
            print(f"{self.name}: step {step}, {share:.0%}, about {left / 60:.0f} min left  {figures}", flush=True)

    def validation(self, step: int, results: dict[str, Any]) -> dict[str, float]:
        """Validation figures and clips; returns the figures."""
        figures = {key: float(value) for key, value in results.items() if not isinstance(value, np.ndarray)}
        if self._writer is None:
            return figures
        for key, value in figures.items():
            self._writer.add_scalar(f"validation/{key}", value, step)
        for key, value in results.items():
            if isinstance(value, np.ndarray):
                self._add_clip(f"validation/{key}", value, step)
        print(
            f"{self.name}: validation at step {step}  " + "  ".join(f"{k} {v:.4g}" for k, v in figures.items()),
            flush=True,
        )
        return figures

    def _add_clip(self, tag: str, clip: np.ndarray, step: int) -> None:
        """TensorBoard shows a GIF as a moving picture; its own add_video would need a video library."""
        from tensorboard.compat.proto.summary_pb2 import Summary

        height, width = clip.shape[1:3]
        image = Summary.Image(height=height, width=width, colorspace=3, encoded_image_string=to_gif(clip))
        self._writer.file_writer.add_summary(Summary(value=[Summary.Value(tag=tag, image=image)]), step)
