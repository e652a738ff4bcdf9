"""Learned worlds of emulator games, stepped as Gymnasium environments.

Importing this registers an id for every known game, and loads neither torch nor an emulator.
"""

from genie_gym.registration import register_games

register_games()
