"""Annotation of games with RetroAct's labels: what each button does, proposed by a probe and corrected by people."""

from typing import TYPE_CHECKING

from genie_gym.utils.lazy import lazy_attributes

if TYPE_CHECKING:
    from genie_gym.annotation.config import AnnotateConfig
    from genie_gym.annotation.look import look_at
    from genie_gym.annotation.probe import propose
    from genie_gym.annotation.record import record_game

__all__ = ["AnnotateConfig", "look_at", "propose", "record_game"]

# Loaded when first used: the configuration must not wait for an emulator.
__getattr__, __dir__ = lazy_attributes(
    __name__,
    {
        "AnnotateConfig": "genie_gym.annotation.config:AnnotateConfig",
        "look_at": "genie_gym.annotation.look:look_at",
        "propose": "genie_gym.annotation.probe:propose",
        "record_game": "genie_gym.annotation.record:record_game",
    },
)
