"""Episodes on disk: the only package that reads or writes them."""

from genie_gym.data import convert
from genie_gym.data.clips import Clips
from genie_gym.data.episode import Episode
from genie_gym.data.export import export_minari
from genie_gym.data.joined import JoinedClips
from genie_gym.data.pairs import Pairs
from genie_gym.data.recording import Recording, episode_lengths, read_runs
from genie_gym.data.split import split
from genie_gym.data.writer import RecordingWriter, pack

__all__ = [
    "Clips",
    "Episode",
    "JoinedClips",
    "Pairs",
    "Recording",
    "RecordingWriter",
    "convert",
    "episode_lengths",
    "export_minari",
    "pack",
    "read_runs",
    "split",
]
