"""Commands that bring a game onto the disk: ROMs, the list of games, collected episodes, your own images or videos."""

import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, arg

from genie_gym.cli.show import show
from genie_gym.collection.config import CollectConfig
from genie_gym.data.config import ConvertConfig
from genie_gym.errors import ConfigError, GameError, printable

__all__ = ["collect", "convert", "games", "import_roms"]


@dataclass(frozen=True)
class CollectArguments(CollectConfig):
    """Which episodes are collected, and how.

    Attributes:
        games: Several games in place of one, of each of which as much is collected: names, a text file with one name a
            line, a set of RetroAct (platformers-50) or all, for those that can be started here. With out, each game has
            a folder in it.
    """

    game: Annotated[Positional[str], arg(metavar="[GAME]")] = ""
    games: tuple[str, ...] = ()


@dataclass(frozen=True)
class ConvertArguments(ConvertConfig):
    __doc__ = ConvertConfig.__doc__

    path: Annotated[Positional[Path], arg(metavar="PATH")]
    actions: Annotated[Positional[Path | None], arg(metavar="[ACTIONS]")] = None


def import_roms(paths: Positional[tuple[Path, ...]] = (), ale: bool = False, nes: bool = False) -> None:
    """Import ROMs into your data folder; they are recognised by their hashes.

    Args:
        paths: Files, zip archives, or folders, which are searched recursively.
        ale: Import the Atari ROMs that come with ale-py.
        nes: Import Super Mario Bros. (and 3), which come with gym-super-mario-bros.
    """
    from genie_gym.games import roms

    if bool(paths) + ale + nes != 1:
        raise ConfigError(
            "give files, zip archives or folders that hold ROMs, or --ale for those that ale-py brings, or --nes for "
            "Super Mario Bros. of gym-super-mario-bros"
        )
    report = roms.import_ale_roms() if ale else roms.import_nes_roms() if nes else roms.import_roms(paths)
    present = [game for _, game in report.duplicates]
    if not report.imported and not present:
        raise GameError(
            f"none of {len(report.unknown)} file(s) is a ROM that stable-retro knows; "
            "it recognises unmodified dumps by their hash, see `genie-gym games` for the games"
        )
    print(f"{len(report.imported)} imported: {', '.join(report.imported) or 'nothing new'}")
    print(f"{len(present)} already there, {len(report.unknown)} file(s) that are no ROM of a known game")


def games(system: str | None = None, genre: str | None = None, with_rom: bool = False) -> None:
    """List the games and what is on this machine for each: ROM, dataset, weights.

    Args:
        system: List only games of this system, such as Genesis, Nes or Procgen.
        genre: List only games of this genre of RetroAct's table, such as pl for platformers.
        with_rom: List only games that can be started now.
    """
    from rich import box
    from rich.table import Table

    from genie_gym.games.listing import game_rows

    rows = game_rows(system, genre, with_rom)
    table = Table("game", "genre", "ROM", "data", "weights", box=box.SIMPLE_HEAD, caption=f"{len(rows)} games")
    table.columns[0].no_wrap = True
    for row in rows:
        table.add_row(
            row.name, printable(row.genre), *("yes" if there else "" for there in (row.rom, row.data, row.weights))
        )
    show(table)


def collect(config: Annotated[CollectArguments, arg(name="")]) -> int:
    """Collect episodes of the real game. Resumable: rerun the same command."""
    from genie_gym.collection.collect import collect, collect_games

    if bool(config.game) == bool(config.games):
        raise ConfigError("name either one game, as in genie-gym collect Kangaroo, or several with --games")
    if config.games:
        reports = collect_games(config.games, config)
        for one in reports:
            print(f"{one.game}: {one}")
        return 130 if reports[0].interrupted else 0
    report = collect(config)
    print(report)
    if report.interrupted:
        return 130
    if config.env is not None:
        where = f" --data {shlex.quote(str(config.out))}" if config.out else ""
        print(f"train a model with: genie-gym train {report.game}{where}")
    return 0


def convert(config: Annotated[ConvertArguments, arg(name="")]) -> None:
    """Convert a video, a folder of videos or a folder of images, with or without files of actions, into a dataset."""
    from genie_gym.data.convert import convert
    from genie_gym.utils import paths

    dataset = convert(config, on_message=print)
    name, folder = dataset.header["game"]["name"], dataset.folder
    where = f" --data {shlex.quote(str(config.out))}" if config.out else ""
    print(
        f"{len(dataset)} episodes, {dataset.lengths.sum():,} frames now in {folder}; "
        f"train a model with: genie-gym train {name}{where}"
    )
    if dataset.has_actions and (paths.weights_dir(name) / "config.json").is_file():
        print(
            f"(weights of {name} already exist; if they have latent actions, find the buttons for them with: "
            f"genie-gym map-actions {name}{where}, or give train another --out)"
        )
