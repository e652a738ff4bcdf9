"""Arguments that several commands share."""

from typing import Annotated

from tyro.conf import Positional, arg

__all__ = ["Game"]

Game = Annotated[Positional[str], arg(metavar="GAME")]
