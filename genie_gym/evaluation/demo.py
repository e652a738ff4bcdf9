"""The demo: a world model beside the real game under the same actions, or alone where the game is not here.

Shapes: t frames of an episode, c context frames, s side of a frame in pixels.
"""

import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import torch
from rich import box
from rich.table import Table

from genie_gym import games
from genie_gym.collection.policies import StickyPolicy
from genie_gym.collection.rollout import play_episode
from genie_gym.data import Episode
from genie_gym.envs import WorldModelEnv
from genie_gym.errors import ConfigError, DataError, GameError
from genie_gym.evaluation.config import COMPARED_STEP, DemoConfig
from genie_gym.evaluation.rollouts import rollout
from genie_gym.games import GameSpec
from genie_gym.games.own_env.describe import describe
from genie_gym.metrics.image import psnr
from genie_gym.utils.atomic import atomic_write, check_writable
from genie_gym.utils.device import kept_global_state, use_threads
from genie_gym.utils.images import enlarge, grid, hstack, to_gif, to_png
from genie_gym.utils.options import make_config
from genie_gym.utils.paths import own_name
from genie_gym.utils.progress import tracked
from genie_gym.world_model import Checkpoint
from genie_gym.world_model.actions.latent_relabel import infer_actions
from genie_gym.world_model.real_game import named_options, real_game
from genie_gym.world_model.resolve import load_checkpoint, resolve_checkpoint, resolve_game

__all__ = ["Comparison", "DemoReport", "demo"]

CONTEXT = 4  # real frames a rollout starts from
ATTEMPTS = 10  # episodes tried until one is long enough
COLUMNS = 8  # of the grid
SHARP = 128  # pixels of frames that need not be enlarged to be looked at


@dataclass(frozen=True)
class DemoReport:
    """Results of the demo.

    Attributes:
        game: Name of the game.
        imagined_speed: Steps per second of one imagined rollout.
        gif: The rollout, to the right of the real game where that is here, from the same start.
        grid: The same as a row of frames each, at steps further and further apart.
        comparison: How close the model stays to the real game; None where the game is not here.
    """

    game: str
    imagined_speed: float
    gif: Path
    grid: Path
    comparison: "Comparison | None" = None

    def __rich__(self) -> Table:
        beside = " and real game" if self.comparison else ", alone as its game is not here"
        table = Table(title=f"{self.game}: world model{beside}", box=box.SIMPLE_HEAD, show_header=False)
        if shown := self.comparison:
            table.add_row(f"PSNR at t = {COMPARED_STEP}", f"{shown.psnr:.1f} dB")
            table.add_row(f"PSNR at t = {COMPARED_STEP}, last real frame repeated", f"{shown.repeat_psnr:.1f} dB")
            table.add_row(f"delta-PSNR at t = {COMPARED_STEP} (controllability)", f"{shown.delta_psnr:.1f} dB")
            table.add_row("real game", f"{shown.real_speed:.0f} steps/s")
        table.add_row("world model", f"{self.imagined_speed:.0f} steps/s")
        return table


@dataclass(frozen=True)
class Comparison:
    """How close a model stays to the real game, over short rollouts that start all along one episode.

    Attributes:
        psnr: PSNR in dB of the fourth predicted frame.
        repeat_psnr: PSNR in dB of the last real frame, repeated in place of a prediction.
        delta_psnr: PSNR in dB that the fourth frame loses under random actions.
        real_speed: Steps per second of the real game.
    """

    psnr: float
    repeat_psnr: float
    delta_psnr: float
    real_speed: float


@kept_global_state()
def demo(source: DemoConfig | str | Callable[..., gym.Env] | None = None, /, **options: Any) -> DemoReport:
    """Play a game for real, imagine the same from its first frames under the same actions, and compare.

    A latent action model is given the actions it infers from the real episode. Where the emulator or the ROM is not
    here, or where starting it would run code that only a file names, the model is shown alone, from one of its initial
    contexts.

    Args:
        source: Name of a game that has weights, Airstriker-Genesis by default; or a whole configuration; or, with the
            option `game`, your own environment, as in `collect`.
        options: Fields of `DemoConfig`, where no configuration is given.

    Raises:
        ConfigError: An option is out of range, or the checkpoint is of another game or other actions.
        CheckpointError: The game has no weights.
        GameError: The real game does not start.
        DataError: The images cannot be written.
    """
    if isinstance(source, DemoConfig):
        config = make_config(DemoConfig, source, options)
    else:
        if source is None:
            options = {"game": DemoConfig.game, **options}
        config = make_config(DemoConfig, None, named_options(source, options))
    use_threads(config.threads)
    check_writable(Path(config.out))
    place, loaded = _load(config)
    name, out, fps = loaded.game["name"], Path(config.out), GameSpec.from_dict(loaded.game).fps
    spec = _real_game(config, loaded)
    if spec is None:
        imagined, speed = _imagine(place, name, *_start_alone(loaded, config), config.seed)
        return DemoReport(name, speed, *_write(out, name, [_upscaled(loaded, imagined)], fps))
    real, real_speed = _play(spec, CONTEXT + config.steps, config.seed, loaded)
    if loaded.model.latent_actions is not None:  # the only actions it knows
        real = replace(real, actions=infer_actions(real.frames, loaded.model.latent_actions))
    imagined, speed = _imagine(place, name, real.frames[:CONTEXT], real.actions, config.seed)
    shown = real.frames if real.high_res is None else real.high_res
    images = _write(out, name, [shown[CONTEXT:], _upscaled(loaded, imagined)], fps)
    return DemoReport(name, speed, *images, Comparison(*_compare(loaded, real, config.seed), real_speed))


