"""What a training run reports: lines on the terminal, curves and clips in TensorBoard."""

import time
from pathlib import Path
from typing import Any

import numpy as np

from genie_gym.utils.images import to_gif

__all__ = ["TrainingLogger"]

SECONDS_BETWEEN_LINES = 10


class TrainingLogger:
    """Context manager around one training run.

    Args:
        folder: Folder of the run.
        name: Name of the run in lines on the terminal.
        enabled: Whether it logs at all; False in the other processes of a run.
    """

    def __init__(self, folder: Path, name: str, enabled: bool = True):
        self.folder, self.name, self.enabled = folder, name, enabled
        self._writer: Any = None
        self._printed, self._began = 0.0, time.monotonic()

    def __enter__(self) -> "TrainingLogger":
        if self.enabled:
            from torch.utils.tensorboard import SummaryWriter

            self._writer = SummaryWriter(str(self.folder / "tensorboard"))
        self._began = time.monotonic()
        return self

    def __exit__(self, *_: object) -> None:
        if self._writer is not None:
            self._writer.close()

    def waits_for_a_line(self) -> bool:
        """Whether nothing has been printed for ten seconds, as where steps are slow."""
        return self.enabled and time.monotonic() - max(self._printed, self._began) >= SECONDS_BETWEEN_LINES

    def log(self, step: int, share: float, seconds: float, metrics: dict[str, float]) -> None:
        """Log training metrics of one step; at most one line in ten seconds goes to the terminal.

        Args:
            step: Optimiser steps so far.
            share: Share of the run that is done, from 0 to 1.
            seconds: Time spent so far.
            metrics: Values by name.
        """
        if self._writer is None:
            return
        for key, value in metrics.items():
            self._writer.add_scalar(f"train/{key}", value, step)
        if time.monotonic() - self._printed >= SECONDS_BETWEEN_LINES:
            self._printed = time.monotonic()
            left = seconds * (1 - share) / max(share, 1e-6)
            values = _in_words({key: value for key, value in metrics.items() if key != "lr"})
            print(f"{self.name}: step {step}, {share:.0%}, about {left / 60:.0f} min left  {values}", flush=True)

    def log_validation(self, step: int, results: dict[str, Any]) -> dict[str, float]:
        """Log validation metrics and clips, uint8 (t, h, w, 3); returns the metrics alone."""
        clips = {key: value for key, value in results.items() if isinstance(value, np.ndarray)}
        metrics = {key: float(value) for key, value in results.items() if key not in clips}
        if self._writer is None:
            return metrics
        for key, value in metrics.items():
            self._writer.add_scalar(f"validation/{key}", value, step)
        for key, clip in clips.items():
            self._add_clip(f"validation/{key}", clip, step)
        shown = {key: value for key, value in metrics.items() if " " not in key}  # those of each game would be too many
        print(f"{self.name}: validation at step {step}  {_in_words(shown)}", flush=True)
        return metrics

    def _add_clip(self, tag: str, clip: np.ndarray, step: int) -> None:
        """Add a GIF, which TensorBoard shows as a moving image; its own add_video would need a video library."""
        from tensorboard.compat.proto.summary_pb2 import Summary

        height, width = clip.shape[1:3]
        image = Summary.Image(height=height, width=width, colorspace=3, encoded_image_string=to_gif(clip))
        self._writer.file_writer.add_summary(Summary(value=[Summary.Value(tag=tag, image=image)]), step)


def _in_words(metrics: dict[str, float]) -> str:
    return "  ".join(f"{key} {value:.4g}" for key, value in metrics.items())
