"""How far long work is: a bar on a terminal, plain lines elsewhere."""

from genie_gym.utils.progress.display import ProgressDisplay, tracked

__all__ = ["ProgressDisplay", "tracked"]
