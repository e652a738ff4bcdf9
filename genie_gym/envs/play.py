"""Playing in a world model by hand, in a window."""

import os
import warnings
from pathlib import Path
from typing import Any

import numpy as np

from genie_gym.envs import WorldModelEnv
from genie_gym.envs.play_config import PlayConfig
from genie_gym.errors import ConfigError, MissingExtraError
from genie_gym.utils.options import make_config
from genie_gym.world_model import Checkpoint
from genie_gym.world_model.resolve import load_checkpoint

__all__ = ["idle_action", "play"]

UNSEEN = ("dummy", "offscreen")  # drivers of SDL that show nothing
NO_SCREEN = "play on a machine with a screen, or make a picture with genie-gym demo"


def play(checkpoint: str | Path | PlayConfig, **options: Any) -> None:
    """Open a window on an imagined rollout, controlled by the game's keys, until it is closed or Escape is pressed.

    Args:
        checkpoint: A game's name, a checkpoint folder, or the id of a model on the hub; or all settings in one object.
        options: Fields of PlayConfig by name, where each is described.

    Raises:
        CheckpointError: There is no such checkpoint, or it has no upscaler.
        ConfigError: There is no screen, or the zoom is not above 0.
        MissingExtraError: pygame is not installed.
    """
    if isinstance(checkpoint, PlayConfig):
        config = make_config(PlayConfig, checkpoint, options)
    else:
        config = make_config(PlayConfig, None, {"checkpoint": str(checkpoint), **options})
    try:
        import pygame

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it misses matplotlib, for plots that are not shown here
            from gymnasium.utils.play import play as open_window
    except ImportError as error:
        raise MissingExtraError("playing needs a window: pip install 'genie_gym[play]'") from error
    _require_screen(pygame)
    loaded = load_checkpoint(config.checkpoint, config.device, game=config.game, whole=True)
    real_actions = loaded.action_map is not None and not config.latent
    options = {"device": config.device, "upscale": config.upscale, "real_actions": real_actions}
    env = WorldModelEnv(config.game, config.checkpoint, render_mode="rgb_array", **options)
    print(f"keys: {_describe_keys(loaded, real_actions)}; Escape ends")
    idle = idle_action(env.get_action_meanings(), loaded, real_actions)
    try:
        open_window(env, zoom=config.zoom, seed=config.seed, noop=idle)
    except pygame.error as error:
        raise ConfigError(f"cannot open a window ({error}); {NO_SCREEN}") from error


def _require_screen(pygame: Any) -> None:
    """Raise ConfigError where windows would be drawn that nobody sees, unless that was asked for."""
    try:
        pygame.display.init()
    except pygame.error as error:
        raise ConfigError(f"cannot open a window ({error}); {NO_SCREEN}") from error
    driver = pygame.display.get_driver()
    if driver in UNSEEN and "SDL_VIDEODRIVER" not in os.environ:
        raise ConfigError(f"there is no screen here (SDL chose {driver!r}); {NO_SCREEN}")


def _describe_keys(loaded: Checkpoint, real_actions: bool) -> str:
    """Return which keys take which action."""
    actions = loaded.action_map.actions if loaded.action_map and real_actions else loaded.game["actions"]
    return ", ".join(f"{'+'.join(one['keys'])} {one['meaning']}" for one in actions if one.get("keys")) or "none"


def idle_action(meanings: list[str], loaded: Checkpoint, real_actions: bool) -> int:
    """Return the action while no key is held: NOOP, or the most frequent latent action of the initial contexts.

    Args:
        meanings: Names of the actions that the player takes.
        loaded: Its checkpoint.
        real_actions: Whether those are the real game's, in a world of latent actions.
    """
    if "NOOP" in meanings:
        return meanings.index("NOOP")
    if real_actions:
        return 0
    return int(np.bincount(loaded.initial_contexts["actions"].flatten().numpy(), minlength=1).argmax())
