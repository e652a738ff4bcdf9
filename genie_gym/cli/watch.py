"""Commands to look at a model: its dream beside the real game, in your own hands, and what goes on inside."""

from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, arg

from genie_gym.cli.names import Game, find_checkpoint, find_recording

__all__ = ["demo", "inspect", "play"]


def demo(
    game: Game = "Airstriker-Genesis",
    steps: int = 120,
    seed: int = 0,
    checkpoint: str | None = None,
    out: Path = Path("demo"),
    threads: int = 1,
) -> None:
    """Play a world model beside the real game under the same actions, print how close it stays, write a GIF.

    Args:
        game: Name, such as Airstriker-Genesis, the model of which ships with genie_gym.
        steps: Steps shown in the GIF.
        seed: Other seeds show other play.
        checkpoint: A checkpoint folder or the id of a model on the hub, in place of the game's own weights.
        out: Folder for the GIF and the strip of pictures.
        threads: CPU threads; more gain little for one dream.
    """
    from rich.console import Console

    from genie_gym.pipeline import demo as pipeline

    report = pipeline.demo(game, steps=steps, seed=seed, checkpoint=checkpoint, out=out, threads=threads)
    Console().print(report)
    print(f"{report.gif}: the real game left, the dream right")
    print(f"{report.strip}: the real game above, the dream below, at steps further and further apart")


def play(
    game: Game,
    device: str = "auto",
    zoom: float = 2.0,
    seed: int | None = None,
    upscale: bool = False,
    latent: bool = False,
) -> None:
    """Play a dream in a window, with the arrow keys and z, or 0 to 9 for latent actions; Escape ends it.

    Args:
        game: Name, a checkpoint folder, or the id of a model on the hub.
        device: auto, cpu or cuda.
        zoom: Size of the window; 1 is 256 pixels.
        seed: Other seeds give other dreams.
        upscale: Show it as the checkpoint's upscaler draws it, see fit-upscaler.
        latent: Steer by latent actions, though the world knows the real game's buttons from map-buttons.
    """
    from genie_gym.pipeline.play import play as play_dream

    play_dream(find_checkpoint(game), device=device, zoom=zoom, seed=seed, upscale=upscale, latent=latent)


def inspect(
    checkpoint: Annotated[Positional[str], arg(metavar="CHECKPOINT|GAME")],
    data: Path | None = None,
    pieces: int = 32,
    seed: int = 0,
    out: Path = Path("inspect"),
    threads: int | None = None,
) -> None:
    """Look inside a world model: what its codes mean, where it is unsure, what each action does, on a page of pictures.

    Args:
        checkpoint: A game's name, a checkpoint folder, or the id of a model on the hub.
        data: Folder of a recording; by default the game's own, or where there is none, dreams of the model.
        pieces: Pieces of play to study it on, of 16 frames each.
        seed: Of everything random.
        out: Folder for report.html and figures.json.
        threads: CPU threads.
    """
    from rich.console import Console

    from genie_gym import paths
    from genie_gym.pipeline.inspect import inspect as look_inside
    from genie_gym.world_model.weights import load_weights

    loaded = load_weights(find_checkpoint(checkpoint), "auto", "auto")
    game = loaded.game["name"]
    known = data or (paths.data_dir(game) / "recording.json").is_file()
    recording = find_recording(game, data) if known else None
    report = look_inside(loaded, recording, pieces=pieces, seed=seed, out=out, threads=threads)
    Console().print(report)
    print(f"{report.page}: the same in pictures; all figures: {out / 'figures.json'}")
