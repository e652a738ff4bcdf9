"""Commands around the world model: fit it to recorded play, and score it on held-out play."""

import shlex
from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, arg

from genie_gym.cli.names import Game, find_checkpoint, find_name, find_recording
from genie_gym.errors import ConfigError

__all__ = ["evaluate", "fit", "fit_upscaler", "map_buttons"]


def fit(
    game: Game,
    preset: str = "tiny",
    minutes: float | None = None,
    data: Path | None = None,
    out: Path | None = None,
    run: Path | None = None,
    seed: int = 0,
    threads: int | None = None,
    latent_actions: int | None = None,
    joint: bool = False,
    compile: bool = False,
) -> int:
    """Fit a world model to recorded play; the same command goes on where it stopped.

    Args:
        game: Name, such as Airstriker-Genesis, or that of your own recording.
        preset: Size: tiny for two CPU cores, small for one consumer GPU, paper for the published one.
        minutes: Time in all; the preset's number of steps by default.
        data: Folder of the recording; the game's own below the data folder by default.
        out: Folder of the checkpoint; where `gymnasium.make` looks for the game's weights by default.
        run: Folder of what is needed to go on, and of TensorBoard's curves; below the data folder by default.
        seed: Of everything random.
        threads: CPU threads.
        latent_actions: That many actions, found in the pictures, in place of the recorded ones; by default 8 where
            none were recorded.
        joint: Fit latent actions and dynamics together, as Genie does, rather than one after the other.
        compile: Let torch compile the training, for minutes at first; on a CPU `tiny` is then a tenth faster, `paper`
            slower.
    """
    from genie_gym.pipeline.fit_world import fit_world

    name = find_name(game, data)
    report = fit_world(
        name,
        size=preset,
        minutes=minutes,
        data=data,
        out=out,
        run=run,
        seed=seed,
        threads=threads,
        latent_actions=latent_actions,
        joint=joint,
        compile=compile,
    )
    if not report.finished:
        print("stopped and saved; the same command goes on from here")
        return 130
    made, played = shlex.quote(str(out or name)), f" --data {shlex.quote(str(data))}" if data else ""
    print(f"world model of {name} in {report.checkpoint}; score it with: genie-gym evaluate {made}{played}")
    print(f"play it with: genie-gym play {made}")
    return 0


def fit_upscaler(
    checkpoint: Annotated[Positional[str], arg(metavar="CHECKPOINT|GAME")],
    preset: str = "tiny",
    minutes: float | None = None,
    data: Path | None = None,
    out: Path | None = None,
    run: Path | None = None,
    seed: int = 0,
    threads: int | None = None,
) -> int:
    """Fit an upscaler, which draws a dream at 256x256 pixels; the same command goes on where it stopped.

    Args:
        checkpoint: A game's name, a checkpoint folder, or the id of a model on the hub.
        preset: Size: tiny for two CPU cores, small for one consumer GPU, paper for a larger one.
        minutes: Time in all; the preset's number of steps by default.
        data: Folder of a recording made with collect --large; the game's own below the data folder by default.
        out: Folder for the checkpoint with its upscaler; by default the checkpoint itself, or where `gymnasium.make`
            looks for the game's weights if it is one that ships.
        run: Folder of what is needed to go on, and of TensorBoard's curves; below the data folder by default.
        seed: Of everything random.
        threads: CPU threads.
    """
    from genie_gym.pipeline.add_upscaler import add_upscaler

    report = add_upscaler(
        find_checkpoint(checkpoint),
        size=preset,
        minutes=minutes,
        data=data,
        out=out,
        run=run,
        seed=seed,
        threads=threads,
    )
    if report.checkpoint is None:
        print("stopped and saved; the same command goes on from here")
        return 130
    ours, bicubic = (report.fit.metrics[name] for name in ("psnr", "bicubic_psnr"))
    print(f"{ours:.2f} dB on held-out frames, where bicubic enlarging has {bicubic:.2f}")
    print(
        f"upscaler in {report.checkpoint}; see it with: genie-gym play {shlex.quote(str(out or checkpoint))} --upscale"
    )
    return 0


