"""Evaluation of a world model on held-out episodes: prediction, controllability, rewards, long rollouts."""
