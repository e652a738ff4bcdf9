"""Checking the pictures and actions a user gives to start a dream."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from torch import Tensor

from genie_gym.errors import PromptError
from genie_gym.frames import square

__all__ = ["Prompt", "as_array", "read_prompt"]

Prompt = tuple[np.ndarray, np.ndarray | None]
KNOWN = ("prompt", "prompt_actions")


def read_prompt(options: Mapping[str, Any] | None, size: int, actions: int) -> Prompt | None:
    """Reads `reset(options={"prompt": frames, "prompt_actions": actions})`.

    Args:
        options: "prompt": uint8 (h, w, 3) or (c, h, w, 3), any height and width, oldest first; "prompt_actions",
            optional: c - 1 integers, the actions between the frames.
        size: side of the model's frames; other sizes are padded to a square and resized.
        actions: number of actions of the game.

    Returns:
        frames uint8 (c, size, size, 3) and actions int64 (c - 1,) or None; None if the options name no prompt.

    Raises:
        PromptError: wrong shape, type or range, or an unknown option.
    """
    options = options or {}
    if unknown := [key for key in options if key not in KNOWN]:
        raise PromptError(f"unknown reset option {unknown[0]!r}; known are: {', '.join(KNOWN)}")
    if "prompt" not in options:
        if "prompt_actions" in options:
            raise PromptError("prompt_actions were given without a prompt; give the frames too, as options['prompt']")
        return None
    frames = _frames(options["prompt"], size)
    return frames, _actions(options.get("prompt_actions"), len(frames), actions)


def as_array(given: Any) -> np.ndarray:
    """What a user gives as an array, a list, or a tensor on any device.

    Raises:
        PromptError: parts of it have different shapes.
    """
    try:
        return given.cpu().numpy() if isinstance(given, Tensor) else np.asarray(given)
    except ValueError as error:
        raise PromptError(
            f"pictures or actions that do not fit together ({error}); give pictures of one size"
        ) from error


def _frames(prompt: Any, size: int) -> np.ndarray:
    frames = as_array(prompt)
    if frames.ndim == 3:
        frames = frames[None]
    if frames.ndim != 4 or frames.shape[-1] != 3 or 0 in frames.shape:
        raise PromptError(
            f"a prompt is one picture (height, width, 3) or several (count, height, width, 3); got {frames.shape}"
        )
    if frames.dtype != np.uint8:
        raise PromptError(
            f"a prompt holds uint8 values from 0 to 255; got {frames.dtype}. "
            "Convert floats in [0, 1] with: (prompt * 255).astype('uint8')"
        )
    if frames.shape[1:3] == (size, size):
        return frames
    return np.stack([square(frame, size) for frame in frames])


def _actions(given: Any, frames: int, actions: int) -> np.ndarray | None:
    if given is None:
        return None
    taken = as_array(given)
    if taken.shape != (frames - 1,) or not (np.issubdtype(taken.dtype, np.integer) or frames == 1):
        raise PromptError(
            f"prompt_actions are the {frames - 1} integers between {frames} frames; got shape {taken.shape}, "
            f"dtype {taken.dtype}"
        )
    if taken.size and not (taken.min() >= 0 and taken.max() < actions):
        raise PromptError(f"prompt_actions must lie in 0 .. {actions - 1}; got {taken.min()} .. {taken.max()}")
    return taken.astype(np.int64)
