"""Worlds as static web pages, which dream in any browser without a server and without Python."""

from typing import TYPE_CHECKING

from genie_gym.utils.lazy import lazy_attributes

if TYPE_CHECKING:
    from genie_gym.web_export.config import ExportWebConfig
    from genie_gym.web_export.folder import export_web

__all__ = ["ExportWebConfig", "export_web"]

# Loaded when first used: the configuration must not wait for torch.
__getattr__, __dir__ = lazy_attributes(
    __name__,
    {
        "ExportWebConfig": "genie_gym.web_export.config:ExportWebConfig",
        "export_web": "genie_gym.web_export.folder:export_web",
    },
)