def _load(config: DemoConfig) -> tuple[str, Checkpoint]:
    """Return the checkpoint and its folder or hub id."""
    name = resolve_game(config.game, config.checkpoint) if config.env is None else own_name(config.game)
    place = resolve_checkpoint(config.checkpoint, name)
    loaded = load_checkpoint(place, game=name)
    known = loaded.game["name"]
    if known != name:
        raise ConfigError(f"{place} is a model of {known}, not of {name}; give that game, or another --checkpoint")
    return place, loaded


def _real_game(config: DemoConfig, checkpoint: Checkpoint) -> GameSpec | None:
    """Return the real game of a model, or None where it is not here or may not be started."""
    known = GameSpec.from_dict(checkpoint.game)
    if config.env is not None:
        spec = real_game(known.name, config, checkpoint=config.checkpoint)
    elif known.name in games.names():
        spec = replace(games.find(known.name), savestates=known.savestates)
        return spec if games.available(known.name) else None
    elif known.env is None:
        return None
    else:
        try:
            spec = describe(known.name, known.env)
        except GameError as error:
            warnings.warn(f"the model is shown alone. {error}", stacklevel=2)
            return None
    if checkpoint.model.latent_actions is None and spec.meanings != known.meanings:
        raise ConfigError(
            f"the model of {known.name} knows the actions {', '.join(known.meanings)}, its environment has "
            f"{', '.join(spec.meanings)}; give the environment that it was trained on"
        )
    return spec


def _start_alone(checkpoint: Checkpoint, config: DemoConfig) -> tuple[np.ndarray, np.ndarray]:
    """Return real frames to start from, uint8 (c, s, s, 3), and the actions between and after them, int64 (t - 1,)."""
    frames, before = (checkpoint.initial_contexts[key] for key in ("frames", "actions"))
    rng, policy = np.random.default_rng(config.seed), StickyPolicy()
    start = int(rng.integers(len(frames)))
    policy.reset(len(checkpoint.game["actions"]), rng)
    held = [policy(frames[start, -1].numpy()) for _ in range(config.steps)]
    return frames[start, -CONTEXT:].numpy(), np.concatenate([before[start, 1 - CONTEXT :].numpy(), held])


def _play(game: GameSpec, length: int, seed: int, checkpoint: Checkpoint) -> tuple[Episode, float]:
    """Return the longest of a few episodes, of at most `length` frames, and the real game's steps per second.

    The episode has frames as large as those that the checkpoint's upscaler draws, if it has one.
    """
    upscaler, size = checkpoint.upscaler, checkpoint.model.tokenizer.config.size
    large = upscaler.config.scale * size if upscaler else None
    env = games.make(game)
    longest: Episode | None = None
    steps, started = 0, time.perf_counter()
    for attempt in range(ATTEMPTS):
        episode = play_episode(env, StickyPolicy(), seed + attempt, length - 1, high_res=large)
        steps += len(episode.actions)
        if longest is None or len(episode) > len(longest):
            longest = episode
        if len(longest) >= length:
            break
    env.close()
    assert longest is not None
    return longest, steps / (time.perf_counter() - started)


def _imagine(place: str, game: str, prompt: np.ndarray, actions: np.ndarray, seed: int) -> tuple[np.ndarray, float]:
    """Return one rollout from real frames on, uint8 (t - c, s, s, 3), and its steps per second.

    Args:
        place: Folder or hub id of the checkpoint.
        game: Its game.
        prompt: Real frames, uint8 (c, s, s, 3).
        actions: The actions between them, and those to take, int64 (t - 1,).
        seed: Random seed.
    """
    env, before = WorldModelEnv(game, place, terminate=False), len(prompt) - 1
    env.reset(seed=seed, options={"prompt": prompt, "prompt_actions": actions[:before]})
    started = time.perf_counter()
    taken = tracked(actions[before:], "imagining", len(actions) - before, unit="steps")
    frames = [env.step(action)[0] for action in taken]
    return np.stack(frames), len(frames) / (time.perf_counter() - started)


def _upscaled(checkpoint: Checkpoint, frames: np.ndarray) -> np.ndarray:
    """Return frames uint8 (t, s, s, 3) as the checkpoint's upscaler draws them; without one, as they are."""
    if checkpoint.upscaler is None:
        return frames
    return checkpoint.upscaler.upscale(torch.from_numpy(frames)).numpy()


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


def _write(out: Path, game: str, clips: list[np.ndarray], fps: float) -> tuple[Path, Path]:
    """Write clips of equal shape, side by side as a GIF and below one another as rows of frames."""
    gif, rows = out / f"{game}.gif", out / f"{game}.png"
    # steps 1, 2, 4, ... up to the last show both early and late errors
    steps = np.unique(np.geomspace(1, len(clips[0]), COLUMNS).round().astype(int)) - 1
    frames = np.concatenate([clip[steps] for clip in clips])
    small = clips[0].shape[1] < SHARP
    atomic_write(gif, to_gif(enlarge(hstack(*clips), 3 if small else 1), fps))
    atomic_write(rows, to_png(enlarge(grid(frames, columns=len(steps)), 2 if small else 1)))
    return gif, rows
