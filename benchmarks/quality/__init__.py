"""Quality of a trained world model and of what belongs to it."""
