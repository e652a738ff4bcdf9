"""The command line: `genie-gym COMMAND`; each command is one function that parses nothing and prints a line or two."""

from genie_gym.cli.main import main

__all__ = ["main"]
