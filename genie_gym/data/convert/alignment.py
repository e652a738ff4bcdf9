"""Which action, reward and end belong to which kept frame."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from genie_gym.data.convert.actions import ActionFile
from genie_gym.errors import DataError

__all__ = ["Labels", "align", "unlabelled"]


@dataclass(frozen=True)
class Labels:
    """What is known of n kept frames.

    Attributes:
        actions: int64 (n,), the action taken at each frame, which leads to the next.
        rewards: float32 (n,), received for it.
        last: bool (n,), the last frame of each episode that is said to end.
        terminated: bool (n,), where the game was over rather than stopped.
    """

    actions: np.ndarray
    rewards: np.ndarray
    last: np.ndarray
    terminated: np.ndarray


def unlabelled(frames: int) -> Labels:
    """Return labels for frames of which nothing is known: action 0 throughout."""
    return Labels(*(np.zeros(frames, dtype) for dtype in (np.int64, np.float32, bool, bool)))


def align(taken: ActionFile, indices: np.ndarray, total: int, sources: tuple[Any, Any]) -> Labels:
    """Return the labels of the frames that were kept.

    A file has one line per frame, of the video or of those kept; the line of an episode's last frame may be missing.
    The action at a kept frame counts, and rewards up to the next kept frame are summed. What was received in the line
    that ends an episode belongs to a frame that is not there; it is added to the episode's last step.

    Args:
        taken: The action file.
        indices: int64 (n,), the index of each kept frame in the video.
        total: Number of frames in the video.
        sources: The action file and the video, for messages.

    Raises:
        DataError: The number of lines fits neither the video nor the frames kept.
    """
    for count, kept in ((total, indices), (len(indices), np.arange(len(indices)))):
        lines = _one_line_per_frame(taken, count)
        if lines is not None:
            return _at_kept_frames(lines, kept)
    some = ("", "") if len(indices) == total else (f", of which {len(indices)} are taken", ", or for each one taken")
    raise DataError(
        f"{sources[0]} has {len(taken.actions)} actions, but {sources[1]} has {total} frames{some[0]}; give one action "
        f"a frame{some[1]} (the last may be missing)"
    )


def _one_line_per_frame(taken: ActionFile, count: int) -> Labels | None:
    """Return the lines of a file with those filled in that are missing at the ends of episodes, None if others are."""
    missing = count - len(taken.actions)
    if missing == 0:
        return Labels(taken.actions, taken.rewards, taken.last, taken.terminated)
    ends = np.flatnonzero(taken.last)
    if not len(ends) or ends[-1] < len(taken.last) - 1:  # the last episode ends because the video does
        ends = np.append(ends, len(taken.last) - 1)
    if missing == len(ends):  # each last frame was filmed, and nothing done at it
        return _with_last_frames(taken, ends + 1)
    return _with_last_frames(taken, ends[-1:] + 1, shift=False) if missing == 1 else None


def _with_last_frames(taken: ActionFile, places: np.ndarray, shift: bool = True) -> Labels:
    """Insert lines for the last frames of episodes, before the lines at `places`; ends move to them if shifted."""

    def moved(flags: np.ndarray) -> np.ndarray:
        if not shift:
            return np.insert(flags, places, False)
        return np.insert(np.zeros_like(flags), places, flags[places - 1])

    actions, rewards = np.insert(taken.actions, places, 0), np.insert(taken.rewards, places, 0)
    return Labels(actions, rewards, moved(taken.last), moved(taken.terminated))


def _at_kept_frames(lines: Labels, indices: np.ndarray) -> Labels:
    """Reduce labels of all frames to those kept, int64 (n,), in order and perhaps repeated."""
    total, ends = len(lines.actions), np.flatnonzero(lines.last)
    following = np.append(indices[1:], total)
    next_end = np.append(ends + 1, total)[np.searchsorted(ends, indices)]
    sums = np.concatenate([[0.0], np.cumsum(lines.rewards, dtype=np.float64)])
    rewards = sums[np.minimum(following, next_end)] - sums[indices]

    last, terminated = np.zeros(len(indices), bool), np.zeros(len(indices), bool)
    kept = np.searchsorted(indices, ends, side="right") - 1  # the last kept frame of each episode
    for frame, end in zip(kept[::-1].tolist(), ends[::-1].tolist(), strict=True):
        if frame >= 0:  # of several episodes that end before the next kept frame, it belongs to the first
            last[frame], terminated[frame] = True, lines.terminated[end]
    for frame in np.flatnonzero(last):
        if frame > 0 and not last[frame - 1]:
            rewards[frame - 1] += rewards[frame]
            rewards[frame] = 0
    return Labels(lines.actions[indices], rewards.astype(np.float32), last, terminated)
