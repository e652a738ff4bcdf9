"""Exporting datasets to Minari, Farama's format for offline reinforcement learning."""

import inspect
from contextlib import suppress
from typing import Any

import gymnasium as gym
import numpy as np

from genie_gym.data.dataset import EpisodeDataset
from genie_gym.data.episode import Episode
from genie_gym.errors import DataError, MissingExtraError, printable

__all__ = ["export_minari"]


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
        for index in range(1, len(dataset)):  # one by one: the dataset may be larger than the memory
            exported.update_dataset_from_buffer([_buffer(minari, index, dataset[index])])
    except BaseException as error:
        with suppress(Exception):  # an incomplete dataset would look complete
            minari.delete_dataset(dataset_id)
        if isinstance(error, ValueError | OSError | ImportError):
            raise DataError(f"Minari cannot write {dataset_id!r}: {error}") from error
        raise
    return exported


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
