"""Command to evaluate a world model."""

from typing import Annotated

from tyro.conf import arg

from genie_gym.cli.show import show
from genie_gym.evaluation.config import EvalConfig

__all__ = ["evaluate"]


def evaluate(config: Annotated[EvalConfig, arg(name="")]) -> int:
    """Evaluate a world model on held-out episodes: prediction, controllability, rewards, long rollouts."""
    from genie_gym.evaluation import evaluate as evaluation

    show(evaluation.evaluate(config).summary())
    if config.out is not None:
        print(f"all figures: {config.out / 'figures.json'}")
    return 0
