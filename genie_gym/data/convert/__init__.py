"""Your own images and videos, with or without files of actions, become datasets."""

from genie_gym.data.convert.api import convert, from_frames, from_video, from_videos

__all__ = ["convert", "from_frames", "from_video", "from_videos"]
