"""Settings of a world model's web page."""

from dataclasses import dataclass
from pathlib import Path

from genie_gym.utils.options import CheckpointArgument, SamplingOptions
from genie_gym.utils.validation import at_least, check_types

__all__ = ["ExportWebConfig"]


@dataclass(frozen=True)
class ExportWebConfig(SamplingOptions, CheckpointArgument):
    """Settings of a world model's web page.

    Attributes:
        out: Folder of the page, which must be empty or hold such a page.
        contexts: Most initial contexts that dreams begin from; each takes some kilobytes.
        real_actions: For models of latent actions: whether the page takes the game's real actions.
        runtime: The package that `npm pack onnxruntime-web@1.30.0` saved; by default npm fetches it.
    """

    out: Path = Path("web")
    contexts: int = 16
    real_actions: bool = False
    runtime: Path | None = None

    def __post_init__(self) -> None:
        check_types(self)
        at_least(1, contexts=self.contexts)
