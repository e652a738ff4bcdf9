"""The recordings that tables are made of: random play and a trained agent's, to train on and to test with."""

from pathlib import Path

from paper_tables.lab import Lab

__all__ = ["agent_play", "basic_test", "diverse_test", "more_random_play", "random_play"]

TRAIN, TEST, MORE = range(3)  # seeds of recordings, which share no episode


def random_play(lab: Lab, game: str) -> Path:
    """To train on."""
    return lab.play(game, "random", frames=lab.scale.frames, seed=TRAIN)


def more_random_play(lab: Lab, game: str) -> Path:
    """For a model of many games that goes on with this one: new play, as in the paper."""
    return lab.play(game, "more-random", frames=lab.scale.frames, seed=MORE)


def basic_test(lab: Lab, game: str) -> Path:
    """Random play that no model is trained on."""
    return lab.play(game, "basic-test", frames=lab.scale.test_frames, seed=TEST)


def agent_play(lab: Lab, game: str) -> Path:
    """Play of the agent that was trained on the game's own reward, to train on."""
    return lab.play(game, "agent", frames=lab.scale.frames, policy=_agent(lab, game), seed=TRAIN)


def diverse_test(lab: Lab, game: str) -> Path:
    """That agent's play that no model is trained on."""
    return lab.play(game, "diverse-test", frames=lab.scale.test_frames, policy=_agent(lab, game), seed=TEST)


def _agent(lab: Lab, game: str) -> Path:
    return lab.agent(game, "game", steps=lab.scale.agent_steps)
