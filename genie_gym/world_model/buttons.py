"""Which latent action stands for each button of the real game, so that a person can play a latent world with them."""

from dataclasses import asdict, dataclass, field
from typing import Any

__all__ = ["ButtonMap"]


@dataclass(frozen=True)
class ButtonMap:
    """A code for each of the real game's actions; `genie_gym.pipeline.button_map.map_buttons` finds it.

    Attributes:
        actions: the real game's actions, described as in `GameSpec.to_dict`.
        codes: the latent action that each of them stands for.
        figures: plain values, how well that fits the play it was found in.

    Raises:
        ValueError: there is not one code for each action.
    """

    actions: list[dict[str, Any]]
    codes: list[int]
    figures: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if len(self.codes) != len(self.actions) or not self.codes:
            raise ValueError(f"{len(self.codes)} codes for {len(self.actions)} actions")

    def to_dict(self) -> dict[str, Any]:
        """Plain values that JSON can hold; `ButtonMap(**plain)` is the inverse."""
        return asdict(self)
