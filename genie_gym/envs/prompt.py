"""Prompts: the frames and actions a user gives to start a rollout, checked."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import Tensor

from genie_gym.errors import PromptError
from genie_gym.utils.images import letterbox
from genie_gym.utils.validation import short

__all__ = ["Prompt", "as_array", "masked_rows", "options_of", "read_prompt"]

RESET_OPTIONS = ("prompt", "prompt_actions")


@dataclass(frozen=True)
class Prompt:
    """What a rollout starts from.

    Attributes:
        frames: uint8 (c, size, size, 3), oldest first.
        actions: int64 (c - 1,), the actions between the frames; None if they are unknown.
    """

    frames: np.ndarray
    actions: np.ndarray | None = None


def read_prompt(options: Mapping[str, Any] | None, size: int, actions: int) -> Prompt | None:
    """Read `reset(options={"prompt": frames, "prompt_actions": actions})`.

    Args:
        options: "prompt": uint8 (h, w, 3) or (c, h, w, 3), any height and width, oldest frame first.
            "prompt_actions", optional: c - 1 integers, the actions between the frames.
        size: Side of the model's frames in pixels. Other frames are padded to a square and resized.
        actions: Number of actions of the game.

    Returns:
        The prompt, or None if the options have none.

    Raises:
        PromptError: A value has the wrong shape, type or range, or an option is unknown.
    """
    options = options_of(options)
    if unknown := [key for key in options if key not in RESET_OPTIONS]:
        raise PromptError(f"unknown reset option {unknown[0]!r}; known are: {', '.join(RESET_OPTIONS)}")
    if "prompt" not in options:
        if "prompt_actions" in options:
            raise PromptError("prompt_actions were given without a prompt; give the frames too, as options['prompt']")
        return None
    frames = _read_frames(options["prompt"], size)
    return Prompt(frames, _read_actions(options.get("prompt_actions"), len(frames), actions))


def options_of(options: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return a copy of the options of a reset.

    Raises:
        PromptError: They are no dictionary.
    """
    if options is not None and not isinstance(options, Mapping):
        raise PromptError(f"reset options are a dictionary or None; got {short(options)}")
    return dict(options or {})


def masked_rows(mask: Any, count: int) -> list[int]:
    """Return the rows that `options["reset_mask"]`, bool (count,) or None for all, says to reset.

    Raises:
        PromptError: The mask has another shape or type, or nothing to reset.
    """
    if mask is None:
        return list(range(count))
    mask = as_array(mask)
    if mask.shape != (count,) or mask.dtype != np.bool_ or not mask.any():
        raise PromptError(
            f"reset_mask must be bool of shape ({count},) with at least one True; got {mask.dtype} {mask.shape}"
        )
    return np.flatnonzero(mask).tolist()


def as_array(values: Any) -> np.ndarray:
    """Return a list, an array or a tensor on any device as an array.

    Raises:
        PromptError: Its parts have different shapes.
    """
    try:
        return values.detach().cpu().numpy() if isinstance(values, Tensor) else np.asarray(values)
    except (TypeError, ValueError) as error:
        raise PromptError(
            f"pictures or actions that do not fit together ({error}); give pictures of one size"
        ) from error


def _read_frames(prompt: Any, size: int) -> np.ndarray:
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
    return np.stack([letterbox(frame, size) for frame in frames])


def _read_actions(values: Any, frames: int, actions: int) -> np.ndarray | None:
    if values is None:
        return None
    taken = as_array(values)
    if taken.shape != (frames - 1,) or not (np.issubdtype(taken.dtype, np.integer) or frames == 1):
        raise PromptError(
            f"prompt_actions are the {frames - 1} integers between {frames} frames; got shape {taken.shape}, "
            f"dtype {taken.dtype}"
        )
    if taken.size and not (taken.min() >= 0 and taken.max() < actions):
        raise PromptError(f"prompt_actions must lie in 0 .. {actions - 1}; got {taken.min()} .. {taken.max()}")
    return taken.astype(np.int64)
