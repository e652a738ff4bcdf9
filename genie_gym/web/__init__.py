"""Worlds that people play in a browser: `genie-gym serve`."""

from typing import TYPE_CHECKING

from genie_gym.utils.lazy import lazy_attributes

if TYPE_CHECKING:
    from genie_gym.web.config import ServeConfig
    from genie_gym.web.server import serve

__all__ = ["ServeConfig", "serve"]

# Loaded when first used: the configuration must not wait for torch.
__getattr__, __dir__ = lazy_attributes(
    __name__, {"ServeConfig": "genie_gym.web.config:ServeConfig", "serve": "genie_gym.web.server:serve"}
)
