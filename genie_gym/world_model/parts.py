"""The files of a checkpoint folder: replacing config.json is what replaces a checkpoint, at once and as a whole.

A tensor file is named after its content, so that no new one overwrites one that a reader needs. config.json names those
that belong together; whatever it does not name is swept away after it was replaced.
"""

import fcntl
import hashlib
import json
import os
import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, BinaryIO

from safetensors import SafetensorError
from safetensors.torch import load
from torch import Tensor

from genie_gym.errors import CheckpointError
from genie_gym.utils.atomic import atomic_write_all, remove_partial_files
from genie_gym.utils.jsonable import from_jsonable, parse_json
from genie_gym.utils.paths import open_regular

__all__ = [
    "FORMAT",
    "VERSION",
    "Part",
    "open_parts",
    "part_names",
    "read_config",
    "read_tensors",
    "write_parts",
    "writing",
]

FORMAT = "genie_gym world model"
VERSION = 2  # 1 kept how the model was made as free text
PART_FILE = re.compile(r"(model|contexts|upscaler)-([0-9a-f]{16})\.safetensors")
DIGITS = 16  # of the checksum, in the name of a file
MOST_CONFIG = 4 * 2**20  # bytes of config.json
ATTEMPTS = 100  # to open the parts that config.json names before a writer replaces them again
DAMAGED = "copy the checkpoint again, or train the game again with: genie-gym train GAME"


@dataclass(frozen=True)
class Part:
    """A tensor file of a checkpoint.

    Attributes:
        file: Its name, such as model-0123456789abcdef.safetensors.
        sha256: Checksum of its content, which its name begins with.

    Raises:
        ValueError: It is not the name of a part with that checksum, but perhaps a path to somewhere else.
    """

    file: str
    sha256: str

    def __post_init__(self) -> None:
        named = PART_FILE.fullmatch(self.file)
        if named is None or not re.fullmatch("[0-9a-f]{64}", self.sha256) or named[2] != self.sha256[:DIGITS]:
            raise ValueError(f"{self.file!r:.80} is not the name of a part with the SHA-256 {self.sha256!r:.80}")

    @classmethod
    def of(cls, kind: str, content: bytes) -> "Part":
        """Return the part of that kind ("model", "contexts" or "upscaler") and content."""
        checksum = hashlib.sha256(content).hexdigest()
        return cls(f"{kind}-{checksum[:DIGITS]}.safetensors", checksum)


@contextmanager
def writing(folder: Path) -> Iterator[bool]:
    """Make a folder and hold its lock, for which other writers wait; yields False if the disk has no locks."""
    descriptor, locked = None, False
    with suppress(OSError):  # a folder that cannot be made or written is reported better by the first write
        folder.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        locked = True
    try:
        yield locked
    finally:
        if descriptor is not None:
            os.close(descriptor)


def write_parts(
    folder: Path, config: dict[str, Any], tensors: dict[str, bytes], card: str, *, sweep: bool = True
) -> None:
    """Write a checkpoint; call it within `writing`.

    Args:
        folder: The folder.
        config: Content of config.json, but for format, version and parts.
        tensors: Content of each part.
        card: Content of README.md.
        sweep: Whether files that belong to no checkpoint any more are removed.

    Raises:
        DataError: The disk is full or the folder cannot be written; the checkpoint is the one that was there before.
    """
    parts = {kind: Part.of(kind, content) for kind, content in tensors.items()}
    named = {"format": FORMAT, "version": VERSION, **config, "parts": {kind: asdict(p) for kind, p in parts.items()}}
    files = {parts[kind].file: content for kind, content in tensors.items()}
    files |= {"config.json": json.dumps(named, indent=1).encode(), "README.md": card.encode()}
    try:
        atomic_write_all({folder / name: content for name, content in files.items()})
    finally:
        if sweep:
            _sweep(folder)


def _sweep(folder: Path) -> None:
    """Remove the parts that config.json does not name, and incomplete files. None goes if it cannot be read."""
    try:
        kept = part_names(folder, read_config(folder))
    except CheckpointError:
        return
    for file in folder.glob("*.safetensors"):
        if PART_FILE.fullmatch(file.name) and file.name not in kept:
            with suppress(OSError):
                file.unlink()
    remove_partial_files(folder)


