"""Settings of the window in which a person plays in a world model."""

from dataclasses import dataclass

from genie_gym.errors import ConfigError
from genie_gym.utils.options import CheckpointArgument
from genie_gym.utils.validation import check_seed, check_types, more_than_zero

__all__ = ["PlayConfig"]

MAX_ZOOM = 64  # 16,384 pixels, above which no window can be made


@dataclass(frozen=True)
class PlayConfig(CheckpointArgument):
    """Settings of the window in which a person plays in a world model.

    Attributes:
        device: Device: auto (CUDA if there is one), cpu, cuda, cuda:1 ...
        zoom: Size of the window; 1 is 256 pixels.
        seed: Random seed; another rollout each time by default.
        upscale: Show frames as drawn by the checkpoint's upscaler, see train-upscaler.
        latent: Play with latent actions even if the checkpoint has an action map to the real game's buttons.
    """

    device: str = "auto"
    zoom: float = 2.0
    seed: int | None = None
    upscale: bool = False
    latent: bool = False

    def __post_init__(self) -> None:
        check_types(self)
        more_than_zero(zoom=self.zoom)
        if self.zoom > MAX_ZOOM:
            raise ConfigError(f"zoom must be {MAX_ZOOM} or less, got {self.zoom}")
        if self.seed is not None:
            check_seed(self.seed)
