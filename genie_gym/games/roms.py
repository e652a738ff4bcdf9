"""Importing ROMs into the user's folder; they are recognised by stable-retro's hashes."""

import importlib.util
import io
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from genie_gym.errors import DataError, GameError, MissingExtraError
from genie_gym.games import catalogue
from genie_gym.games.retro import import_retro, rom_path
from genie_gym.utils import paths

__all__ = ["RomReport", "import_ale_roms", "import_nes_roms", "import_roms"]

# Errors of the zipfile module for archives that are damaged, encrypted or use an unknown compression.
_BAD_ZIP = (zipfile.BadZipFile, zlib.error, RuntimeError, NotImplementedError, EOFError, OSError)

_MAX_BYTES = 2**25  # no ROM that stable-retro knows is larger, and a folder may hold large other files
_MAX_RATIO = 50  # of what an archive holds to its size: ROMs shrink to a tenth at best, archives made to harm to less
_MAX_DEPTH = 4  # of archives in archives
_INES = b"NES\x1a"  # first bytes of NES dumps
_COPIER_HEADER = 512  # bytes of the header that copiers of SNES cartridges add

# Other dumps of games, whose hash stable-retro does not know but whose start, savestates and variables are the same
# when it runs them (tests/games/test_roms.py): SHA-1 without the iNES header. Of the others that PyPI's packages bring,
# the savestates of The Lost Levels do not load; Super Mario Bros. 2 (USA) and Tetris are no games of stable-retro, and
# The Legend of Zelda is one of its experiments only.
_OTHER_DUMPS = {
    "0c4992fc08d2278697339d3b48066e7b5f943598": ("SuperMarioBros-Nes", ".nes"),
    "a611b90b4833b20a364bf06ee3be3b9093ea4df9": ("SuperMarioBros3-Nes", ".nes"),
}


@dataclass
class RomReport:
    """The result of an import.

    Attributes:
        imported: Names of the games that were imported.
        duplicates: Files of games whose ROM is already present, with the name of the game.
        unknown: Files that are no known ROM.
    """

    imported: list[str] = field(default_factory=list)
    duplicates: list[tuple[Path, str]] = field(default_factory=list)
    unknown: list[Path] = field(default_factory=list)


def import_roms(sources: Iterable[str | Path]) -> RomReport:
    """Copy every ROM that stable-retro knows into `paths.roms_dir()`.

    Args:
        sources: Files, zip archives, or folders, which are searched recursively.

    Raises:
        GameError: A source does not exist, or the folder cannot be written.
        DataError: A source is a pipe or a device.
        MissingExtraError: stable-retro is not installed.
    """
    known = _known_games()
    report = RomReport()
    for file in _files(sources):
        _import_file(file, known, report)
    return report


def import_ale_roms() -> RomReport:
    """Import the Atari 2600 ROMs that come with ale-py.

    Raises:
        GameError: The folder cannot be written.
        MissingExtraError: ale-py or stable-retro is not installed.
    """
    try:
        import ale_py.roms
    except ImportError as error:
        raise MissingExtraError("Atari ROMs come with ale-py: `pip install genie_gym[atari]`.") from error
    return import_roms([Path(ale_py.roms.__file__).parent])


def import_nes_roms() -> RomReport:
    """Import the NES ROMs that come with gym-super-mario-bros, which is not imported: its own emulator is not needed.

    All versions bring Super Mario Bros., and from 9.1 on, which needs Python 3.13, Super Mario Bros. 3 as well.

    Raises:
        GameError: The folder cannot be written, or this version of the package brings no ROM that runs here.
        MissingExtraError: gym-super-mario-bros or stable-retro is not installed.
    """
    package = importlib.util.find_spec("gym_super_mario_bros")
    if package is None or not package.submodule_search_locations:
        raise MissingExtraError(
            "Super Mario Bros. comes with gym-super-mario-bros: `pip install --no-deps gym-super-mario-bros` "
            "(its emulator, which needs a compiler, is not used)."
        )
    return import_roms(package.submodule_search_locations)


