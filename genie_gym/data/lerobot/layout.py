"""Where a LeRobotDataset v3 keeps what."""

__all__ = ["DATA", "EPISODES", "INFO", "TASKS", "VERSION", "VIDEO"]

VERSION = "v3.0"
FILE = "chunk-{chunk_index:03d}/file-{file_index:03d}"
INFO, TASKS = "meta/info.json", "meta/tasks.parquet"
EPISODES, DATA = f"meta/episodes/{FILE}.parquet", f"data/{FILE}.parquet"
VIDEO = f"videos/{{video_key}}/{FILE}.mp4"
