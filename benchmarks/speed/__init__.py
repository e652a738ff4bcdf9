"""Speed of imagination, training, rewards and data loading."""