def evaluate(
    checkpoint: Annotated[Positional[str], arg(metavar="CHECKPOINT|GAME")],
    data: Path | None = None,
    clips: int = 128,
    long_steps: int = 1000,
    steps: int | None = None,
    temperature: float | None = None,
    order: str | None = None,
    floor: float | None = None,
    seed: int = 0,
    perceptual: bool = False,
    buttons: bool = False,
    out: Path | None = None,
    threads: int | None = None,
) -> None:
    """Score a world model on held-out episodes: reconstruction, prediction, grip of the actions, long dreams.

    Args:
        checkpoint: A game's name, a checkpoint folder, or the id of a model on the hub.
        data: Folder of the recording; the game's own below the data folder by default.
        clips: Pieces of play to predict.
        long_steps: Length of the long dreams; 0 leaves them and the comparison of rewards out.
        steps: Passes in which a frame's tokens are drawn. The default of this and of the next three options is the
            checkpoint's own.
        temperature: Of the draw; 0 takes the likeliest token.
        order: Which tokens are settled first: random, or by confidence.
        floor: Tokens less likely than this share of the likeliest are never drawn.
        seed: Of everything random.
        perceptual: LPIPS and FID too; says which files they need and how to fetch them.
        buttons: Of a model of latent actions: each recorded action as the code that map-buttons found for it, in place
            of the codes that the model finds in the very frames it is to predict.
        out: Folder for all figures as JSON and for strips of pictures; nothing is written by default.
        threads: CPU threads.
    """
    import json

    from rich.console import Console

    from genie_gym.devices import use_threads
    from genie_gym.files import write_aside
    from genie_gym.pipeline.evaluate import evaluate as score
    from genie_gym.pipeline.figures import summary
    from genie_gym.world_model.weights import load_weights

    use_threads(threads)
    loaded = load_weights(find_checkpoint(checkpoint), "auto", "auto")
    recording = find_recording(loaded.game["name"], data)
    sampling = loaded.sampling.changed(steps=steps, temperature=temperature, order=order, floor=floor)
    figures = score(
        loaded,
        recording,
        clips=clips,
        sampling=sampling,
        seed=seed,
        long_steps=long_steps,
        perceptual=perceptual,
        buttons=buttons,
        out=out,
    )
    Console().print(summary(figures))
    if out is not None:
        write_aside(out / "figures.json", json.dumps(figures, indent=1).encode())
        print(f"all figures: {out / 'figures.json'}")


def map_buttons(
    checkpoint: Annotated[Positional[str], arg(metavar="CHECKPOINT|GAME")],
    data: Path | None = None,
    out: Path | None = None,
    seed: int = 0,
) -> None:
    """Find the real game's buttons in a world of latent actions, from play whose actions are known.

    Args:
        checkpoint: A game's name, a checkpoint folder, or the id of a model on the hub.
        data: Folder of recorded play with its actions, some minutes of it; the game's own below the data folder by
            default.
        out: Folder of a new checkpoint that knows the buttons; by default they are added to the one given.
        seed: Of the shuffled control.
    """
    from dataclasses import replace

    from rich.console import Console

    from genie_gym.pipeline.button_map import map_buttons as find_buttons
    from genie_gym.pipeline.button_map import summary
    from genie_gym.world_model import Checkpoint

    place = find_checkpoint(checkpoint)
    if out is None and not Path(place).is_dir():
        raise ConfigError(f"{place} lies on the hub; say where to keep it with its buttons, with --out FOLDER")
    loaded = Checkpoint.from_pretrained(place)
    found = find_buttons(loaded, find_recording(loaded.game["name"], data), seed)
    replace(loaded, buttons=found).save(out or place)
    Console().print(summary(found))
    made = shlex.quote(str(out or checkpoint))
    print(f"kept in {out or place}; play it with its buttons: genie-gym play {made}")
