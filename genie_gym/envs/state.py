"""The state of N dreams: fanned out, kept as bytes, and read from bytes that anybody may have written.

The bytes are a safetensors file. Its tensors are those of the rollouts, whatever the architecture's caches hold, and
what the environment adds; its header holds the rest as JSON, with the version and a checksum of all.
"""

import copy
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields, is_dataclass
from typing import Any

import numpy as np
import torch
from gymnasium.utils.seeding import np_random
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from genie_gym.errors import StateError, first_line
from genie_gym.utils.jsonable import from_jsonable, parse_json
from genie_gym.utils.validation import at_least, check_reset_seed, short, typed
from genie_gym.world_model import RolloutState, WorldModel
from genie_gym.world_model.checksum import checksum

__all__ = ["FORMAT", "VERSION", "DreamState", "branches_of", "from_bytes", "tensors_of", "to_bytes"]

FORMAT = "genie_gym dream"
VERSION = 1
PREFIX = 8  # bytes in front of a safetensors header that say how long it is
MOST_HEADER, MORE_HEADER = 2**16, 1024  # bytes: at least, and for each tensor and dream

# What damaged or hostile bytes can cause between the header and the tensors.
INVALID = (SafetensorError, LookupError, TypeError, ValueError, ArithmeticError, RuntimeError, AttributeError)


@dataclass
class DreamState:
    """All that the next steps of n dreams depend on, besides the model and the options.

    Attributes:
        rollouts: State of the model's rollouts.
        frames: uint8 (n, s, s, 3), the newest frames as they were given to the user.
        lengths: int64 (n,), steps of each episode so far; counted by a vector of environments only.
        ended: bool (n,), whether the next step starts a new episode, likewise.
        streams: Random stream of each dream, from which later episodes are drawn.
        seeds: The seed last given to each, -1 where there was none.
    """

    rollouts: RolloutState
    frames: Tensor
    lengths: Tensor
    ended: Tensor
    streams: list[np.random.Generator]
    seeds: list[int]

    @classmethod
    def empty(cls, model: WorldModel, count: int, size: int) -> "DreamState":
        """Return the state of `count` dreams that have not begun; frames are `size` pixels wide."""
        frames = torch.zeros(count, size, size, 3, dtype=torch.uint8, device=model.device)
        lengths, ended = torch.zeros(count, dtype=torch.int64), torch.zeros(count, dtype=torch.bool)
        return cls(model.empty_state(count), frames, lengths, ended, [], [])

    def take(self, rows: Tensor) -> "DreamState":
        """Return the given dreams, int64 (k,), each as often as it is named; they share no memory with these."""
        on_device, sources = rows.to(self.frames.device), rows.tolist()
        return DreamState(
            self.rollouts.take(on_device),
            self.frames[on_device],
            self.lengths[rows],
            self.ended[rows],
            [copy.deepcopy(self.streams[row]) for row in sources],
            [self.seeds[row] for row in sources],
        )

    def reseed(self, seed: int) -> None:
        """Let dream i draw its random numbers anew, from `seed` + i."""
        made = [np_random(seed + i) for i in range(len(self.seeds))]
        self.streams, self.seeds = [stream for stream, _ in made], [used for _, used in made]
        self.rollouts.seeds.copy_(torch.tensor([int(stream.integers(2**63)) for stream in self.streams]))


def branches_of(state: DreamState, n: Any, seed: Any) -> DreamState:
    """Return every dream n times, the branches of one beside each other.

    Args:
        state: The dreams, which do not change.
        n: How often, from the user.
        seed: Branch i of all draws from `seed` + i; None: from where its dream is.

    Raises:
        ConfigError: n is no whole number, less than 1, or makes too many dreams; or seed is negative or none.
    """
    n, seed = typed("n", n, int), check_reset_seed(seed)
    at_least(1, n=n)
    count = len(state.seeds)
    at_least(1, num_envs=n * count)
    branches = state.take(torch.arange(count).repeat_interleave(n))
    if seed is not None:
        branches.reseed(seed)
    return branches


@dataclass(frozen=True)
class _Stream:
    """State of NumPy's generator PCG64."""

    state: int
    inc: int
    has_uint32: int
    uinteger: int

    def __post_init__(self) -> None:
        sound = 0 <= self.state < 2**128 and 0 <= self.inc < 2**128 and 0 <= self.uinteger < 2**32
        if not sound or self.has_uint32 not in (0, 1):
            raise ValueError("a random stream that none can be in")

    @classmethod
    def of(cls, stream: np.random.Generator) -> "_Stream":
        state: Any = stream.bit_generator.state
        if state["bit_generator"] != "PCG64":
            raise StateError(
                f"the environment draws from a {state['bit_generator']} of NumPy, whose state is not kept; "
                "leave np_random to reset(seed=...)"
            )
        return cls(**state["state"], has_uint32=state["has_uint32"], uinteger=state["uinteger"])

    def restored(self) -> np.random.Generator:
        generator = np.random.PCG64()
        generator.state = {
            "bit_generator": "PCG64",
            "state": {"state": self.state, "inc": self.inc},
            "has_uint32": self.has_uint32,
            "uinteger": self.uinteger,
        }
        return np.random.Generator(generator)


@dataclass(frozen=True)
class _About:
    """What is no tensor; each of its parts is checked before the tensors are looked at."""

    model: str
    precision: str
    streams: tuple[_Stream, ...]
    seeds: tuple[int, ...]


