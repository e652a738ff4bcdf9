"""Brings ROMs into the user's own folder, recognised by stable-retro's hashes."""

import io
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from genie_gym import paths
from genie_gym.errors import GameError, MissingExtraError
from genie_gym.games import catalogue
from genie_gym.games.retro import import_retro, rom_path

__all__ = ["RomReport", "import_ale_roms", "import_roms"]

# What the zipfile module raises for archives that are torn, encrypted or packed in ways it does not know.
_BAD_ZIP = (zipfile.BadZipFile, zlib.error, RuntimeError, NotImplementedError, EOFError, OSError)

_LARGEST = 2**25  # bytes; no ROM that stable-retro knows is larger, and a folder may hold films
_INES = b"NES\x1a"  # how dumps of NES cartridges begin
_COPIER = 512  # bytes of the header that copiers of SNES cartridges wrote


@dataclass
class RomReport:
    """What became of the files: games brought in, files of games already there, files that are no known ROM."""

    imported: list[str] = field(default_factory=list)
    duplicates: list[tuple[Path, str]] = field(default_factory=list)
    unknown: list[Path] = field(default_factory=list)


def import_roms(sources: Iterable[str | Path]) -> RomReport:
    """Copies every ROM that stable-retro knows into `paths.roms_dir()`.

    Args:
        sources: files, zip archives, or folders, which are searched to the bottom.

    Raises:
        GameError: a source does not exist, or the folder cannot be written.
        MissingExtraError: stable-retro is not installed.
    """
    known = _known_games()
    report = RomReport()
    for file in _files(sources):
        _import_file(file, known, report)
    return report


def import_ale_roms() -> RomReport:
    """Takes the Atari 2600 ROMs that ale-py brings along; raises MissingExtraError where it is not installed."""
    try:
        import ale_py.roms
    except ImportError as error:
        raise MissingExtraError("Atari ROMs come with ale-py: `pip install genie_gym[atari]`.") from error
    return import_roms([Path(ale_py.roms.__file__).parent])


def _known_games() -> dict[str, tuple[str, str]]:
    """SHA-1 of a ROM to its game and file suffix; stable-retro's experimental games are left out."""
    hashes = import_retro().data.get_known_hashes()
    listed = set(catalogue.names())
    found = {sha: (game.removesuffix("-v0"), suffix) for sha, (game, suffix, _) in hashes.items()}
    return {sha: entry for sha, entry in found.items() if entry[0] in listed}


def _files(sources: Iterable[str | Path]) -> Iterator[Path]:
    for source in map(Path, sources):
        if not source.exists():
            raise GameError(f"No such file or folder: {source}. Give files, zip archives or folders holding ROMs.")
        yield from sorted(file for file in source.rglob("*") if file.is_file()) if source.is_dir() else [source]


def _import_file(file: Path, known: dict[str, tuple[str, str]], report: RomReport) -> None:
    recognised = False
    try:
        with file.open("rb") as stream:
            for name, content in _roms_in(file.name, stream, file.stat().st_size):
                if found := _recognise(name, content, known):
                    recognised = True
                    _keep(file, *found, report)
    except _BAD_ZIP:
        pass  # reported as unknown, unless something came out of it before it broke
    if not recognised:
        report.unknown.append(file)


def _roms_in(name: str, stream: IO[bytes], size: int) -> Iterator[tuple[str, bytes]]:
    """Name and content of the file itself, then of what is in it if it is an archive, archives within archives too."""
    if size <= _LARGEST:
        yield name, stream.read()
    if zipfile.is_zipfile(stream):
        with zipfile.ZipFile(stream) as archive:
            for entry in archive.infolist():
                if entry.file_size <= _LARGEST:
                    content = archive.read(entry)
                    yield from _roms_in(entry.filename, io.BytesIO(content), len(content))


def _recognise(name: str, content: bytes, known: dict[str, tuple[str, str]]) -> tuple[str, str, bytes] | None:
    """Game, file suffix and cleaned content of a ROM, or None."""
    groom = import_retro().data.groom_rom
    for reading, dump in _readings(name, content):
        try:
            cleaned, sha = groom(reading, io.BytesIO(dump))
        except (ValueError, IndexError):  # too big, or not the console dump its name says
            continue
        if sha in known:
            return (*known[sha], cleaned)
    return None


def _readings(name: str, content: bytes) -> Iterator[tuple[str, bytes]]:
    """The dump under its own name, and as what its bytes say it is where headers keep it from being known.

    stable-retro hashes a NES cartridge without its iNES header, but goes by the file's name, and knows nothing of the
    header that copiers put in front: cartridges hold whole kilobytes, so 512 bytes too many are such a header.
    """
    yield name, content
    if content.startswith(_INES):
        yield "rom.nes", content  # the header is kept: it tells the emulator how the cartridge is wired
    if len(content) % 1024 == _COPIER:
        yield "rom", content[_COPIER:]


def _keep(file: Path, game: str, suffix: str, content: bytes, report: RomReport) -> None:
    if rom_path(game):
        report.duplicates.append((file, game))
        return
    folder = paths.roms_dir() / f"{game}-v0"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        aside = folder / "incoming"
        aside.write_bytes(content)
        aside.replace(folder / f"rom{suffix}")
    except OSError as error:
        raise GameError(
            f"Cannot write {game} to {folder}: {error.strerror}. Free space or set GENIE_GYM_HOME elsewhere."
        ) from error
    report.imported.append(game)