def read_config(folder: Path) -> dict[str, Any]:
    """Return the content of config.json, of this format and version.

    Raises:
        CheckpointError: There is none, or it is damaged, another's, or of another version.
    """
    path = folder / "config.json"
    try:
        with open_regular(path) as file:
            content = file.read(MOST_CONFIG + 1)
    except (FileNotFoundError, NotADirectoryError):
        raise CheckpointError(
            f"{folder} is not a checkpoint: it has no config.json; give the folder that `genie-gym train` wrote"
        ) from None
    except (OSError, ValueError) as error:  # ValueError: the path has a NUL
        raise CheckpointError(
            f"{str(path)!r} cannot be read ({error}); give the folder that `genie-gym train` wrote"
        ) from error
    try:
        if len(content) > MOST_CONFIG:
            raise ValueError(f"it has more than {MOST_CONFIG:,} bytes")
        config = parse_json(content.decode())
    except ValueError as error:
        raise CheckpointError(f"{path} is damaged ({error}); copy the checkpoint again") from error
    if not isinstance(config, dict) or config.get("format") != FORMAT:
        raise CheckpointError(f"{folder} was not made by genie_gym: its config.json does not say format {FORMAT!r}")
    _check_version(folder, config.get("version"))
    return config


def _check_version(folder: Path, version: object) -> None:
    if isinstance(version, bool) or version != VERSION:
        old = isinstance(version, int) and version < VERSION
        advice = "train the game again with: genie-gym train GAME" if old else "upgrade with: pip install -U genie_gym"
        raise CheckpointError(f"{folder} has version {version!r:.20}, this genie_gym reads version {VERSION}; {advice}")


def parts_of(config: dict[str, Any]) -> dict[str, Part]:
    """Return the parts that config.json names.

    Raises:
        ValueError: An entry is missing, or a name is not that of such a part.
    """
    parts = from_jsonable(dict[str, Part], config.get("parts"), "parts")
    for kind in ("model", "contexts", *(["upscaler"] if "upscaler" in config else [])):
        if kind not in parts:
            raise ValueError(f"parts lacks {kind!r}")
    for kind, part in parts.items():
        if not part.file.startswith(f"{kind}-"):
            raise ValueError(f"{part.file} is not the name of a part {kind!r:.40}")
    return parts


def part_names(folder: Path, config: dict[str, Any]) -> set[str]:
    """Return the names of the tensor files that the config.json of a folder names.

    Raises:
        CheckpointError: The names are missing, or not those of parts of a checkpoint.
    """
    try:
        return {part.file for part in parts_of(config).values()}
    except ValueError as error:
        raise CheckpointError(f"{folder / 'config.json'} is damaged ({error}); {DAMAGED}") from error


@contextmanager
def open_parts(folder: Path) -> Iterator[tuple[dict[str, Any], dict[str, BinaryIO]]]:
    """Open the files of a checkpoint, all of the same save: yields config.json's content and each part's file.

    A file that is open can be read although a writer removes it.

    Raises:
        CheckpointError: The folder is no checkpoint, or a part is missing.
    """
    config = read_config(folder)
    with ExitStack() as stack:
        for _ in range(ATTEMPTS):
            names = part_names(folder, config)
            try:
                opened = {name: stack.enter_context(open_regular(folder / name)) for name in names}
                break
            except OSError as error:
                before, config = config, read_config(folder)
                if config == before:  # else it was replaced, and the parts that it named are gone
                    raise CheckpointError(
                        f"{error.filename or folder} is missing or damaged ({error.strerror}); {DAMAGED}"
                    ) from error
        else:
            raise CheckpointError(f"{folder} is being replaced all the time; stop its writer, and try again")
        yield config, {kind: opened[part.file] for kind, part in parts_of(config).items()}


def read_tensors(file: BinaryIO, part: Part, least: int, most: int) -> dict[str, Tensor]:
    """Read a part, whose checksum config.json has: safetensors notices a truncated file, but not a flipped bit.

    Args:
        file: The open file.
        part: Its name and checksum.
        least: Bytes that it has at least.
        most: Bytes that it may have; it is not read if it has more.

    Raises:
        CheckpointError: It is damaged, or of another size.
    """
    try:
        size = os.fstat(file.fileno()).st_size
        if not least <= size <= most:
            raise ValueError(f"it has {size:,} bytes; by config.json it has from {least:,} to {most:,}")
        content = file.read(most)
        if hashlib.sha256(content).hexdigest() != part.sha256:
            raise ValueError("its SHA-256 is not that in config.json")
        return load(content)
    except (OSError, ValueError, SafetensorError) as error:
        raise CheckpointError(f"{file.name} is missing or damaged ({error}); {DAMAGED}") from error
