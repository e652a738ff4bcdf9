"""What a held button changes in the picture: where, and how it moves, beside doing nothing from the same state.

The two clips are equal until the button has an effect. What then differs is the thing that the button moves, where it
is and where it would have been: the second place stays put, the first moves on. So the middle of the difference moves
half as far as the thing, against whatever ground.

Shapes: t steps, h and w the picture in pixels.
"""

from dataclasses import dataclass

import cv2
import numpy as np

__all__ = ["Change", "Shift", "camera_shift", "change_of", "drift", "flicker"]

LEVEL = 24  # of 255, the largest difference of a pixel that counts as none
LEAST = 4  # pixels that a change has at least
NEAR = 0.05  # of the picture's height: what lies nearer than that belongs together
WHOLE = 0.3  # of the picture: what changes more of it is the camera
REACH = 12  # pixels, the furthest that a camera moves by itself between two pictures
ENOUGH = 2000  # changed pixels that tell a shift
RUN = 6  # emulator frames


@dataclass(frozen=True)
class Change:
    """What a held button changed.

    Attributes:
        begins: Step at which it is first seen, 1 for the first.
        path: Where its middle is from that step on, relative to there, in shares of the picture's height, right and
            down; float (t, 2), not a number where nothing differs.
        stays: Share of the steps in which the place where it began differs: near 1 if what was there has gone or
            changed, and near 0 if something came from there and flew away.
        whole: Whether most of the picture changed: the camera moved.
        camera: How the picture is shifted at the end, in shares of its height, right and down.
    """

    begins: int
    path: np.ndarray
    stays: float
    whole: bool
    camera: tuple[float, float]


@dataclass(frozen=True)
class Shift:
    """By how much one picture is another one, shifted.

    Attributes:
        right: Pixels.
        down: Pixels.
        explains: Share of what differs that this explains.
    """

    right: float
    down: float
    explains: float


def change_of(held: np.ndarray, idle: np.ndarray) -> Change | None:
    """Return what a button changed, None if nothing.

    Args:
        held: Frames while it was held, uint8 (t, h, w, 3).
        idle: Frames from the same state while nothing was.
    """
    differs = (cv2.absdiff(held, idle) if held.size else held).max(-1) > LEVEL  # (t, h, w)
    sizes = differs.sum((1, 2))
    seen = np.flatnonzero(sizes >= LEAST)
    if len(seen) < 2:
        return None
    begins = int(seen[0])
    height = held.shape[1]
    first = _largest(differs[begins], round(NEAR * height))
    path, here = [], first
    for mask in differs[begins:]:
        middle, here = _follow(mask, here, round(NEAR * height))
        path.append(middle)
    track = (np.array(path) - path[0]) / height
    inside = (differs[begins:] & first).sum((1, 2)) / max(1, (differs[begins] & first).sum())
    whole = bool(np.median(sizes[begins:]) > WHOLE * differs[0].size)
    shift = camera_shift(idle[-1], held[-1])
    camera = (shift.right / height, shift.down / height) if shift.explains > 0.5 else (0.0, 0.0)
    return Change(begins, track, float((inside > 0.25).mean()), whole, camera)


def camera_shift(before: np.ndarray, after: np.ndarray) -> Shift:
    """Return by how much a picture uint8 (h, w, 3) has moved to become another one, most of which has changed."""
    a, b = (cv2.cvtColor(x, cv2.COLOR_RGB2GRAY).astype(np.float32) for x in (before, after))
    (right, down), _ = cv2.phaseCorrelate(a, b, cv2.createHanningWindow(a.shape[::-1], cv2.CV_32F))
    return _explained(before, after, _changed(before, after), round(right), round(down))


def drift(before: np.ndarray, after: np.ndarray) -> Shift:
    """Return by how much what changed between two pictures has moved right, left, up or down, at most `REACH` pixels.

    What stands still, such as a plain ground or a display, says nothing of a camera.
    """
    changed = _changed(before, after)
    found = [
        _explained(before, after, changed, sign * by * (axis == 0), sign * by * (axis == 1))
        for by in range(1, REACH + 1)
        for axis in (0, 1)
        for sign in (1, -1)
    ]
    return max(found, key=lambda shift: shift.explains)  # of equally good ones the smallest


def _changed(before: np.ndarray, after: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rows and columns of the pixels that differ."""
    rows, columns = np.nonzero(cv2.absdiff(before, after).max(-1) > LEVEL)
    few = slice(None, None, 1 + len(rows) // ENOUGH)
    return rows[few], columns[few]


def _explained(
    before: np.ndarray, after: np.ndarray, changed: tuple[np.ndarray, np.ndarray], right: int, down: int
) -> Shift:
    """A shift, with the share of the changed pixels that are as they would be if all had moved so."""
    rows, columns = changed
    from_row, from_column = rows - down, columns - right
    height, width = before.shape[:2]
    inside = (from_row >= 0) & (from_row < height) & (from_column >= 0) & (from_column < width)
    if (not right and not down) or inside.sum() < LEAST:
        return Shift(0.0, 0.0, 0.0)
    moved = before[from_row[inside], from_column[inside]].astype(np.int16)
    apart = np.abs(moved - after[rows[inside], columns[inside]]).max(-1)
    return Shift(float(right), float(down), float((apart <= LEVEL).mean()))


def flicker(frames: np.ndarray) -> float:
    """Return how many pixels come and go every other emulator frame for some time, at most at once.

    Args:
        frames: Consecutive emulator frames, uint8 (f, h, w, 3).
    """
    grey = frames.astype(np.int16).mean(-1)
    change, back = np.abs(np.diff(grey, axis=0))[1:], np.abs(grey[2:] - grey[:-2])
    alternates = (change > LEVEL) & (back <= LEVEL / 2)  # (f - 2, h, w)
    if len(alternates) < RUN:
        return 0.0
    runs = np.stack([alternates[start : len(alternates) - RUN + start + 1] for start in range(RUN)]).all(0)
    return float(np.median(runs.sum((1, 2))))


def _largest(mask: np.ndarray, near: int) -> np.ndarray:
    """Return the largest group of marked pixels, bool (h, w)."""
    grown = _grown(mask, near)
    _, labels = cv2.connectedComponents(grown.astype(np.uint8))
    counts = np.bincount(labels[mask], minlength=2)
    counts[0] = 0
    return mask & (labels == counts.argmax())


def _follow(mask: np.ndarray, before: np.ndarray, near: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the middle, right and down, of the marked pixels near those before, and these pixels."""
    here = mask & _grown(before, 3 * near)
    if here.sum() < LEAST:
        return np.full(2, np.nan), before
    rows, columns = np.nonzero(here)
    return np.array([columns.mean(), rows.mean()]), here


def _grown(mask: np.ndarray, by: int) -> np.ndarray:
    return cv2.dilate(mask.astype(np.uint8), np.ones((2 * by + 1, 2 * by + 1), np.uint8)).astype(bool)
