"""The command that lists games by their annotations in RetroAct's table, and fetches the table."""

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Annotated

from tyro.conf import arg

from genie_gym.cli.show import show
from genie_gym.errors import printable
from genie_gym.games.retroact.query import GameQuery

if TYPE_CHECKING:
    from genie_gym.games.retroact import GameSet

__all__ = ["retroact"]


@dataclass(frozen=True)
class RetroActArguments(GameQuery):
    """Which games to list, and whether to fetch the table first.

    Attributes:
        fetch: First download RetroAct's table of 974 games and the list of Platformers-50 to the data folder (84 kB).
        names: Print the names of the games that can be started here and nothing else, for scripts.
    """

    fetch: bool = False
    names: bool = False


def retroact(config: Annotated[RetroActArguments, arg(name="")]) -> None:
    """List games by what RetroAct says of them: genre, view, motion, camera, and the effect of each button."""
    from genie_gym.games.retroact import GameSet, fetch

    if config.fetch:
        for path in fetch():
            print(path)
    query = GameQuery(**{field.name: getattr(config, field.name) for field in fields(GameQuery)})
    chosen = GameSet.choose(query)
    if config.names:
        print(*chosen.available, sep="\n", end="\n" * bool(chosen.available))
        return
    _show(chosen)


def _show(chosen: "GameSet") -> None:
    from rich import box
    from rich.table import Table

    here = set(chosen.available)
    table = Table("game", "genre, view, motion, camera", "buttons", "ROM", box=box.SIMPLE_HEAD)
    table.columns[0].no_wrap = True
    for row in chosen.annotations:
        tags, rom = " ".join((row.genre, row.view, row.motion, row.camera)), "yes" if row.game in here else ""
        table.add_row(printable(row.game), printable(tags), printable(_effects(row.effects)), rom)
    show(table)
    print(f"{len(chosen.names)} games, of which {len(here)} can be started here")
    if chosen.missing:
        print("the others lack their ROM or emulator and are left out; `genie-gym roms import PATH` brings ROMs")


def _effects(effects: dict[str, str]) -> str:
    """Return the buttons that do something, with what they do where their name does not say it."""
    shown = ((button.removeprefix("ACTION_").lower(), effect) for button, effect in effects.items())
    return ", ".join(
        button if button == effect else f"{button} {effect}" for button, effect in shown if effect != "none"
    )
