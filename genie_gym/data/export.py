"""Handing recordings to other programs: Minari, the format of Farama's offline reinforcement learning datasets."""

import inspect
from contextlib import suppress
from typing import Any

import gymnasium as gym
import numpy as np

from genie_gym.data.episode import Episode
from genie_gym.data.recording import Recording
from genie_gym.errors import DataError, MissingExtraError

__all__ = ["export_minari"]


def export_minari(recording: Recording, dataset_id: str, *, data_format: str = "hdf5", **metadata: Any) -> Any:
    """Writes a recording as a local Minari dataset, frames exactly as they are.

    Args:
        dataset_id: Minari's name for it, `namespace/name-v0`.
        data_format: as Minari knows them; "hdf5" needs nothing more, "parquet" (needs pyarrow) is smaller.
        metadata: passed to Minari (author, author_email, code_permalink, ...).

    Returns:
        The `minari.MinariDataset`.

    Raises:
        MissingExtraError: Minari is not installed, or is one that can store pictures only with losses.
        DataError: Minari refuses the dataset, for example because its id is taken.
    """
    minari = _import_minari()
    height, width = recording.frames(0, 0, 1).shape[1:3]
    if dataset_id in minari.list_local_datasets():
        raise DataError(f"there is a Minari dataset {dataset_id!r} already; choose another id, or delete that one")
    metadata = {"algorithm_name": _policies(recording), "description": _description(recording), **metadata}
    try:
        dataset = minari.create_dataset_from_buffers(
            dataset_id,
            [_buffer(minari, 0, recording[0])],
            observation_space=gym.spaces.Box(0, 255, (height, width, 3), np.uint8),
            action_space=gym.spaces.Discrete(len(recording.header["actions"])),
            data_format=data_format,
            jpeg_encoding=False,  # the default changes the pixels (32 dB)
            **metadata,
        )
        for index in range(1, len(recording)):  # one by one: a recording may be larger than the memory
            dataset.update_dataset_from_buffer([_buffer(minari, index, recording[index])])
    except BaseException as error:
        with suppress(Exception):  # a part of it would pass for the whole
            minari.delete_dataset(dataset_id)
        if isinstance(error, ValueError | OSError | ImportError):
            raise DataError(f"Minari cannot write {dataset_id!r}: {error}") from error
        raise
    return dataset


def _import_minari() -> Any:
    try:
        import minari
    except ImportError:
        raise MissingExtraError("Minari is not installed; type: pip install 'genie_gym[minari]'") from None
    if "jpeg_encoding" not in inspect.signature(minari.create_dataset_from_buffers).parameters:
        raise MissingExtraError(
            f"Minari {minari.__version__} stores pictures with losses only; type: pip install 'minari>=0.5.4'"
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
        truncations=last & (not episode.terminated),  # Minari wants every episode to end in one way or the other
    )


def _policies(recording: Recording) -> str:
    return ", ".join(sorted({str(run.get("policy", "unknown")) for run in recording.header["runs"]}))


def _description(recording: Recording) -> str:
    names = ", ".join(f"{index} {name}" for index, name in enumerate(recording.header["actions"]))
    return f"{recording.header['game'].get('name')} recorded with genie_gym; actions: {names}"
