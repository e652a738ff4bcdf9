"""Commands to look at a dream: beside the real game, or with your own hands on the keys."""

from pathlib import Path

from genie_gym.cli.names import Game, find_checkpoint

__all__ = ["demo", "play"]


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


def play(game: Game, device: str = "auto", zoom: float = 2.0, seed: int | None = None, upscale: bool = False) -> None:
    """Play a dream with the arrow keys and z, in a window; Escape ends it.

    Args:
        game: Name, a checkpoint folder, or the id of a model on the hub.
        device: auto, cpu or cuda.
        zoom: Size of the window; 1 is 256 pixels.
        seed: Other seeds give other dreams.
        upscale: Show it as the checkpoint's upscaler draws it, see fit-upscaler.
    """
    from genie_gym.pipeline.play import play as play_dream

    play_dream(find_checkpoint(game), device=device, zoom=zoom, seed=seed, upscale=upscale)
