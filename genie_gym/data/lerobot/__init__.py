"""Datasets from and to LeRobotDataset v3: rows in parquet files, images in mp4 files, and a description in JSON."""

from genie_gym.data.lerobot.reading import import_lerobot
from genie_gym.data.lerobot.writing import export_lerobot

__all__ = ["export_lerobot", "import_lerobot"]
