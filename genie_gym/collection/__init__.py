"""Collecting episodes of real games: policies, worker processes and the collector."""
