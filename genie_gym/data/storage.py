"""The folder of a recording on disk, and the one class that reads and writes it.

    recording.json          the header: format, version, game, actions, frame_skip, and one entry of `runs` for each
                            (policy, seed) recorded into the folder, with the library versions used
    episode-<id>.h5         a shard of one episode, as a writer leaves it
    shard-<name>.h5         a shard of many episodes, packed from the former

Shards are HDF5 files; `genie_gym.data.shard` describes their inside.

HDF5 has no journal: a file open for writing at a kill is lost as a whole. So no file is ever changed. A shard is built
in memory, written aside under another name, and renamed when complete; packing deletes the single episodes only after
the rename. A kill in between leaves an episode in two shards, which is why readers go by id and not by file.
"""

import json
import re
import shlex
import time
import uuid
import warnings
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

from genie_gym import paths
from genie_gym.data.episode import Episode
from genie_gym.data.shard import FORMAT, UNREADABLE, VERSION, Shard, ShardBuilder, check_format
from genie_gym.errors import DataError
from genie_gym.files import ASIDE, write_aside

__all__ = ["Storage"]

STALE_SECONDS = 3600  # a file written aside and untouched for this long belongs to a killed writer


class Storage:
    """One recording's folder; it holds no open files, so it may be shared, copied and pickled freely."""

    def __init__(self, folder: str | Path):
        self.folder = Path(folder)

    @property
    def header_path(self) -> Path:
        return self.folder / "recording.json"

    # -- header --------------------------------------------------------------------------------------------------

    def read_header(self) -> dict[str, Any]:
        """The content of `recording.json`; DataError where it is missing, unreadable, foreign, or newer."""
        try:
            header = json.loads(self.header_path.read_text())
        except FileNotFoundError:
            raise DataError(
                f"no recording in {self.folder} (recording.json is missing); make one with: {self._how_to_make()}"
            ) from None
        except (OSError, ValueError) as error:
            raise DataError(f"{self.header_path} cannot be read ({error}); restore it or record anew") from None
        if not isinstance(header, dict):
            raise DataError(f"{self.header_path} holds no recording header; restore it or record anew")
        check_format(header.get("format"), header.get("version"), self.header_path)
        missing = [name for name in ("game", "actions", "runs") if name not in header]
        if missing:
            raise DataError(f"{self.header_path} lacks {', '.join(missing)}; restore it or record anew")
        return header

    def _how_to_make(self) -> str:
        """The command that records into this folder: a game's own has its name."""
        game = self.folder.name
        if self.folder != paths.data_dir(game):
            return f"genie-gym collect GAME --out {shlex.quote(str(self.folder))}"
        if game.endswith("-Own"):
            return f"genie-gym convert VIDEO --game {game.removesuffix('-Own')}"
        return f"genie-gym collect {game}"

    def write_header(self, header: dict[str, Any]) -> None:
        text = json.dumps({"format": FORMAT, "version": VERSION, **header}, indent=2)
        write_aside(self.header_path, (text + "\n").encode())

    # -- shards --------------------------------------------------------------------------------------------------

    def put(self, episode_id: str, episode: Episode) -> Path:
        """Stores one episode in a shard of its own; when this returns, the episode survives any kill."""
        if not re.fullmatch(r"[A-Za-z0-9][\w.-]*", episode_id):
            raise DataError(f"an episode id may hold letters, digits and _ . - only, got {episode_id!r}")
        path = self.folder / f"episode-{episode_id}.h5"
        with ShardBuilder() as builder:
            builder.add(episode_id, episode)
            write_aside(path, builder.content())
        return path

    def singles(self) -> list[Path]:
        """Shards of one episode, not packed yet."""
        return sorted(self.folder.glob("episode-*.h5"))

    def pack(self, paths: Iterable[Path]) -> Path | None:
        """Merges single-episode shards into one shard, then deletes them; torn ones are left where they are."""
        packed = []
        with ShardBuilder() as builder:
            for path in paths:
                with suppress(*UNREADABLE), Shard(path) as shard:  # torn, or packed by another process meanwhile
                    shard.copy_to(builder)
                    packed.append(path)
            if not packed:
                return None
            target = self.folder / f"shard-{uuid.uuid4().hex[:12]}.h5"
            write_aside(target, builder.content())
        for path in packed:
            path.unlink(missing_ok=True)
        return target

    def scan(self, large: bool = False) -> tuple[dict[str, tuple[Path, int]], list[str]]:
        """Finds every readable episode, or those alone that have large frames.

        Returns:
            the shard and the length T of each episode by id, in order of id, and one line for each shard skipped.
        """
        found: dict[str, tuple[Path, int]] = {}
        finer: dict[str, tuple[Path, int]] = {}
        skipped = []
        for path in self._shards():
            try:
                with Shard(path) as shard:
                    found.update({name: (path, length) for name, length in shard.lengths().items()})
                    finer.update({name: (path, length) for name, length in shard.lengths(large=True).items()})
            except FileNotFoundError:  # packed by another process since the folder was listed
                continue
            except UNREADABLE as error:
                skipped.append(f"{path}: {_first_line(error)}")
        for line in skipped:
            warnings.warn(f"skipped a torn or foreign shard, {line}", stacklevel=3)
        # Of an episode stored twice, the copy with large frames is read, whatever the files' times say.
        return dict(sorted((finer if large else found | finer).items())), skipped

    def _shards(self) -> list[Path]:
        """All shards, the newest last: of an episode stored twice, that copy is read."""
        dated = []
        for path in self.folder.glob("*.h5"):
            with suppress(FileNotFoundError):  # packed by another process meanwhile
                dated.append((path.stat().st_mtime_ns, path))
        return [path for _, path in sorted(dated)]

    def sweep(self) -> None:
        """Deletes what killed writers left half written."""
        for path in self.folder.glob(ASIDE):
            with suppress(FileNotFoundError):  # complete meanwhile, and renamed
                if time.time() - path.stat().st_mtime > STALE_SECONDS:
                    path.unlink()


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
