"""Converting your own images or videos, with or without files of actions, into a dataset."""

import os
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from genie_gym.data.config import ConvertConfig
from genie_gym.data.convert.actions import guess_names, to_indices
from genie_gym.data.convert.alignment import Labels, align, unlabelled
from genie_gym.data.convert.bars import choose_box, is_centred
from genie_gym.data.convert.columns import read_rows
from genie_gym.data.convert.episodes import Job, game_header, source_id, split, store
from genie_gym.data.convert.existing import Existing
from genie_gym.data.convert.folder import find_videos, pair
from genie_gym.data.convert.images import Images, find_images
from genie_gym.data.convert.pool import in_processes
from genie_gym.data.convert.timing import RATE, default_rate
from genie_gym.data.convert.video import Scan, Video, keep, scan
from genie_gym.data.dataset import EpisodeDataset
from genie_gym.errors import ConfigError, DataError, printable
from genie_gym.utils import paths
from genie_gym.utils.atomic import check_writable
from genie_gym.utils.options import make_config

__all__ = ["convert", "from_frames", "from_video", "from_videos"]

IMAGE_RATE = RATE  # frames per second of images, unless given


def silent(line: str) -> None:
    """Say nothing."""


def convert(
    path: str | Path | ConvertConfig, *, on_message: Callable[[str], None] = silent, **options: Any
) -> EpisodeDataset:
    """Convert a video, a folder of videos, or a folder of images into episodes, and append them to a dataset.

    The same source converted again replaces its earlier episodes. Of several videos, whose work is shared among
    processes, scripts must call this under `if __name__ == "__main__":`.

    Args:
        path: A video, a folder of videos or of images, or a whole configuration.
        on_message: Called with lines of text for the user, about progress and which frames of a video were kept.
        **options: Fields of ConvertConfig by name, in place of a configuration.

    Returns:
        The dataset, including episodes of earlier calls.

    Raises:
        ConfigError: An option is unknown or does not apply to images.
        DataError: A file is missing or unreadable, the frame rate is wrong, or the actions do not match the frames.
        GameError: The game's name has characters that are not allowed.
    """
    given = path if isinstance(path, ConvertConfig) else None
    config = make_config(ConvertConfig, given, options if given else {"path": path, **options})
    name, source = paths.own_name(config.game), Path(config.path)
    out, names = config.out or paths.data_dir(name), config.action_names or None
    videos = find_videos(source) if paths.is_folder(source) else [source]
    if not videos:
        if config.cuts or config.keep_bars:
            raise ConfigError(f"--cuts and --keep-bars are for videos, and {source} holds none")
        return from_frames(
            source,
            config.actions,
            out,
            game=name,
            action_names=names,
            terminated=config.terminated,
            fps=config.fps or IMAGE_RATE,
        )
    return from_videos(
        pair(videos, config.actions) if videos != [source] else [(source, config.actions)],
        out,
        fps=config.fps,
        game=name,
        action_names=names,
        terminated=config.terminated,
        keep_bars=config.keep_bars,
        cuts=config.cuts,
        workers=config.workers,
        on_message=on_message,
    )


def from_frames(
    folder: str | Path,
    actions: str | Path | None,
    out: str | Path,
    *,
    game: str = "Own",
    action_names: Sequence[str] | None = None,
    terminated: bool = False,
    size: int = 64,
    fps: float = IMAGE_RATE,
) -> EpisodeDataset:
    """Append a folder of images, ordered by the numbers in their names, to the dataset in `out`.

    Args:
        folder: Folder of PNG, JPEG, BMP or WebP files of any size, which are padded to squares and resized.
        actions: Action file as described in `genie_gym.data.convert.actions`, with one line per image: the action taken
            at that image, which leads to the next. The line of an episode's last image may be missing. None stores
            action 0 throughout and says so in the header.
        out: Folder of the dataset.
        game: Title of the game, which becomes `Title-Own`.
        action_names: Names of the actions by index; by default those of the dataset in `out`, else of the file.
        terminated: Whether the game was over after the last action, where the action file does not say it.
        size: Side of the stored frames in pixels.
        fps: Frames per second, to show them at the right speed.

    Returns:
        The dataset, including earlier episodes.

    Raises:
        DataError: A file is missing or unreadable, or the actions do not match the images.
        GameError: The game's name has characters that are not allowed.
    """
    paths.own_name(game)
    folder, out = Path(folder), Path(out)
    images, existing = Images(find_images(folder), size), Existing(out)
    count = len(images.files)
    names, (labels,) = _labels([(folder, actions)], [(np.arange(count), count)], existing, action_names)
    for _ in images.frames():  # nothing is stored if one cannot be read
        pass
    header = _header(game_header(game, names, fps), folder, actions)
    store(_job(folder, images, _ended(labels, terminated), source_id(images.files), existing, header))
    return EpisodeDataset(out)


