"""Training: the only package with world-model optimisers."""
