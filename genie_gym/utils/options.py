"""Option groups that several configurations share, and building a configuration from keyword options."""

import difflib
from dataclasses import dataclass, field, fields
from typing import Any, TypeVar, get_type_hints

from genie_gym.errors import ConfigError
from genie_gym.utils.validation import at_least, check_types, check_unit_interval, more_than_zero, short, typed

__all__ = [
    "CheckpointArgument",
    "CheckpointOptions",
    "ComputeOptions",
    "EnvOptions",
    "FinetuneOptions",
    "SamplingOptions",
    "ThreadOptions",
    "make_config",
]

Config = TypeVar("Config")
WEIGHTS = ("all", "actions", "lora")  # of the dynamics, that finetuning may change


@dataclass(frozen=True, kw_only=True)
class ThreadOptions:
    """How many CPU threads to use.

    Attributes:
        threads: CPU threads; torch decides by default.
    """

    threads: int | None = None


@dataclass(frozen=True, kw_only=True)
class ComputeOptions(ThreadOptions):
    """Where to compute.

    Attributes:
        device: Device: auto (CUDA if there is one), cpu, cuda, cuda:1 ...
    """

    device: str = "auto"


@dataclass(frozen=True, kw_only=True)
class SamplingOptions:
    """How the tokens of a new frame are sampled; None keeps what the checkpoint says.

    Attributes:
        sampling_steps: MaskGIT passes per frame; the checkpoint's own by default.
        temperature: Sampling temperature; 0 takes the likeliest token. The checkpoint's own by default.
        order: Order in which tokens are unmasked: random or confidence. The checkpoint's own by default.
        min_p: Tokens less likely than this share of the likeliest are never sampled. The checkpoint's own by default.
    """

    sampling_steps: int | None = None
    temperature: float | None = None
    order: str | None = None
    min_p: float | None = None


@dataclass(frozen=True, kw_only=True)
class EnvOptions:
    """An environment of your own, in place of a game of the list.

    Attributes:
        env: Your own environment: module:function, which is imported and returns it, or an id of Gymnasium, such as
            CartPole-v1 (module:Id-v0 if its package must be imported first). Recordings and models keep it, but what a
            file says is never imported: later commands need it again, unless it is the id of an installed package.
        env_kwargs: Keyword arguments of env, as JSON: '{"size": 9}'.
        env_picture: Where its pictures are: observation, render (what it renders), or a key of Dict observations. By
            default the observation if it is uint8, grey or RGB; else what it renders.
        env_actions: Its actions, as JSON: a list of them, such as '[[0, 0], [1, 0]]', or for a Box the number of evenly
            spaced values that each of its numbers takes, such as 3. Or module:function, a policy that returns the
            action for an observation: it plays 5,000 steps, and the combinations that occur are taken. By default
            all, where they can be counted.
    """

    env: str | None = None
    env_kwargs: str | None = None
    env_picture: str | None = None
    env_actions: str | None = None


@dataclass(frozen=True)
class CheckpointArgument:
    """The world model that an activity is about.

    Attributes:
        checkpoint: Name of a game, checkpoint folder, or id of a model on the Hugging Face hub.
        game: Which game, if it is a model of many games.
    """

    checkpoint: str
    game: str | None = field(default=None, kw_only=True)


@dataclass(frozen=True, kw_only=True)
class CheckpointOptions:
    """Which world model to use.

    Attributes:
        checkpoint: A checkpoint folder or the id of a model on the hub, in place of the game's own weights.
    """

    checkpoint: str | None = None


@dataclass(frozen=True, kw_only=True)
class FinetuneOptions:
    """How long and how fast a world model is finetuned.

    Attributes:
        decoder_steps: Optimiser steps of the tokenizer's decoder; 1,000 in the paper.
        dynamics_steps: Optimiser steps of the dynamics; 10,000 in the paper, with larger models and batches.
        minutes: Training time of one finetuning, a fifth of it for the decoder, in place of both numbers of steps.
        lr_scale: Peak learning rate as a share of the preset's, which is for training from scratch.
        new_share: Share of the training clips, 0 to 1, that come from the new datasets if there are earlier ones.
        weights: Which weights of the dynamics change: all; actions, those that read actions; or lora, these and a
            change of low rank of every matrix. The decoder changes as well.
        rank: Rank of that change.
    """

    decoder_steps: int = 1000
    dynamics_steps: int = 3000
    minutes: float | None = None
    lr_scale: float = 0.3
    new_share: float = 0.5
    weights: str = "all"
    rank: int = 8

    def __post_init__(self) -> None:
        at_least(1, decoder_steps=self.decoder_steps, dynamics_steps=self.dynamics_steps, rank=self.rank)
        if self.weights not in WEIGHTS:
            raise ConfigError(f"unknown weights {short(self.weights)}; choose one of: {', '.join(WEIGHTS)}")
        more_than_zero(lr_scale=self.lr_scale, minutes=self.minutes)
        check_unit_interval(new_share=self.new_share)


def make_config(kind: type[Config], config: Config | None, options: dict[str, Any]) -> Config:
    """Return the configuration given, or one built from keyword options.

    Args:
        kind: Class of the configuration.
        config: A configuration, or None.
        options: Values of its fields by name.

    Raises:
        ConfigError: Both were given, an option is unknown or has another type than it should, or a required one is
            missing.

    >>> make_config(ComputeOptions, None, {"threads": 2})
    ComputeOptions(threads=2, device='auto')
    """
    if config is not None and options:
        raise ConfigError(
            f"got a {kind.__name__} and the option {next(iter(options))!r} beside it; give one of both, "
            "or change the config with dataclasses.replace"
        )
    if config is not None:
        if not isinstance(config, kind):
            raise ConfigError(f"config must be a {kind.__name__}; got {short(config)}")
        check_types(config)
        return config
    known = [field.name for field in fields(kind)]  # type: ignore[arg-type]
    for name in options:
        if name not in known:
            close = difflib.get_close_matches(name, known, 1)
            hint = f"did you mean {close[0]!r}?" if close else f"known are: {', '.join(known)}"
            raise ConfigError(f"unknown option {name!r} of {kind.__name__}; {hint}")
    hints = get_type_hints(kind)
    options = {name: typed(name, value, hints[name]) for name, value in options.items()}
    try:
        return kind(**options)
    except TypeError as error:  # a required field is missing
        raise ConfigError(f"{kind.__name__}: {error}") from error
