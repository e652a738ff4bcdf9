"""The datasets of the tables: random episodes and a trained agent's, to train on and to test with."""

from pathlib import Path

from benchmarks.paper.experiment import PaperExperiment

__all__ = ["agent_episodes", "basic_test", "diverse_test", "more_random_episodes", "random_episodes"]

TRAIN, TEST, MORE = range(3)  # seeds of datasets, which share no episode


def random_episodes(experiment: PaperExperiment, game: str) -> Path:
    """Return random episodes to train on."""
    return experiment.dataset(game, "random", frames=experiment.scale.frames, seed=TRAIN)


def more_random_episodes(experiment: PaperExperiment, game: str) -> Path:
    """Return new random episodes, as in the paper, for a model of many games that is then trained on this one."""
    return experiment.dataset(game, "more-random", frames=experiment.scale.frames, seed=MORE)


def basic_test(experiment: PaperExperiment, game: str) -> Path:
    """Return random episodes that no model is trained on."""
    return experiment.dataset(game, "basic-test", frames=experiment.scale.test_frames, seed=TEST)


def agent_episodes(experiment: PaperExperiment, game: str) -> Path:
    """Return episodes to train on, of the agent trained on the game's own reward."""
    return _of_agent(experiment, game, "agent", experiment.scale.frames, TRAIN)


def diverse_test(experiment: PaperExperiment, game: str) -> Path:
    """Return episodes of that agent that no model is trained on."""
    return _of_agent(experiment, game, "diverse-test", experiment.scale.test_frames, TEST)


def _of_agent(experiment: PaperExperiment, game: str, name: str, frames: int, seed: int) -> Path:
    agent = experiment.agent(game, "game", steps=experiment.scale.agent_steps)
    return experiment.dataset(game, name, frames=frames, policy=agent, seed=seed)
