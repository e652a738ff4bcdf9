"""The folder of a dataset on disk, and the only class that reads and writes it.

    recording.json          the header: format, version, game, actions, frame_skip, and one entry of `runs` for each
                            (policy, seed) that wrote into the folder, with the library versions used
    .recording.lock         locked by a process while it adds an entry to the header
    episode-<id>.h5         a shard of one episode, as a writer leaves it
    shard-<name>.h5         a shard of many episodes, packed from such files

Shards are HDF5 files; `genie_gym.data.shard` describes their content.

HDF5 has no journal: a file that is open for writing when the process is killed is lost. Therefore files are never
modified. A shard is built in memory, written under a temporary name and renamed when complete; packing deletes the
single episodes only after the rename. A kill in between leaves an episode in two shards, so readers identify episodes
by their ids.
"""

import json
import shlex
import time
import uuid
import warnings
from collections.abc import Iterable
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from typing import Any

from genie_gym.data.episode import Episode
from genie_gym.data.header import check_header
from genie_gym.data.shard import EPISODE_ID, FORMAT, UNREADABLE, VERSION, Shard, ShardBuilder, check_format
from genie_gym.errors import DataError, first_line, printable
from genie_gym.utils import paths
from genie_gym.utils.atomic import PARTIAL_FILES, atomic_write
from genie_gym.utils.jsonable import parse_json
from genie_gym.utils.locks import short_lock
from genie_gym.utils.paths import file_size
from genie_gym.utils.validation import is_name

__all__ = ["Storage"]

MAX_HEADER_BYTES = 2**25
LONGEST_ID = 200  # file systems take names of 255 bytes, and "episode-" and endings are added

STALE_SECONDS = 3600  # a temporary file that was not modified for this long belongs to a killed writer


