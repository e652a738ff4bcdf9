"""Imported before everything else: Ctrl-C while a command starts prints one line, and no traceback of an import."""

import sys

from genie_gym.utils.signals import leave_at_once_when_interrupted

__all__: list[str] = []


def _is_command() -> bool:
    """Return whether this process runs `genie-gym` or `python -m genie_gym`, and is no worker of one."""
    program = sys.argv[0].replace("\\", "/").rpartition("/")[2].removesuffix(".exe") if sys.argv else ""
    if program == "-m":  # what Python shows while it looks for the module
        words = sys.orig_argv[sys.orig_argv.index("-m") :]
        return words[1:2] == ["genie_gym"]
    return program == "genie-gym" and "multiprocessing.process" not in sys.modules


if _is_command():
    leave_at_once_when_interrupted()
