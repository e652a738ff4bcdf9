"""What page and server say to each other; what the page says may come from anybody, and is checked here.

The page sends JSON texts, {"type": "hold", "action": 1}, and pictures as bytes: width and height, two bytes each, and
then the pixels, RGBA. The server sends JSON texts, and frames as bytes: the length of a JSON header, four bytes, that
header, and the parts whose lengths it names. All numbers are big-endian.
"""

import json
import math
import re
import struct
from dataclasses import dataclass, fields
from itertools import groupby
from typing import Any

import numpy as np
from einops import rearrange

from genie_gym.errors import ConfigError
from genie_gym.utils.jsonable import from_jsonable, parse_json
from genie_gym.utils.validation import check_seed, short

__all__ = [
    "MOST_BYTES",
    "MOST_STEPS",
    "Ack",
    "Choose",
    "Hold",
    "Message",
    "Pause",
    "Record",
    "Rewind",
    "Share",
    "Start",
    "Step",
    "Taken",
    "pack_frame",
    "read_message",
    "read_picture",
    "read_play",
    "write_play",
]

LARGEST_SIDE = 512  # pixels of a picture to begin from
MOST_BYTES = 4 + 4 * LARGEST_SIDE**2  # of one message of the page
MOST_STEPS = 20_000  # of a dream that a link can hold: 22 minutes at 15 steps a second
MOST_TEMPERATURE = 10.0
# A step of a link: an action, and how often; or the temperature from there on.
PART = re.compile(r"(\d{1,4})(?:x(\d{1,5}))?|t(\d{1,3}(?:\.\d{1,4})?)", re.ASCII)


@dataclass(frozen=True)
class Start:
    """Begin a dream.

    Attributes:
        world: Id of the world.
        seed: Random seed.
        temperature: Sampling temperature; the checkpoint's own by default.
        upscale: Whether the upscaler draws, where there is one.
        real: Whether the real game runs beside it, where it is here.
        picture: Whether to begin from the picture sent before.
        play: What to play again, as `write_play` returns it.
    """

    world: str
    seed: int
    temperature: float | None = None
    upscale: bool = True
    real: bool = False
    picture: bool = False
    play: str = ""


@dataclass(frozen=True)
class Hold:
    """Take this action from now on."""

    action: int


@dataclass(frozen=True)
class Pause:
    """Stop, or go on."""

    on: bool


@dataclass(frozen=True)
class Step:
    """Take one step while paused."""


@dataclass(frozen=True)
class Rewind:
    """Go back by some steps, and pause."""

    steps: int = 1


@dataclass(frozen=True)
class Choose:
    """Change while the dream goes on; None leaves it as it is.

    Attributes:
        temperature: Sampling temperature.
        upscale: Whether the upscaler draws.
        heat: Whether frames come with the uncertainty of their tokens.
    """

    temperature: float | None = None
    upscale: bool | None = None
    heat: bool | None = None


@dataclass(frozen=True)
class Record:
    """Begin or end to record an episode."""

    on: bool


@dataclass(frozen=True)
class Share:
    """Ask for what was played, for a link."""


@dataclass(frozen=True)
class Ack:
    """The page has drawn the frame of that number, and those before."""

    frame: int


Message = Start | Hold | Pause | Step | Rewind | Choose | Record | Share | Ack
KINDS: dict[str, type] = {
    kind.__name__.lower(): kind for kind in (Start, Hold, Pause, Step, Rewind, Choose, Record, Share, Ack)
}


@dataclass(frozen=True)
class Taken:
    """One step that was taken: its action, and the sampling temperature."""

    action: int
    temperature: float


def read_message(text: str | bytes) -> Message:
    """Return what the page said.

    Raises:
        ConfigError: It is none of the messages above, or a value is out of range.
    """
    try:
        plain = parse_json(text)
        name = plain.pop("type") if isinstance(plain, dict) and isinstance(plain.get("type"), str) else None
        if name not in KINDS:
            raise ValueError(f"type should be one of {', '.join(KINDS)}, not {name!r:.40}")
        message: Message = from_jsonable(KINDS[name], plain, name)
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"a message that is none ({error!s:.200})") from error
    for field in fields(message):
        _check(field.name, getattr(message, field.name))
    return message


def _check(name: str, value: Any) -> None:
    """Raise ConfigError if a number is out of range; what depends on the world is checked where it is known."""
    if name == "seed":
        check_seed(value)
    if name == "temperature" and value is not None and not (0 <= value <= MOST_TEMPERATURE):
        raise ConfigError(f"temperature must be from 0 to {MOST_TEMPERATURE:g}; got {value}")
    if name in ("action", "steps", "frame") and not 0 <= value < 2**53:
        raise ConfigError(f"{name} must be a whole number, 0 or more; got {short(value)}")


def read_picture(content: bytes) -> np.ndarray:
    """Return a picture that the page sent, uint8 (h, w, 3); transparent parts are black.

    Raises:
        ConfigError: It has no pixels, too many, or another number than it says.
    """
    if len(content) > 4:
        width, height = struct.unpack(">HH", content[:4])
        if 0 < max(width, height) <= LARGEST_SIDE and len(content) == 4 + 4 * width * height:
            pixels = rearrange(np.frombuffer(content, np.uint8, offset=4), "(h w c) -> h w c", h=height, c=4)
            return pixels[..., :3] * (pixels[..., 3:] // 128 > 0)
    raise ConfigError(
        f"a picture has from 1 to {LARGEST_SIDE} pixels in each direction, RGBA; got {len(content)} bytes"
    )


def write_play(taken: list[Taken]) -> str:
    """Return steps as a short text for a link; `read_play` is the inverse.

    >>> write_play([Taken(2, 1.0), Taken(2, 1.0), Taken(0, 0.5)])
    't1_2x2_t0.5_0'
    """
    words = []
    for temperature, steps in groupby(taken, lambda step: step.temperature):
        words.append(f"t{temperature:.4f}".rstrip("0").rstrip("."))
        for action, same in groupby(step.action for step in steps):
            count = len(list(same))
            words.append(f"{action}x{count}" if count > 1 else f"{action}")
    return "_".join(words)


def read_play(text: str, actions: int, temperature: float) -> list[Taken]:
    """Return the steps that a text of `write_play` stands for.

    Args:
        text: The text, which anybody may have written.
        actions: Number of actions of the world.
        temperature: That of steps before the text names one.

    Raises:
        ConfigError: It is no such text, has an action that the world lacks, or more steps than a link may hold.
    """
    taken: list[Taken] = []
    for word in text.split("_") if text else []:
        found = PART.fullmatch(word)
        if found is None:
            raise ConfigError(f"the link is damaged: {word!r:.40} is no step; copy all of it")
        if found[3] is not None:
            temperature = float(found[3])
            _check("temperature", temperature)
            continue
        action, count = int(found[1]), int(found[2] or 1)
        if action >= actions:
            raise ConfigError(f"the link takes action {action}, this world has {actions}; it is of another world")
        if len(taken) + count > MOST_STEPS:
            raise ConfigError(f"the link has more than {MOST_STEPS:,} steps; share a shorter dream")
        taken += [Taken(action, temperature)] * count
    return taken


def pack_frame(header: dict[str, Any], *parts: bytes) -> bytes:
    """Return a frame as the page takes it: a header, to which the lengths of the parts are added, and the parts."""
    named = {name: None if isinstance(x, float) and not math.isfinite(x) else x for name, x in header.items()}
    text = json.dumps(named | {"parts": [len(part) for part in parts]}).encode()
    return b"".join([struct.pack(">I", len(text)), text, *parts])
