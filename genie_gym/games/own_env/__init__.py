"""Environments of your own, by the name of a function or a Gymnasium id: their pictures, actions and description."""