class Storage:
    """The folder of a dataset; holds no open files, so it can be shared, copied and pickled."""

    def __init__(self, folder: str | Path):
        self.folder = Path(folder)

    @property
    def header_path(self) -> Path:
        return self.folder / "recording.json"

    # -- header --------------------------------------------------------------------------------------------------

    def read_header(self) -> dict[str, Any]:
        """Return the content of `recording.json`.

        Raises:
            DataError: The file is missing, unreadable, incomplete, or of another format or a newer version.
        """
        try:
            if file_size(self.header_path) > MAX_HEADER_BYTES:
                raise ValueError(f"it has more than {MAX_HEADER_BYTES:,} bytes")
            header = parse_json(self.header_path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise DataError(
                f"no dataset in {self.folder} (recording.json is missing); make one with: {self._how_to_make()}"
            ) from None
        except (OSError, ValueError) as error:
            raise DataError(f"{self.header_path} cannot be read ({error}); restore it or record anew") from None
        if not isinstance(header, dict):
            raise DataError(f"{self.header_path} holds no dataset header; restore it or record anew")
        check_format(header.get("format"), header.get("version"), self.header_path)
        try:
            return check_header(header)
        except DataError as error:
            raise DataError(f"{self.header_path} {error}; restore it or record anew") from None

    def _how_to_make(self) -> str:
        """Return the command that would create this dataset; the name of a game's own folder is that of the game."""
        game = self.folder.name
        if not is_name(game) or self.folder != paths.data_dir(game):
            return f"genie-gym collect GAME --out {shlex.quote(str(self.folder))}"
        if game.endswith("-Own"):
            title = game.removesuffix("-Own")
            return f"genie-gym convert VIDEO --game {title}, or genie-gym collect {title} --env ENV"
        return f"genie-gym collect {game}"

    def write_header(self, header: dict[str, Any]) -> None:
        """Write `recording.json`; whoever has read it before, to add to it, must hold `header_lock` meanwhile."""
        text = json.dumps({"format": FORMAT, **header, "version": VERSION}, indent=2)
        atomic_write(self.header_path, (text + "\n").encode())

    def header_lock(self) -> AbstractContextManager[None]:
        """Hold other writers off the header."""
        return short_lock(self.folder / ".recording.lock")

    # -- shards --------------------------------------------------------------------------------------------------

    def put(self, episode_id: str, episode: Episode) -> Path:
        """Write an episode to a shard of its own; once this returns, the episode survives a kill."""
        if not EPISODE_ID.fullmatch(episode_id) or len(episode_id) > LONGEST_ID:
            raise DataError(
                f"an episode id may hold {LONGEST_ID} letters, digits and _ . - only, got {episode_id!r:.300}"
            )
        path = self.folder / f"episode-{episode_id}.h5"
        with ShardBuilder() as builder:
            builder.add(episode_id, episode)
            atomic_write(path, builder.content())
        return path

    def singles(self) -> list[Path]:
        """Return the shards of single episodes, which are not packed yet."""
        return sorted(self.folder.glob("episode-*.h5"))

    def pack(self, paths: Iterable[Path]) -> Path | None:
        """Merge single-episode shards into one shard, then delete them; damaged ones stay where they are.

        Returns:
            The new shard, None if there was nothing to pack.
        """
        packed = []
        with ShardBuilder() as builder:
            for path in paths:
                # Damaged, or packed by another process meanwhile: what is packed is deleted, so it is read before.
                with suppress(*UNREADABLE), Shard(path) as shard:
                    if shard.version == VERSION:  # packing would lose what an older one calls by another name
                        shard.verify()
                        shard.copy_to(builder)
                        packed.append(path)
            if not packed:
                return None
            target = self.folder / f"shard-{uuid.uuid4().hex[:12]}.h5"
            atomic_write(target, builder.content())
        for path in packed:
            path.unlink(missing_ok=True)
        return target

    def scan(self, high_res: bool = False) -> tuple[dict[str, tuple[Path, int]], list[str]]:
        """Find all readable episodes, or only those with high-resolution frames.

        Returns:
            The shard and the number of frames of each episode by id, ordered by id, and one line for each shard or
            episode that was skipped.
        """
        found: dict[str, tuple[Path, int]] = {}
        with_high_res: dict[str, tuple[Path, int]] = {}
        skipped: list[str] = []
        for path in self._shards():
            try:
                with Shard(path) as shard:
                    lengths = _checked_lengths(shard, path, skipped)
                    found.update({name: (path, length) for name, length in lengths.items()})
                    with_high_res.update({name: found[name] for name in lengths if shard.has_high_res(name)})
            except FileNotFoundError:  # packed by another process since the folder was listed
                continue
            except UNREADABLE as error:
                skipped.append(printable(f"{path}: {first_line(error)}"))
        for line in skipped:
            warnings.warn(f"skipped a damaged or foreign shard, {line}", stacklevel=3)
        # Of an episode stored twice, the copy with high-resolution frames is used, whatever the files' times are.
        return dict(sorted((with_high_res if high_res else found | with_high_res).items())), skipped

    def _shards(self) -> list[Path]:
        """Return all shards, the newest last: of an episode stored twice, that copy is used."""
        dated = []
        for path in self.folder.glob("*.h5"):
            try:
                dated.append((path.stat().st_mtime_ns, path))
            except FileNotFoundError:  # packed by another process meanwhile
                continue
            except OSError:  # a link that goes round, for example: opening it says so
                dated.append((0, path))
        return [path for _, path in sorted(dated)]

    def sweep(self) -> None:
        """Delete incomplete files of killed writers."""
        for path in self.folder.glob(PARTIAL_FILES):
            with suppress(OSError):  # completed and renamed meanwhile
                if time.time() - path.stat().st_mtime > STALE_SECONDS:
                    path.unlink()


def _checked_lengths(shard: Shard, path: Path, skipped: list[str]) -> dict[str, int]:
    """Return the lengths of the episodes that can be read, and add a line to `skipped` for each of the others."""
    lengths = {}
    for name in shard.names():
        try:
            lengths[name] = shard.check(name)
        except UNREADABLE as error:
            skipped.append(printable(f"{path}: episode {name}: {first_line(error)}"))
    return lengths
