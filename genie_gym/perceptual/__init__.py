"""Distances that ask networks trained on photographs, LPIPS and FID; you fetch their weights, see `Weights`."""

from genie_gym.perceptual.fid import FID
from genie_gym.perceptual.lpips import LPIPS
from genie_gym.perceptual.weights import Weights

__all__ = ["FID", "LPIPS", "Weights"]
