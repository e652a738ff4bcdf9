"""The demo: a world model beside the real game under the same actions, in figures and in pictures.

Shapes: t frames of play, c prompt frames, s side of a frame in pixels.
"""

import time
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from rich import box
from rich.table import Table

from genie_gym import games
from genie_gym.checks import check_seed
from genie_gym.data import Episode
from genie_gym.devices import use_threads
from genie_gym.envs import WorldModelEnv
from genie_gym.errors import ConfigError, DataError
from genie_gym.files import write_aside
from genie_gym.frames import beside, enlarge, strip, to_gif, to_png
from genie_gym.metrics import psnr
from genie_gym.pipeline.dreaming import dream
from genie_gym.pipeline.latent_play import find_actions
from genie_gym.pipeline.policies import StickyPolicy
from genie_gym.pipeline.rollout import play_episode
from genie_gym.world_model import Checkpoint
from genie_gym.world_model.weights import find_weights, load_weights

__all__ = ["DemoReport", "demo"]

CONTEXT, AHEAD = 4, 4  # real frames a dream starts from; the paper measures four frames on
ATTEMPTS = 10  # episodes tried until one is long enough
PICTURES = 8  # columns of the strip


@dataclass(frozen=True)
class DemoReport:
    """What the demo measured, over short dreams that start all along one played episode.

    Attributes:
        game: its name.
        psnr: dB, of the dream's fourth frame against the real one.
        repeat_psnr: dB, of the last real frame shown again in place of a prediction.
        delta_psnr: dB, what the fourth frame loses when the dream is given random actions.
        dream_speed, real_speed: steps a second of one dream and of the real game.
        gif: real game and dream side by side, from the same start.
        strip: the same as a row of pictures each, at steps further and further apart.
    """

    game: str
    psnr: float
    repeat_psnr: float
    delta_psnr: float
    dream_speed: float
    real_speed: float
    gif: Path
    strip: Path

    def __rich__(self) -> Table:
        table = Table(title=f"{self.game}: dream beside the real game", box=box.SIMPLE_HEAD, show_header=False)
        table.add_row(f"PSNR after {AHEAD} steps", f"{self.psnr:.1f} dB")
        table.add_row("the same, repeating the last real frame", f"{self.repeat_psnr:.1f} dB")
        table.add_row(f"delta-PSNR after {AHEAD} steps (grip of the actions)", f"{self.delta_psnr:.1f} dB")
        table.add_row("dream", f"{self.dream_speed:.0f} steps/s")
        table.add_row("real emulator", f"{self.real_speed:.0f} steps/s")
        return table


def demo(
    game: str = "Airstriker-Genesis",
    *,
    steps: int = 120,
    seed: int = 0,
    checkpoint: str | Path | None = None,
    out: str | Path = "demo",
    threads: int = 1,
) -> DemoReport:
    """Plays a game for real, dreams the same from its first frames under the same actions, and compares.

    A model of latent actions dreams under those that it finds in the play.

    Args:
        game: canonical name; its emulator has to be installed.
        steps: length of the dream that is shown.
        seed: of the play and the dream.
        checkpoint: a checkpoint folder or hub id; the game's own weights by default.
        out: folder for `<game>.gif` and `<game>.png`.
        threads: CPU threads; more than one hardly help a single dream, and on a busy machine they slow it down.

    Raises:
        ConfigError: fewer than 16 steps, no thread, or the checkpoint is of another game.
        CheckpointError: the game has no weights.
        GameError, MissingExtraError: the real game does not start.
        DataError: the pictures cannot be written.
    """
    if steps < 4 * AHEAD:
        raise ConfigError(f"the demo needs at least {4 * AHEAD} steps, got {steps}")
    check_seed(seed)
    use_threads(threads)
    place, spec = find_weights(game, checkpoint)
    loaded = load_weights(place, "auto", "auto")
    name = loaded.game["name"]
    if spec is not None and spec.name != name:
        raise ConfigError(f"{place} is a model of {name}, not of {spec.name}; give that game, or another --checkpoint")
    real, real_speed = _play(name, CONTEXT + steps, seed)
    if loaded.model.latent_actions is not None:  # the dream knows no others
        real = replace(real, actions=find_actions(real.frames, loaded.model.latent_actions))
    dreamed, dream_speed = _dream(place, real, seed)
    shown = real.frames[CONTEXT:]
    gif, pictures = _write(Path(out), name, shown, dreamed, games.find(name).fps)
    return DemoReport(name, *_figures(loaded, real, seed), dream_speed, real_speed, gif, pictures)


def _play(game: str, length: int, seed: int) -> tuple[Episode, float]:
    """The longest of a few episodes, of at most `length` frames, and the real game's steps a second."""
    env = games.make(game)
    longest: Episode | None = None
    steps, started = 0, time.perf_counter()
    for attempt in range(ATTEMPTS):
        episode = play_episode(env, StickyPolicy(), seed + attempt, length - 1)
        steps += len(episode.actions)
        if longest is None or len(episode) > len(longest):
            longest = episode
        if len(longest) >= length:
            break
    env.close()
    assert longest is not None
    return longest, steps / (time.perf_counter() - started)


def _dream(place: str, real: Episode, seed: int) -> tuple[np.ndarray, float]:
    """One dream from the first CONTEXT real frames on: uint8 (t - c, s, s, 3), and its steps a second."""
    env = WorldModelEnv(checkpoint=place, ends=False)
    env.reset(seed=seed, options={"prompt": real.frames[:CONTEXT], "prompt_actions": real.actions[: CONTEXT - 1]})
    started = time.perf_counter()
    frames = [env.step(action)[0] for action in real.actions[CONTEXT - 1 :]]
    return np.stack(frames), len(frames) / (time.perf_counter() - started)


def _figures(checkpoint: Checkpoint, real: Episode, seed: int) -> tuple[float, float, float]:
    """Means over dreams that start at every AHEAD-th frame: PSNR, that of repeating the last frame, delta-PSNR."""
    starts = np.arange(CONTEXT, len(real) - AHEAD + 1, AHEAD)
    if not len(starts):
        raise DataError(f"the play ended after {len(real)} frames; try another --seed")
    rng = np.random.default_rng(seed)
    prompts = np.stack([real.frames[i - CONTEXT : i] for i in starts])
    led = np.stack([real.actions[i - CONTEXT : i - 1] for i in starts])
    taken = np.stack([real.actions[i - 1 : i - 1 + AHEAD] for i in starts])
    others = rng.integers(len(checkpoint.game["actions"]), size=taken.shape)
    seeds = rng.integers(2**63, size=len(starts))
    target = real.frames[starts + AHEAD - 1]
    close, random = (
        psnr(dream(checkpoint, prompts, led, actions, seeds, checkpoint.sampling)[:, -1], target).mean()
        for actions in (taken, others)
    )
    return float(close), float(psnr(prompts[:, -1], target).mean()), float(close - random)


def _write(out: Path, game: str, real: np.ndarray, dreamed: np.ndarray, fps: float) -> tuple[Path, Path]:
    gif, pictures = out / f"{game}.gif", out / f"{game}.png"
    # steps 1, 2, 4, ... up to the last: what goes wrong early and what goes wrong late
    picks = np.unique(np.geomspace(1, len(real), PICTURES).round().astype(int)) - 1
    rows = np.concatenate([real[picks], dreamed[picks]])
    write_aside(gif, to_gif(enlarge(beside(real, dreamed), 3), fps))
    write_aside(pictures, to_png(enlarge(strip(rows, columns=len(picks)), 2)))
    return gif, pictures
