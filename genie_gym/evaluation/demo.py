"""The demo: a world model and the real game side by side under the same actions, in figures and images.

Shapes: t frames of an episode, c context frames, s side of a frame in pixels.
"""

import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from rich import box
from rich.table import Table

from genie_gym import games
from genie_gym.collection.policies import StickyPolicy
from genie_gym.collection.rollout import play_episode
from genie_gym.data import Episode
from genie_gym.envs import WorldModelEnv
from genie_gym.errors import ConfigError, DataError
from genie_gym.evaluation.config import COMPARED_STEP, DemoConfig
from genie_gym.evaluation.rollouts import rollout
from genie_gym.metrics.image import psnr
from genie_gym.utils.atomic import atomic_write
from genie_gym.utils.device import use_threads
from genie_gym.utils.images import enlarge, grid, hstack, to_gif, to_png
from genie_gym.utils.options import make_config
from genie_gym.world_model import Checkpoint
from genie_gym.world_model.latent_relabel import infer_actions
from genie_gym.world_model.resolve import load_checkpoint, resolve_checkpoint, resolve_game

__all__ = ["DemoReport", "demo"]

CONTEXT = 4  # real frames a rollout starts from
ATTEMPTS = 10  # episodes tried until one is long enough
COLUMNS = 8  # of the grid


@dataclass(frozen=True)
class DemoReport:
    """Results of the demo, measured over short rollouts that start all along one episode.

    Attributes:
        game: Name of the game.
        psnr: PSNR in dB of the fourth predicted frame.
        repeat_psnr: PSNR in dB of the last real frame, repeated in place of a prediction.
        delta_psnr: PSNR in dB that the fourth frame loses under random actions.
        imagined_speed: Steps per second of one imagined rollout.
        real_speed: Steps per second of the real game.
        gif: Real game and imagined rollout side by side, from the same start.
        grid: The same as a row of frames each, at steps further and further apart.
    """

    game: str
    psnr: float
    repeat_psnr: float
    delta_psnr: float
    imagined_speed: float
    real_speed: float
    gif: Path
    grid: Path

    def __rich__(self) -> Table:
        table = Table(title=f"{self.game}: world model and real game", box=box.SIMPLE_HEAD, show_header=False)
        table.add_row(f"PSNR at t = {COMPARED_STEP}", f"{self.psnr:.1f} dB")
        table.add_row(f"PSNR at t = {COMPARED_STEP}, last real frame repeated", f"{self.repeat_psnr:.1f} dB")
        table.add_row(f"delta-PSNR at t = {COMPARED_STEP} (controllability)", f"{self.delta_psnr:.1f} dB")
        table.add_row("world model", f"{self.imagined_speed:.0f} steps/s")
        table.add_row("real game", f"{self.real_speed:.0f} steps/s")
        return table


def demo(game: DemoConfig | str = "Airstriker-Genesis", **options: Any) -> DemoReport:
    """Play a game for real, imagine the same from its first frames under the same actions, and compare.

    A latent action model is given the actions it infers from the real episode.

    Args:
        game: Name of a game whose emulator is installed; or a whole configuration.
        options: Fields of `DemoConfig`, where no configuration is given.

    Raises:
        ConfigError: An option is out of range, or the checkpoint is of another game.
        CheckpointError: The game has no weights.
        GameError: The real game does not start.
        MissingExtraError: The game's emulator is not installed.
        DataError: The images cannot be written.
    """
    config = game if isinstance(game, DemoConfig) else None
    config = make_config(DemoConfig, config, options if config else {"game": game, **options})
    use_threads(config.threads)
    place, loaded = _load(config)
    name = loaded.game["name"]
    real, real_speed = _play(name, CONTEXT + config.steps, config.seed)
    if loaded.model.latent_actions is not None:  # the only actions it knows
        real = replace(real, actions=infer_actions(real.frames, loaded.model.latent_actions))
    imagined, imagined_speed = _imagine(place, real, config.seed)
    gif, rows = _write(Path(config.out), name, real.frames[CONTEXT:], imagined, games.find(name).fps)
    return DemoReport(name, *_compare(loaded, real, config.seed), imagined_speed, real_speed, gif, rows)


def _load(config: DemoConfig) -> tuple[str, Checkpoint]:
    """Return the checkpoint and its folder or hub id."""
    name, place = resolve_game(config.game, config.checkpoint), resolve_checkpoint(config.checkpoint, config.game)
    loaded = load_checkpoint(place)
    known = loaded.game["name"]
    if known != name:
        raise ConfigError(f"{place} is a model of {known}, not of {name}; give that game, or another --checkpoint")
    return place, loaded


def _play(game: str, length: int, seed: int) -> tuple[Episode, float]:
    """Return the longest of a few episodes, of at most `length` frames, and the real game's steps per second."""
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


def _imagine(place: str, real: Episode, seed: int) -> tuple[np.ndarray, float]:
    """Return one rollout from the first real frames on, uint8 (t - c, s, s, 3), and its steps per second."""
    env = WorldModelEnv(checkpoint=place, terminate=False)
    env.reset(seed=seed, options={"prompt": real.frames[:CONTEXT], "prompt_actions": real.actions[: CONTEXT - 1]})
    started = time.perf_counter()
    frames = [env.step(action)[0] for action in real.actions[CONTEXT - 1 :]]
    return np.stack(frames), len(frames) / (time.perf_counter() - started)


def _compare(checkpoint: Checkpoint, real: Episode, seed: int) -> tuple[float, float, float]:
    """Return PSNR, PSNR of the last frame repeated, and delta-PSNR: means over rollouts from every fourth frame."""
    starts = np.arange(CONTEXT, len(real) - COMPARED_STEP + 1, COMPARED_STEP)
    if not len(starts):
        raise DataError(f"the episode ended after {len(real)} frames; try another --seed")
    rng = np.random.default_rng(seed)
    prompts = np.stack([real.frames[i - CONTEXT : i] for i in starts])
    prev_actions = np.stack([real.actions[i - CONTEXT : i - 1] for i in starts])
    true = np.stack([real.actions[i - 1 : i - 1 + COMPARED_STEP] for i in starts])
    random = rng.integers(len(checkpoint.game["actions"]), size=true.shape)
    seeds = rng.integers(2**63, size=len(starts))
    target = real.frames[starts + COMPARED_STEP - 1]
    under_true, under_random = (
        psnr(rollout(checkpoint, prompts, prev_actions, actions, seeds, checkpoint.sampling)[:, -1], target).mean()
        for actions in (true, random)
    )
    return float(under_true), float(psnr(prompts[:, -1], target).mean()), float(under_true - under_random)


def _write(out: Path, game: str, real: np.ndarray, imagined: np.ndarray, fps: float) -> tuple[Path, Path]:
    gif, rows = out / f"{game}.gif", out / f"{game}.png"
    # steps 1, 2, 4, ... up to the last show both early and late errors
    steps = np.unique(np.geomspace(1, len(real), COLUMNS).round().astype(int)) - 1
    frames = np.concatenate([real[steps], imagined[steps]])
    atomic_write(gif, to_gif(enlarge(hstack(real, imagined), 3), fps))
    atomic_write(rows, to_png(enlarge(grid(frames, columns=len(steps)), 2)))
    return gif, rows
