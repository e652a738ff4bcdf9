"""Which latent action stands for each action of the real game, and how well latent actions agree with real ones."""

from dataclasses import dataclass
from typing import Any

from genie_gym.utils.jsonable import FloatOrNan, from_jsonable, to_jsonable

__all__ = ["ActionAgreement", "ActionFit", "ActionMap", "ActionMapFit"]


@dataclass(frozen=True)
class ActionAgreement:
    """Agreement of inferred latent actions with recorded actions.

    Attributes:
        nmi: Normalised mutual information, 0 to 1; NaN if there is only one latent and one recorded action.
        accuracy: Share of steps that agree after the best one-to-one map; NaN if there are too many actions for it.
        shuffled_nmi: The mutual information of the same latent actions in random order: what chance gives.
        shuffled_accuracy: The accuracy of the same latent actions in random order.
        most_frequent: Share of the most frequent recorded action.
        codes: Number of latent actions in use.
        steps: Number of steps compared.
    """

    nmi: FloatOrNan
    accuracy: FloatOrNan
    shuffled_nmi: FloatOrNan
    shuffled_accuracy: FloatOrNan
    most_frequent: float
    codes: int
    steps: int


@dataclass(frozen=True)
class ActionFit:
    """How well one action of the real game is explained by the latent action that it is mapped to.

    Attributes:
        meaning: Name of the action.
        code: The latent action.
        steps: Steps with this action on which the map was chosen.
        explained: Share of held-out steps with this action in which the model infers that latent action; None if there
            are none.
    """

    meaning: str
    code: int
    steps: int
    explained: float | None


@dataclass(frozen=True)
class ActionMapFit:
    """How well an action map explains episodes that it was not chosen on.

    Attributes:
        agreement: Agreement of inferred and recorded actions on those episodes.
        explained: Share of steps in which the model infers the very latent action that the recorded one is mapped to.
        one_code: That share if all actions were mapped to the most frequent latent action.
        actions: Results of each action.
    """

    agreement: ActionAgreement
    explained: float | None
    one_code: float
    actions: tuple[ActionFit, ...]


@dataclass(frozen=True)
class ActionMap:
    """A latent action for each of the real game's actions, see `genie_gym.world_model.actions.fit_action_map`.

    Attributes:
        actions: The real game's actions, described as in `GameSpec.to_dict`.
        codes: The latent action of each of them.
        fit: How well the map explains held-out episodes, if that is known.

    Raises:
        ValueError: There is not one latent action for each action.
    """

    actions: list[dict[str, Any]]
    codes: list[int]
    fit: ActionMapFit | None = None

    def __post_init__(self) -> None:
        if len(self.codes) != len(self.actions) or not self.codes:
            raise ValueError(f"{len(self.codes)} codes for {len(self.actions)} actions")

    def to_dict(self) -> dict[str, Any]:
        """Return plain values that JSON can hold, shares rounded to four places; `from_dict` is the inverse."""
        return to_jsonable(self)

    @classmethod
    def from_dict(cls, plain: dict[str, Any]) -> "ActionMap":
        """Return the map from plain values, as `to_dict` gives them.

        Raises:
            ValueError: The values are not those of an action map.
        """
        return from_jsonable(cls, plain, "action_map")
