"""Playing a dream by hand, in a window."""

import warnings
from pathlib import Path

from genie_gym.envs import WorldModelEnv
from genie_gym.errors import ConfigError, MissingExtraError

__all__ = ["play"]


def play(
    checkpoint: str | Path,
    *,
    device: str = "auto",
    zoom: float = 2.0,
    seed: int | None = None,
    upscale: bool = False,
) -> None:
    """Opens a window on a dream, steered by the game's keys; returns when it is closed or Escape is pressed.

    Args:
        checkpoint: a checkpoint folder or the id of a model on the hub.
        device: "auto", "cpu", "cuda" ...
        zoom: size of the window; 1 is 256 pixels.
        seed: of the dream.
        upscale: show it as the checkpoint's upscaler draws it.

    Raises:
        CheckpointError: there is no such checkpoint, or it has no upscaler.
        ConfigError: there is no screen, or the zoom is not above 0.
        MissingExtraError: pygame is not installed.
    """
    if zoom <= 0:
        raise ConfigError(f"zoom must be above 0, got {zoom}")
    try:
        import pygame

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it misses matplotlib, for curves that are not shown here
            from gymnasium.utils.play import play as open_window
    except ImportError as error:
        raise MissingExtraError("playing needs a window: pip install 'genie_gym[play]'") from error
    env = WorldModelEnv(checkpoint=checkpoint, device=device, upscale=upscale, render_mode="rgb_array")
    noop = env.get_action_meanings().index("NOOP") if "NOOP" in env.get_action_meanings() else 0
    try:
        open_window(env, zoom=zoom, seed=seed, noop=noop)
    except pygame.error as error:
        raise ConfigError(f"cannot open a window ({error}); play on a machine with a screen") from error
