"""Reading how vector environments begin again after an end."""

from gymnasium.vector import AutoresetMode

from genie_gym.errors import ConfigError

__all__ = ["read_mode"]


def read_mode(mode: str | AutoresetMode) -> AutoresetMode:
    """Gymnasium's mode of that name: "NextStep", "SameStep" or "Disabled"; ConfigError if there is none."""
    try:
        return AutoresetMode(mode)
    except ValueError as error:
        raise ConfigError(f"autoreset_mode must be one of {[m.value for m in AutoresetMode]}; got {mode!r}") from error
