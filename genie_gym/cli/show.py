"""Tables and reports in the terminal."""

from typing import Any

__all__ = ["show"]


def show(report: Any) -> None:
    """Print what rich can draw; names in it come from files, so that nothing in them is read as markup."""
    from rich.console import Console

    Console(markup=False, emoji=False).print(report)