def from_video(
    path: str | Path,
    actions: str | Path | None,
    out: str | Path,
    *,
    fps: float | None = None,
    game: str = "Own",
    action_names: Sequence[str] | None = None,
    terminated: bool = False,
    size: int = 64,
    keep_bars: bool = False,
    cuts: bool = False,
    on_message: Callable[[str], None] = silent,
) -> EpisodeDataset:
    """Append a video to the dataset in `out`; everything is as in `from_videos`, for a single one."""
    return from_videos(
        [(path, actions)],
        out,
        fps=fps,
        game=game,
        action_names=action_names,
        terminated=terminated,
        size=size,
        keep_bars=keep_bars,
        cuts=cuts,
        on_message=on_message,
    )


def from_videos(
    videos: Sequence[tuple[str | Path, str | Path | None]],
    out: str | Path,
    *,
    fps: float | None = None,
    game: str = "Own",
    action_names: Sequence[str] | None = None,
    terminated: bool = False,
    size: int = 64,
    keep_bars: bool = False,
    cuts: bool = False,
    workers: int | None = None,
    on_message: Callable[[str], None] = silent,
) -> EpisodeDataset:
    """Append videos, in any format that FFmpeg reads, to the dataset in `out`.

    All videos are looked through before any is stored, so that one that cannot be used is known at once.

    Args:
        videos: Each video and its action file as for `from_frames`, with one line per frame of the video or per frame
            kept. In the first case the action at a kept frame counts, and rewards up to the next kept frame are summed.
            Either all have action files or none has.
        out: Folder of the dataset.
        fps: Frames per second to keep, at most the videos' own; by default the rate of the dataset in `out`, else about
            15, at which games are usually modelled (every second frame of 30, for example). Where a video shows its
            frames at irregular times, those nearest to even times are kept.
        game: Title of the game, which becomes `Title-Own`.
        action_names: Names of the actions by index; by default those of the dataset in `out`, else of the files.
        terminated: Whether the game was over after the last action, where an action file does not say it.
        size: Side of the stored frames in pixels.
        keep_bars: Keep edges that are always black; each video's own are cropped by default.
        cuts: Start a new episode wherever the whole image changes at once, for edited videos. By default such a change
            is part of the game, such as entering another room.
        workers: Number of processes that share the videos; one per CPU core by default.
        on_message: Called with lines of text for the user, about progress and which frames were kept.

    Returns:
        The dataset, including earlier episodes.

    Raises:
        DataError: A file is missing or unreadable, `fps` is wrong, or the actions do not match a video.
        GameError: The game's name has characters that are not allowed.
    """
    paths.own_name(game)
    if not videos:
        raise DataError("no videos are given")
    sources, out = [(Path(video), actions) for video, actions in videos], Path(out)
    check_writable(out)
    existing, workers = Existing(out), workers or os.cpu_count() or 1
    rate = existing.rate(fps)
    existing.check_kind(any(actions is not None for _, actions in sources))
    scans = _look_through([path for path, _ in sources], workers, on_message)
    kept = _keep(scans, rate, existing, keep_bars, size)
    sizes = [(video.indices, video.total) for video in kept]
    names, labels = _labels(sources, sizes, existing, action_names)
    described = game_header(game, names, kept[0].rate)
    jobs = []
    for (path, actions), one, video, known in zip(sources, scans, kept, labels, strict=True):
        header = _header(described, path, actions)
        known.last[[start - 1 for start in video.scenes]] = True
        jobs.append(_video_job(video, _ended(known, terminated), one.digest, existing, header, cuts))
    for index, (video, found) in enumerate(zip(kept, in_processes(store, jobs, workers), strict=True), 1):
        start = f"{index} of {len(kept)}: {printable(video.path.name)}: " if len(kept) > 1 else ""
        on_message(f"{start}{video}")
        if found:
            on_message(
                f"{start}{found} time(s) the whole image changes at once; "
                f"if the video was edited there, remove {out} and convert it again with --cuts"
            )
    return EpisodeDataset(out)