def _known_games() -> dict[str, tuple[str, str]]:
    """Return game and file suffix by SHA-1 of a ROM: stable-retro's without its experimental games, and other dumps."""
    hashes = import_retro().data.get_known_hashes()
    listed = set(catalogue.names())
    found = {sha: (game.removesuffix("-v0"), suffix) for sha, (game, suffix, _) in hashes.items()}
    return _OTHER_DUMPS | {sha: entry for sha, entry in found.items() if entry[0] in listed}


def _files(sources: Iterable[str | Path]) -> Iterator[Path]:
    for source in map(Path, sources):
        if not paths.exists(source):
            raise GameError(f"No such file or folder: {source}. Give files, zip archives or folders holding ROMs.")
        if paths.is_folder(source):
            yield from sorted(file for file in source.rglob("*") if file.is_file())
        else:
            if not paths.is_file(source):  # it might never end
                raise DataError(f"{source} is a pipe or device, not a file; give files, zip archives or folders")
            yield source


def _import_file(file: Path, known: dict[str, tuple[str, str]], report: RomReport) -> None:
    recognised, unpacked = False, 0
    try:
        with file.open("rb") as stream:
            for name, content in _roms_in(file.name, stream, file.stat().st_size, _MAX_DEPTH):
                unpacked += len(content)
                if unpacked > _MAX_RATIO * file.stat().st_size + _MAX_BYTES:
                    break  # an archive made to fill the memory or never to end
                if found := _recognise(name, content, known):
                    recognised = True
                    _keep(file, *found, report)
    except _BAD_ZIP:
        pass  # reported as unknown, unless a ROM was found before the damage
    if not recognised:
        report.unknown.append(file)


def _roms_in(name: str, stream: IO[bytes], size: int, depth: int) -> Iterator[tuple[str, bytes]]:
    """Yield name and content of the file itself, then recursively of the files in it if it is an archive."""
    if size <= _MAX_BYTES:
        yield name, stream.read(_MAX_BYTES)
    if depth and zipfile.is_zipfile(stream):
        with zipfile.ZipFile(stream) as archive:
            for entry in archive.infolist():
                if entry.file_size <= _MAX_BYTES:
                    content = archive.read(entry)
                    yield from _roms_in(entry.filename, io.BytesIO(content), len(content), depth - 1)


def _recognise(name: str, content: bytes, known: dict[str, tuple[str, str]]) -> tuple[str, str, bytes] | None:
    """Return game, file suffix and cleaned content of a ROM, or None."""
    groom = import_retro().data.groom_rom
    for variant, dump in _variants(name, content):
        try:
            cleaned, sha = groom(variant, io.BytesIO(dump))
        except (ValueError, IndexError):  # too big, or not the console dump its name says
            continue
        if sha in known:
            return (*known[sha], cleaned)
    return None


def _variants(name: str, content: bytes) -> Iterator[tuple[str, bytes]]:
    """Yield the dump under its own name, and variants for headers that keep it from being recognised.

    stable-retro hashes a NES cartridge without its iNES header only if the file's name says so, and does not know the
    header that copiers add: cartridges hold whole kilobytes, so 512 additional bytes are such a header.
    """
    yield name, content
    if content.startswith(_INES):
        yield "rom.nes", content  # the header is kept, because the emulator needs it
    if len(content) % 1024 == _COPIER_HEADER:
        yield "rom", content[_COPIER_HEADER:]


def _keep(file: Path, game: str, suffix: str, content: bytes, report: RomReport) -> None:
    if rom_path(game):
        report.duplicates.append((file, game))
        return
    folder = paths.roms_dir() / f"{game}-v0"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        temporary = folder / "incoming"
        temporary.write_bytes(content)
        temporary.replace(folder / f"rom{suffix}")
    except OSError as error:
        raise GameError(
            f"Cannot write {game} to {folder}: {error.strerror}. Free space or set GENIE_GYM_HOME elsewhere."
        ) from error
    report.imported.append(game)
