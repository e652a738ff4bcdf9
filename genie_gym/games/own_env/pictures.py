"""Pictures of an environment: its observations, one of them, or what it renders; as uint8 (height, width, 3)."""

from typing import Any

import gymnasium as gym
import numpy as np
from einops import rearrange, repeat

from genie_gym.errors import GameError
from genie_gym.utils.validation import short

__all__ = ["OBSERVATION", "RENDER", "choose_picture", "picture_of", "to_rgb"]

OBSERVATION, RENDER = "observation", "render"


def choose_picture(env: gym.Env, wanted: str | None = None) -> str:
    """Return where an environment's pictures are: OBSERVATION, RENDER or a key of its Dict observations.

    Args:
        env: The environment.
        wanted: One of these; by default the observation if it is a picture, else what is rendered, else the only
            picture of a Dict.

    Raises:
        GameError: There is no picture there, or anywhere.
    """
    space, renders = env.observation_space, env.render_mode == "rgb_array"
    parts = space.spaces if isinstance(space, gym.spaces.Dict) else {}
    found = [OBSERVATION] * _is_picture(space) + [RENDER] * renders
    found += [key for key, part in parts.items() if _is_picture(part)]
    if wanted is None and (len(found) == 1 or found[:1] in ([OBSERVATION], [RENDER])):
        return found[0]
    if wanted in found:
        return wanted
    named = "" if wanted is None else f" at {wanted!r}"
    raise GameError(
        f"No picture{named}: observations are {short(space)}, render_mode is {env.render_mode!r}. A picture is uint8, "
        "grey or RGB, with channels first or last. "
        + (f"Say where it is, one of: {', '.join(found)} (--env-picture)." if found else _ADVICE)
    )


_ADVICE = "Give the environment render_mode='rgb_array', or a wrapper that makes a picture of what it observes."


def picture_of(env: gym.Env, observation: Any, where: str) -> np.ndarray:
    """Return the current picture, uint8 (height, width, 3); `where` is what `choose_picture` returned."""
    if where == RENDER:
        return to_rgb(env.render())
    return to_rgb(observation if where == OBSERVATION else observation[where])


def to_rgb(image: Any) -> np.ndarray:
    """Return a grey or RGB image, channels first or last, as uint8 (height, width, 3).

    Raises:
        GameError: It is none.
    """
    image = np.asarray(image)
    layout = _layout(image.shape) if image.dtype == np.uint8 else None
    if layout is None:
        raise GameError(
            f"A picture should be uint8, grey or RGB. Received {image.dtype} of shape {image.shape}: convert it in a "
            "wrapper, or take another one (--env-picture)."
        )
    if layout == "h w":
        return repeat(image, "h w -> h w 3")
    image = rearrange(image, f"{layout} -> h w c")
    return np.ascontiguousarray(image if image.shape[2] == 3 else repeat(image, "h w 1 -> h w 3"))


def _is_picture(space: gym.Space) -> bool:
    return isinstance(space, gym.spaces.Box) and space.dtype == np.uint8 and _layout(space.shape) is not None


def _layout(shape: tuple[int, ...]) -> str | None:
    if len(shape) == 2:
        return "h w"
    if len(shape) != 3:
        return None
    return "h w c" if shape[2] in (1, 3) else "c h w" if shape[0] in (1, 3) else None
