"""Commands that bring a game onto the disk: its ROM, a list of games, recorded play, your own pictures."""

import shlex
from pathlib import Path
from typing import Any

from tyro.conf import Positional

from genie_gym.cli.names import Game
from genie_gym.errors import ConfigError, GameError

__all__ = ["collect", "convert", "games", "import_roms"]


def import_roms(paths: Positional[tuple[Path, ...]] = (), ale: bool = False) -> None:
    """Take ROMs into your own data folder, recognised by stable-retro's hashes.

    Args:
        paths: Files, zip archives, or folders, which are searched to the bottom.
        ale: Take the Atari ROMs that ale-py brings along.
    """
    from genie_gym.games import roms

    if ale == bool(paths):
        raise ConfigError("give files, zip archives or folders that hold ROMs, or --ale for those that ale-py brings")
    report = roms.import_ale_roms() if ale else roms.import_roms(paths)
    there = [game for _, game in report.duplicates]
    if not report.imported and not there:
        raise GameError(
            f"none of {len(report.unknown)} file(s) is a ROM that stable-retro knows; "
            "it recognises unmodified dumps by their hash, see `genie-gym games` for the games"
        )
    print(f"{len(report.imported)} imported: {', '.join(report.imported) or 'nothing new'}")
    print(f"{len(there)} already there, {len(report.unknown)} file(s) that are no ROM of a known game")


def games(system: str | None = None, genre: str | None = None, with_rom: bool = False) -> None:
    """List the games, and what of each is here: its ROM, recordings, weights.

    Args:
        system: Only this console, such as Genesis, Nes or Procgen.
        genre: Only this genre of RetroAct's table, such as pl for platformers.
        with_rom: Only those that can be played now.
    """
    from rich import box
    from rich.console import Console
    from rich.table import Table

    from genie_gym.games.table import game_rows

    rows = game_rows(system, genre, with_rom)
    table = Table("game", "genre", "ROM", "data", "weights", box=box.SIMPLE_HEAD, caption=f"{len(rows)} games")
    table.columns[0].no_wrap = True
    for row in rows:
        table.add_row(row.name, row.genre, *("yes" if there else "" for there in (row.rom, row.data, row.weights)))
    Console().print(table)


def collect(
    game: Game,
    steps: int | None = None,
    episodes: int | None = None,
    workers: int | None = None,
    seed: int = 0,
    policy: str = "random",
    random_share: float = 0.0,
    max_steps: int = 1000,
    large: bool = False,
    out: Path | None = None,
) -> int:
    """Record play of the real game; the same command goes on where it stopped.

    Args:
        game: Name, such as Airstriker-Genesis or Airstriker.
        steps: Record this many steps in all; 20,000 if neither steps nor episodes are given.
        episodes: Record this many episodes in all.
        workers: Processes, each with its own emulator; one for each core by default.
        seed: Other seeds give other play.
        policy: random; sticky, which holds each action for a while; or an agent that you trained with explore, by its
            name (autoexplore-0) or path (never one from strangers: such files can run code).
        random_share: Share of actions, from 0 to 1, that are drawn at random in place of the policy's.
        max_steps: Longest episode, in steps.
        large: Keep each frame a second time as 256x256 pixels, which fit-upscaler learns from.
        out: Folder of the recording; the game's own below the data folder by default.
    """
    from genie_gym.pipeline import collect as recorder

    if steps is None and episodes is None:
        steps = 20_000
    report = recorder.collect(
        game,
        steps=steps,
        episodes=episodes,
        workers=workers,
        seed=seed,
        policy=policy,
        random_share=random_share,
        max_steps=max_steps,
        large=large,
        out=out,
    )
    print(report)
    return 130 if report.interrupted else 0


def convert(
    path: Positional[Path],
    actions: Positional[Path | None] = None,
    game: str = "My",
    action_names: tuple[str, ...] = (),
    fps: float | None = None,
    terminated: bool = False,
    keep_bars: bool = False,
    cuts: bool = False,
    out: Path | None = None,
) -> None:
    """Make a recording of your own pictures or video, with a file of actions or without.

    Args:
        path: A folder of pictures, or a video.
        actions: A .csv, .txt or .jsonl file with one action for each frame, by number or name. Without it, fit finds
            latent actions in the pictures.
        game: What to call the game; it becomes NAME-Own.
        action_names: All actions, in the order of their numbers; needed where the first file does not have them all,
            as later ones must have the same.
        fps: Frames a second: those to keep of a video (by default about 15: every second frame of 30, every fourth of
            60), or those of the pictures (15 by default).
        terminated: The game was over after the last action.
        keep_bars: Keep what is black at a video's edges all the time; else it is cut off.
        cuts: Begin an episode wherever the whole picture of a video changes at once, for edited ones.
        out: Folder of the recording, to which the episode is added; the game's own below the data folder by default.
    """
    from genie_gym import data, paths

    name = paths.own_name(game)
    folder, names = out or paths.data_dir(name), action_names or None
    if path.is_dir():
        if cuts or keep_bars:
            raise ConfigError(f"--cuts and --keep-bars are for videos, and {path} is a folder of pictures")
        rate = 15.0 if fps is None else fps
        recording = data.convert.from_frames(
            path, actions, folder, game=name, action_names=names, terminated=terminated, fps=rate
        )
    else:
        how: dict[str, Any] = {"terminated": terminated, "keep_bars": keep_bars, "cuts": cuts, "report": print}
        recording = data.convert.from_video(path, actions, folder, fps=fps, game=name, action_names=names, **how)
    where = f" --data {shlex.quote(str(out))}" if out else ""
    print(
        f"{len(recording)} episodes, {recording.lengths.sum():,} frames now in {folder}; "
        f"go on with: genie-gym fit {name}{where}"
    )
    if actions is not None and (paths.weights_dir(name) / "config.json").is_file():
        print(
            f"(weights of {name} are there already; if they have latent actions, find their buttons with: "
            f"genie-gym map-buttons {name}{where}, or give fit another --out)"
        )
