"""Actions of world models: maps from recorded to latent ones, and what actions of many games share."""
