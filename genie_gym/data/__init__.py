"""Datasets of episodes on disk: the only package that reads or writes them."""

from typing import TYPE_CHECKING

from genie_gym.utils.lazy import lazy_attributes

if TYPE_CHECKING:
    from genie_gym.data import convert
    from genie_gym.data.config import ConvertConfig
    from genie_gym.data.dataset import EpisodeDataset, episode_lengths, read_runs
    from genie_gym.data.episode import Episode
    from genie_gym.data.lerobot import export_lerobot, import_lerobot
    from genie_gym.data.minari import export_minari, import_minari
    from genie_gym.data.mixture import MixtureDataset
    from genie_gym.data.pairs import FramePairs
    from genie_gym.data.sequences import SequenceDataset
    from genie_gym.data.splits import split
    from genie_gym.data.writer import EpisodeWriter, pack

__all__ = [
    "ConvertConfig",
    "Episode",
    "EpisodeDataset",
    "EpisodeWriter",
    "FramePairs",
    "MixtureDataset",
    "SequenceDataset",
    "convert",
    "episode_lengths",
    "export_lerobot",
    "export_minari",
    "import_lerobot",
    "import_minari",
    "pack",
    "read_runs",
    "split",
]

# Loaded when first used: configurations and the command line must not wait for HDF5 and OpenCV.
__getattr__, __dir__ = lazy_attributes(
    __name__,
    {
        "ConvertConfig": "genie_gym.data.config:ConvertConfig",
        "Episode": "genie_gym.data.episode:Episode",
        "EpisodeDataset": "genie_gym.data.dataset:EpisodeDataset",
        "EpisodeWriter": "genie_gym.data.writer:EpisodeWriter",
        "FramePairs": "genie_gym.data.pairs:FramePairs",
        "MixtureDataset": "genie_gym.data.mixture:MixtureDataset",
        "SequenceDataset": "genie_gym.data.sequences:SequenceDataset",
        "convert": "genie_gym.data.convert",
        "episode_lengths": "genie_gym.data.dataset:episode_lengths",
        "export_minari": "genie_gym.data.minari:export_minari",
        "export_lerobot": "genie_gym.data.lerobot:export_lerobot",
        "import_lerobot": "genie_gym.data.lerobot:import_lerobot",
        "import_minari": "genie_gym.data.minari:import_minari",
        "pack": "genie_gym.data.writer:pack",
        "read_runs": "genie_gym.data.dataset:read_runs",
        "split": "genie_gym.data.splits:split",
    },
)
