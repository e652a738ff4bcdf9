"""The architectures that tokenizer and dynamics can have, by the name that a checkpoint keeps."""

from dataclasses import asdict
from typing import Any

from genie_gym.models.conv.dynamics import ConvDynamics, ConvDynamicsConfig
from genie_gym.models.conv.tokenizer import ConvTokenizer, ConvTokenizerConfig
from genie_gym.models.dynamics import Dynamics, DynamicsConfig
from genie_gym.models.tokenizer import Tokenizer, TokenizerConfig
from genie_gym.utils.jsonable import from_jsonable

__all__ = [
    "AnyDynamics",
    "AnyDynamicsConfig",
    "AnyTokenizer",
    "AnyTokenizerConfig",
    "dynamics_config",
    "tokenizer_config",
    "with_architecture",
]

AnyTokenizer = Tokenizer | ConvTokenizer
AnyTokenizerConfig = TokenizerConfig | ConvTokenizerConfig
AnyDynamics = Dynamics | ConvDynamics
AnyDynamicsConfig = DynamicsConfig | ConvDynamicsConfig

_TOKENIZERS = {"transformer": TokenizerConfig, "convolutional": ConvTokenizerConfig}
_DYNAMICS = {"transformer": DynamicsConfig, "convolutional": ConvDynamicsConfig}


def tokenizer_config(sizes: dict[str, Any]) -> AnyTokenizerConfig:
    """Return the sizes of a tokenizer from what `with_architecture` made of them.

    Raises:
        ValueError: They are of no known architecture, or not its sizes.
        ConfigError: A size is out of range.
    """
    return _from_sizes(_TOKENIZERS, sizes)


def dynamics_config(sizes: dict[str, Any]) -> AnyDynamicsConfig:
    """Return the sizes of dynamics from what `with_architecture` made of them; errors as in `tokenizer_config`."""
    return _from_sizes(_DYNAMICS, sizes)


def with_architecture(config: AnyTokenizerConfig | AnyDynamicsConfig) -> dict[str, Any]:
    """Return sizes as plain values, with the name of their architecture."""
    (name,) = (name for kinds in (_TOKENIZERS, _DYNAMICS) for name, kind in kinds.items() if type(config) is kind)
    return {"architecture": name, **asdict(config)}


def _from_sizes(kinds: dict[str, Any], sizes: dict[str, Any]) -> Any:
    name = sizes.get("architecture")
    if not isinstance(name, str) or name not in kinds:
        raise ValueError(f"architecture should be one of {', '.join(kinds)}, not {name!r:.40}")
    return from_jsonable(kinds[name], {key: value for key, value in sizes.items() if key != "architecture"})
