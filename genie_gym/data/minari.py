"""Datasets from and to Minari, Farama's format for offline reinforcement learning."""

import inspect
import re
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
from einops import rearrange, repeat

from genie_gym.data.convert.episodes import game_header
from genie_gym.data.convert.timing import RATE
from genie_gym.data.dataset import EpisodeDataset
from genie_gym.data.episode import Episode
from genie_gym.data.writer import EpisodeWriter
from genie_gym.errors import DataError, MissingExtraError, first_line, printable
from genie_gym.utils.images import letterbox
from genie_gym.utils.progress import tracked

__all__ = ["export_minari", "import_minari"]


def export_minari(dataset: EpisodeDataset, dataset_id: str, *, data_format: str = "hdf5", **metadata: Any) -> Any:
    """Write a dataset as a local Minari dataset, with frames stored losslessly.

    Args:
        dataset: The episodes.
        dataset_id: Id in Minari, `namespace/name-v0`.
        data_format: Format that Minari stores: "hdf5", or "parquet", which is smaller and needs pyarrow.
        **metadata: Passed to Minari (author, author_email, code_permalink, ...).

    Returns:
        The `minari.MinariDataset`.

    Raises:
        MissingExtraError: Minari is not installed, or is a version without lossless images.
        DataError: Minari refuses the dataset, for example because its id is taken.
    """
    minari = _import_minari()
    height, width = dataset.frames(0, 0, 1).shape[1:3]
    if dataset_id in minari.list_local_datasets():
        raise DataError(f"there is a Minari dataset {dataset_id!r} already; choose another id, or delete that one")
    metadata = {"algorithm_name": _policies(dataset), "description": _description(dataset), **metadata}
    try:
        exported = minari.create_dataset_from_buffers(
            dataset_id,
            [_buffer(minari, 0, dataset[0])],
            observation_space=gym.spaces.Box(0, 255, (height, width, 3), np.uint8),
            action_space=gym.spaces.Discrete(len(dataset.header["actions"])),
            data_format=data_format,
            jpeg_encoding=False,  # the default changes the pixels (32 dB)
            **metadata,
        )
        for index in tracked(
            range(1, len(dataset)), "exporting", len(dataset) - 1, unit="episodes"
        ):  # one by one: the dataset may be larger than the memory
            exported.update_dataset_from_buffer([_buffer(minari, index, dataset[index])])
    except BaseException as error:
        with suppress(Exception):  # an incomplete dataset would look complete
            minari.delete_dataset(dataset_id)
        if isinstance(error, ValueError | OSError | ImportError):
            raise DataError(f"Minari cannot write {dataset_id!r}: {error}") from error
        raise
    return exported


def import_minari(
    dataset_id: str,
    out: str | Path,
    *,
    game: str = "Own",
    action_names: Sequence[str] | None = None,
    size: int = 64,
    fps: float = RATE,
) -> EpisodeDataset:
    """Append the episodes of a local Minari dataset of images to the dataset in `out`.

    The same Minari dataset imported again replaces its earlier episodes.

    Args:
        dataset_id: Id in Minari, `namespace/name-v0`; `minari download` fetches it.
        out: Folder of the dataset.
        game: Title of the game, which becomes `Title-Own`.
        action_names: Names of the actions by index; ACTION_0, ACTION_1, ... by default.
        size: Side of the stored frames in pixels; others are padded to squares and resized.
        fps: Frames per second, to show them at the right speed.

    Returns:
        The dataset, including earlier episodes.

    Raises:
        MissingExtraError: Minari is not installed.
        DataError: There is no such dataset, its observations are no uint8 images, or its actions are not discrete.
        GameError: The game's name has characters that are not allowed.
    """
    minari = _import_minari()
    try:
        source = minari.load_dataset(dataset_id)
    except Exception as error:  # Minari raises what its storages raise
        raise DataError(
            f"Minari cannot load {dataset_id!r} ({first_line(error)}); fetch it with: minari download {dataset_id}"
        ) from None
    _check_observations(dataset_id, source.observation_space)
    space = source.action_space
    if not isinstance(space, gym.spaces.Discrete):
        raise DataError(f"{dataset_id} has actions {space}, and only discrete ones can be imported")
    names = list(action_names or [f"ACTION_{index}" for index in range(int(space.n))])
    if len(names) != space.n:
        raise DataError(f"{dataset_id} has {space.n} actions, and {len(names)} names are given")
    run = {"policy": "minari", "source": printable(dataset_id)}
    name = f"minari-{re.sub(r'[^A-Za-z0-9_.-]', '_', dataset_id)}"
    with EpisodeWriter(out, {**game_header(game, names, fps), **run}) as writer:
        for one in tracked(source.iterate_episodes(), "importing", int(source.total_episodes), unit="episodes"):
            writer.append(
                Episode(
                    np.stack([letterbox(image, size) for image in _images(one.observations)]),
                    np.asarray(one.actions, np.int64) - int(space.start),
                    np.asarray(one.rewards, np.float32),
                    bool(one.terminations[-1]),
                    not one.terminations[-1],
                    {"id": f"{name}-{int(one.id):06d}", **run},
                )
            )
    return EpisodeDataset(out)


def _check_observations(dataset_id: str, space: gym.Space) -> None:
    """Raise DataError if observations are no images, grey or RGB, of any layout."""
    shape = space.shape or ()
    image = len(shape) == 2 or (len(shape) == 3 and (shape[-1] in (1, 3) or shape[0] in (1, 3)))
    if not isinstance(space, gym.spaces.Box) or space.dtype != np.uint8 or not image:
        raise DataError(
            f"{dataset_id} has observations {printable(space)!s:.200}, and only uint8 images of 1 or 3 channels can be "
            "imported"
        )


def _images(observations: np.ndarray) -> np.ndarray:
    """Return observations as (t, h, w, 3); grey ones have one channel or none, and channels may come first."""
    if observations.ndim == 3:
        return repeat(observations, "t h w -> t h w c", c=3)
    if observations.shape[-1] not in (1, 3):
        observations = rearrange(observations, "t c h w -> t h w c")
    return repeat(observations, "t h w 1 -> t h w c", c=3) if observations.shape[-1] == 1 else observations


def _import_minari() -> Any:
    try:
        import minari
    except ImportError:
        raise MissingExtraError("Minari is not installed; type: pip install 'genie_gym[minari]'") from None
    if "jpeg_encoding" not in inspect.signature(minari.create_dataset_from_buffers).parameters:
        raise MissingExtraError(
            f"Minari {minari.__version__} stores images with losses only; type: pip install 'minari>=0.5.4'"
        )
    return minari


def _buffer(minari: Any, index: int, episode: Episode) -> Any:
    last = np.arange(len(episode.actions)) == len(episode.actions) - 1
    return minari.data_collector.EpisodeBuffer(
        id=index,
        seed=episode.info.get("seed"),
        observations=episode.frames,
        actions=episode.actions,
        rewards=episode.rewards,
        terminations=last & episode.terminated,
        truncations=last & (not episode.terminated),  # Minari requires every episode to end
    )


def _policies(dataset: EpisodeDataset) -> str:
    return ", ".join(sorted({printable(run.get("policy", "unknown")) for run in dataset.header["runs"]}))


def _description(dataset: EpisodeDataset) -> str:
    names = ", ".join(f"{index} {name}" for index, name in enumerate(dataset.header["actions"]))
    return f"{dataset.header['game'].get('name')} recorded with genie_gym; actions: {names}"