def _look_through(videos: list[Path], workers: int, on_message: Callable[[str], None]) -> list[Scan]:
    """Return what is in each video.

    Raises:
        DataError: Some cannot be read; all of them are named.
    """
    found: list[Scan] = []
    failed: list[DataError] = []
    for index, one in enumerate(in_processes(_scan_or_error, videos, workers), 1):
        if len(videos) > 1:
            on_message(f"{index} of {len(videos)} looked through")
        failed.append(one) if isinstance(one, DataError) else found.append(one)
    if len(failed) > 1:
        raise DataError(f"{len(failed)} of {len(videos)} videos cannot be read: {'; '.join(map(str, failed))}")
    if failed:
        raise failed[0]
    return found


def _scan_or_error(path: Path) -> Scan | DataError:
    try:
        return scan(path)
    except DataError as error:
        return error


def _keep(scans: list[Scan], rate: float | None, existing: Existing, keep_bars: bool, size: int) -> list[Video]:
    """Return which frames and which part of each video are kept: at one rate, the most common one if none is given."""
    if rate is None and len(scans) > 1:
        rates = Counter(round(default_rate(one.rate), 3) for one in scans)
        rate = max(sorted(rates), key=rates.__getitem__)
    boxes: dict[tuple[int, int], list[Any]] = {one.pixels: existing.boxes(one.pixels) for one in scans}
    for one in scans:
        if is_centred(one.box, one.pixels):
            boxes[one.pixels].append(one.box)
    return [
        keep(one, rate, (0, 0, *one.pixels) if keep_bars else choose_box(one.box, one.pixels, boxes[one.pixels]), size)
        for one in scans
    ]


def _labels(
    sources: Sequence[tuple[Path, str | Path | None]],
    kept: Sequence[tuple[np.ndarray, int]],
    existing: Existing,
    names: Sequence[str] | None,
) -> tuple[list[str], list[Labels]]:
    """Return the names of the actions, which all sources share, and the labels of the kept frames of each.

    Args:
        sources: Each video or folder and its action file.
        kept: The indices of the kept frames of each, int64 (n,), and how many there are in all.
        existing: The dataset to which they are added.
        names: Names of the actions, if they are given.
    """
    files = [actions for _, actions in sources]
    if None in files and any(file is not None for file in files):
        raise DataError("some videos have action files and others none; give the two kinds datasets of their own")
    existing.check_kind(files[0] is not None)
    names = existing.names(names)
    if files[0] is None:
        return list(names or ["NOOP"]), [unlabelled(len(indices)) for indices, _ in kept]
    rows = [read_rows(Path(file)) for file in files if file is not None]
    names = list(guess_names([row for file in rows for row in file]) if names is None else names)
    labels = [
        align(to_indices(file, names), indices, total, (actions, path))
        for (path, actions), (indices, total), file in zip(sources, kept, rows, strict=True)
    ]
    return names, labels


def _ended(labels: Labels, terminated: bool) -> Labels:
    """Return labels that say how the last episode ended, where the action file does not."""
    if terminated and not labels.last[-1]:
        labels.terminated[-1] = True
    return labels


def _header(described: dict[str, Any], source: Path, actions: str | Path | None) -> dict[str, Any]:
    """Return the header of a dataset, with an entry for one source."""
    return {**described, "policy": "converted", "source": printable(source.name), "no_actions": actions is None}


def _video_job(video: Video, labels: Labels, name: str, existing: Existing, header: dict[str, Any], cuts: bool) -> Job:
    """Return the work of storing a video, whose header says what was cut out of it."""
    part = {"pixels": list(video.pixels), "box": list(video.box)}
    return replace(_job(video.path, video, labels, name, existing, header | part), box=video.box, cuts=cuts)


def _job(
    source: Path, frames: Images | Video, labels: Labels, name: str, existing: Existing, header: dict[str, Any]
) -> Job:
    """Return the work of storing a source.

    Raises:
        DataError: No episode can be made of it.
    """
    if not list(split(labels.last)):
        raise DataError(
            f"{source} gives {len(labels.last)} frame(s), of which no episode can be made; give more a second"
        )
    return Job(source, frames, labels, name, existing.out, header, earlier=existing.episodes(name))
