"""The training loop: optimisers, averaged weights, saved state and progress, for any model."""
