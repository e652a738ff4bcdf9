"""Playing a dream by hand, in a window."""

import warnings
from pathlib import Path

import numpy as np

from genie_gym.checks import more_than_zero
from genie_gym.envs import WorldModelEnv
from genie_gym.errors import ConfigError, MissingExtraError
from genie_gym.world_model import Checkpoint
from genie_gym.world_model.weights import load_weights

__all__ = ["play"]


def play(
    checkpoint: str | Path,
    *,
    device: str = "auto",
    zoom: float = 2.0,
    seed: int | None = None,
    upscale: bool = False,
    latent: bool = False,
) -> None:
    """Opens a window on a dream, steered by the game's keys; returns when it is closed or Escape is pressed.

    Args:
        checkpoint: a checkpoint folder or the id of a model on the hub.
        device: "auto", "cpu", "cuda" ...
        zoom: size of the window; 1 is 256 pixels.
        seed: of the dream.
        upscale: show it as the checkpoint's upscaler draws it.
        latent: steers a world of latent actions by these, keys 0 to 9, though it knows the real game's buttons.

    Raises:
        CheckpointError: there is no such checkpoint, or it has no upscaler.
        ConfigError: there is no screen, or the zoom is not above 0.
        MissingExtraError: pygame is not installed.
    """
    more_than_zero(zoom=zoom)
    try:
        import pygame

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it misses matplotlib, for curves that are not shown here
            from gymnasium.utils.play import play as open_window
    except ImportError as error:
        raise MissingExtraError("playing needs a window: pip install 'genie_gym[play]'") from error
    loaded = load_weights(str(checkpoint), device, "auto")
    buttons = loaded.buttons is not None and not latent
    env = WorldModelEnv(checkpoint=checkpoint, device=device, upscale=upscale, buttons=buttons, render_mode="rgb_array")
    print(f"keys: {_keys(loaded, buttons)}; Escape ends")
    try:
        open_window(env, zoom=zoom, seed=seed, noop=_idle(env, loaded, buttons))
    except pygame.error as error:
        raise ConfigError(f"cannot open a window ({error}); play on a machine with a screen") from error


def _keys(loaded: Checkpoint, buttons: bool) -> str:
    """Which keys do what."""
    actions = loaded.buttons.actions if loaded.buttons and buttons else loaded.game["actions"]
    return ", ".join(f"{'+'.join(one['keys'])} {one['meaning']}" for one in actions if one.get("keys")) or "none"


def _idle(env: WorldModelEnv, loaded: Checkpoint, buttons: bool) -> int:
    """The action while no key is held: nothing, or among latent actions the one that recorded play has most often."""
    if "NOOP" in env.get_action_meanings():
        return env.get_action_meanings().index("NOOP")
    return 0 if buttons else int(np.bincount(loaded.starts["actions"].flatten().numpy(), minlength=1).argmax())
