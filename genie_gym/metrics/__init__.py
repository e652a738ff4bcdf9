"""Image and latent-action metrics; import each from its own module."""
