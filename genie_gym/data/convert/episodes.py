"""From frames and their labels to episodes on the disk, one after the other, so that long videos need little memory."""

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice, pairwise
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from genie_gym.data.convert.alignment import Labels
from genie_gym.data.convert.bars import Box
from genie_gym.data.convert.timing import RATE
from genie_gym.data.episode import Episode
from genie_gym.data.writer import EpisodeWriter
from genie_gym.errors import DataError, printable
from genie_gym.utils import paths
from genie_gym.utils.progress import tracked

__all__ = ["Job", "find_cuts", "game_header", "source_id", "split", "store"]

# A video is split into several episodes, because only whole episodes can be held out for validation.
EPISODES, MIN_LENGTH, MAX_LENGTH = 10, 100, 1000  # number of episodes, if it keeps their lengths in these bounds
CUT_LEVELS, CUT_SHARE = 25, 0.7  # a change of more levels in more of the pixels is a cut rather than motion
HASHED_AT_ONCE = 2**20  # bytes


class Frames(Protocol):
    """Something whose frames can be read one at a time, several times."""

    def frames(self) -> Iterator[np.ndarray]:
        """Yield uint8 (size, size, 3)."""


@dataclass(frozen=True)
class Job:
    """Everything that storing the episodes of one source needs; sent to worker processes by pickle.

    Attributes:
        source: Folder of images or video, for messages.
        frames: Its frames.
        labels: What is known of each of them.
        name: Beginning of the episodes' ids.
        out: Folder of the dataset.
        header: Header of the dataset, with the entry of this source.
        box: The part of a video's pixels that is kept; None for images, in which cuts are not looked for.
        cuts: Whether an episode begins wherever the whole image changes at once.
        earlier: Ids that the dataset has from an earlier conversion of the same source.
    """

    source: Path
    frames: Frames
    labels: Labels
    name: str
    out: Path
    header: dict[str, Any]
    box: Box | None = None
    cuts: bool = False
    earlier: frozenset[str] = frozenset()


def store(job: Job) -> int:
    """Store the episodes of one source.

    Returns:
        How often the whole image changed at once; 0 if an episode was begun there.

    Raises:
        DataError: There are too few frames for an episode, or the source cannot be read or was converted otherwise.
    """
    labels, found = job.labels, _CutCounter(job.box)
    last = labels.last.copy()
    if job.cuts:
        last[[index - 1 for index in find_cuts(job.frames.frames(), job.box)]] = True
        found = _CutCounter(None)
    spans = list(split(last))
    _check(job, spans)
    read = tracked(job.frames.frames(), f"converting {printable(job.source.name)}", len(last), unit="frames")
    frames, position = found.watching(read), 0
    run = {key: value for key, value in job.header.items() if key not in ("game", "actions", "frame_skip")}
    with EpisodeWriter(job.out, job.header) as writer:
        for start, stop in spans:
            images = list(islice(frames, start - position, stop - position))
            position = stop
            if len(images) < stop - start:
                raise DataError(f"{job.source} has changed since it was first read; convert it again")
            ended, steps = bool(labels.terminated[stop - 1]), slice(start, stop - 1)
            info = {"id": _id(job.name, start), "first_frame": start, **run}
            writer.append(
                Episode(np.stack(images), labels.actions[steps], labels.rewards[steps], ended, not ended, info)
            )
    return found.count


def _check(job: Job, spans: list[tuple[int, int]]) -> None:
    if not spans:
        raise DataError(
            f"{job.source} gives {len(job.labels.last)} frame(s), of which no episode can be made; give more a second"
        )
    if job.earlier - {_id(job.name, start) for start, _ in spans}:
        raise DataError(
            f"{job.out} holds {job.source.name} already, divided into other episodes; remove {job.out} or choose "
            "another --out"
        )


def _id(name: str, start: int) -> str:
    return f"{name}-{start:07d}"


def split(last: np.ndarray) -> Iterator[tuple[int, int]]:
    """Yield the first frame of each episode and the one after its last, given bool (n,) where one has to end.

    Scenes of a single frame are dropped; long ones are divided evenly.
    """
    frames = len(last)
    longest = min(max(frames // EPISODES, MIN_LENGTH), MAX_LENGTH)
    ends = [*(np.flatnonzero(last[:-1]) + 1).tolist(), frames]
    for first, stop in pairwise([0, *ends]):
        if stop - first > 1:
            count = -(-(stop - first) // longest)
            yield from pairwise(np.linspace(first, stop, count + 1).astype(int).tolist())


def find_cuts(frames: Iterable[np.ndarray], box: Box | None) -> list[int]:
    """Return the index of the first frame of each new scene, where most pixels change at once.

    Args:
        frames: uint8 (size, size, 3) each.
        box: The part of a video's pixels that they show; the rest of the square is padding.
    """
    _, _, width, height = box or (0, 0, 1, 1)
    share = CUT_SHARE * min(width, height) / max(width, height)
    changes = (
        np.abs(after.astype(np.int16) - before).max(-1) > CUT_LEVELS if after is not before else np.zeros(1)
        for before, after in pairwise(frames)
    )
    return [index for index, changed in enumerate(changes, 1) if changed.mean() > share]


class _CutCounter:
    """Counts cuts in frames that pass through."""

    def __init__(self, box: Box | None):
        self.box, self.count = box, 0

    def watching(self, frames: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
        before = None
        for frame in frames:
            if before is not None and self.box is not None:
                self.count += len(find_cuts((before, frame), self.box))
            before = frame
            yield frame


def game_header(title: str, names: list[str], fps: float = RATE) -> dict[str, Any]:
    """Return the part of a dataset's header that describes the game, as `genie_gym.games.GameSpec.to_dict`."""
    game = paths.own_name(title)
    actions = [{"meaning": name, "buttons": [], "keys": _keys(name, index)} for index, name in enumerate(names)]
    named = {"name": game, "title": game.removesuffix("-Own"), "system": "Own"}
    described = {**named, "actions": actions, "fps": fps, "frame_skip": 1, "noop_max": 0}
    return {"game": described, "actions": names, "frame_skip": 1}


def _keys(name: str, index: int) -> list[str]:
    """Return the keys for an action: arrows if it is named after them, else its index if that is a digit."""
    parts = name.lower().split("+")
    if set(parts) <= {"left", "right", "up", "down"}:
        return parts
    return [] if name.upper() == "NOOP" or index > 9 else [str(index)]


def source_id(files: Iterable[Path]) -> str:
    """Return a hash of files: a video replaces itself even under another name, and not another of its name."""
    digest = hashlib.blake2b(digest_size=8)
    for path in files:
        with paths.open_regular(path) as file:
            while block := file.read(HASHED_AT_ONCE):
                digest.update(block)
    return f"own-{digest.hexdigest()}"