def to_bytes(state: DreamState, model: WorldModel) -> bytes:
    """Return dreams of a model as bytes; `from_bytes` is the inverse.

    Raises:
        StateError: A random stream was replaced by one of another kind.
    """
    streams = tuple(_Stream.of(stream) for stream in state.streams)
    text = json.dumps(asdict(_About(model.fingerprint, str(model.dtype), streams, tuple(state.seeds))))
    tensors = {name: value.detach().cpu().contiguous() for name, value in tensors_of(state)}
    about = {"format": FORMAT, "version": str(VERSION), "about": text, "sha256": checksum(tensors, text)}
    return save(tensors, about)


def from_bytes(content: Any, model: WorldModel, count: int, size: int) -> DreamState:
    """Return the dreams that `to_bytes` made bytes of.

    Args:
        content: The bytes. They are checked: anybody may have written them.
        model: The model in which the dreams go on.
        count: How many dreams there must be.
        size: How many pixels wide their frames must be.

    Raises:
        StateError: The bytes are damaged, no state, of another version, of another model, or of other sizes.
    """
    if not isinstance(content, bytes | bytearray | memoryview):
        raise StateError(f"a state is bytes, as get_state() returns them; got {short(content)}")
    content, state = bytes(content), DreamState.empty(model, count, size)
    try:
        header = _header(content, MOST_HEADER + MORE_HEADER * (count + len(list(tensors_of(state)))))
        _check_version(header)
        about: _About = from_jsonable(_About, parse_json(header["about"]), "about")
        _check_origin(about, model, count)
        _fill(state, content, header, model)
    except INVALID as error:
        if isinstance(error, StateError):
            raise
        raise StateError(
            f"the state is damaged or was not made by get_state() ({first_line(error)}); give all of its bytes"
        ) from error
    state.streams, state.seeds = [stream.restored() for stream in about.streams], list(about.seeds)
    return state


def _header(content: bytes, most: int) -> dict[str, str]:
    """Return the texts in the header of a safetensors file."""
    length = int.from_bytes(content[:PREFIX], "little")
    if not 0 < length <= min(most, len(content) - PREFIX):
        raise ValueError(f"{len(content):,} bytes with a header of {length:,}")
    texts = parse_json(content[PREFIX : PREFIX + length].decode())["__metadata__"]
    if texts["format"] != FORMAT:
        raise ValueError(f"its format is {texts['format']!r:.40}, not {FORMAT!r}")
    return texts


def _check_version(header: dict[str, str]) -> None:
    if header["version"] != str(VERSION):
        raise StateError(
            f"the state has version {header['version']!r:.20}, this genie_gym reads version {VERSION}; "
            "use the genie_gym that made it, or begin anew with reset()"
        )


def _check_origin(about: _About, model: WorldModel, count: int) -> None:
    if about.precision != str(model.dtype):
        raise StateError(
            f"the state is of a model in {about.precision!r:.40}, this one computes in '{model.dtype}'; "
            "make the environment with the same option precision"
        )
    if about.model != model.fingerprint:
        raise StateError("the state is of another model; make the environment of the checkpoint that it was made with")
    if not len(about.streams) == len(about.seeds) == count:
        raise StateError(
            f"the state is of {len(about.streams)} dream(s), this environment has {count}; "
            f"make one of as many with WorldModelVectorEnv({len(about.streams)}, ...)"
        )


def _fill(state: DreamState, content: bytes, header: dict[str, str], model: WorldModel) -> None:
    """Write the tensors of a safetensors file into those of a state, once all of them are checked."""
    wanted, found = dict(tensors_of(state)), load(content)
    if wanted.keys() != found.keys():
        raise ValueError(f"it lacks or adds tensors: {short(sorted(wanted.keys() ^ found.keys()))}")
    for name, value in wanted.items():
        expected, got = ((x.dtype, tuple(x.shape)) for x in (value, found[name]))
        if expected != got:
            raise StateError(
                f"{name} of the state is {got[0]} {got[1]}, here {expected[0]} {expected[1]}; "
                "make the environment with the options that it was made with"
            )
        _check_values(name, found[name], model)
    if checksum(found, header["about"]) != header["sha256"]:
        raise ValueError("its SHA-256 is not that in its header")
    for name, value in wanted.items():
        value.copy_(found[name])


def _check_values(name: str, values: Tensor, model: WorldModel) -> None:
    """Raise ValueError if the model would look beyond a table, or compute with what is no number."""
    codes, actions = model.tokenizer.config.codes, model.dynamics.config.num_actions
    limits = {"tokens": (0, codes), "actions": (-1, actions), "count": (0, 2**53), "lengths": (0, 2**53)}
    limit = limits.get(name.rsplit(".", 1)[-1])
    if limit and not bool(((values >= limit[0]) & (values < limit[1])).all()):
        raise ValueError(
            f"{name} holds {values.min()} to {values.max()}, which should be in {limit[0]} .. {limit[1] - 1}"
        )
    if not bool(values.isfinite().all()):
        raise ValueError(f"{name} holds what is no finite number")


def tensors_of(value: Any, name: str = "") -> Iterator[tuple[str, Tensor]]:
    """Yield every tensor of nested dataclasses and lists, named by its place: "rollouts.past.blocks.0.memory"."""
    if isinstance(value, Tensor):
        yield name, value
    elif isinstance(value, list):
        for number, part in enumerate(value):
            yield from tensors_of(part, f"{name}.{number}")
    elif is_dataclass(value):
        for field in fields(value):
            yield from tensors_of(getattr(value, field.name), f"{name}.{field.name}".removeprefix("."))
