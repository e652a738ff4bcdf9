"""Doing things at the same time: the processes of one training, and work done ahead by a thread."""
