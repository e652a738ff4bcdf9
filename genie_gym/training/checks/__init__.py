"""What is checked before a training run starts, and what is said when it has ended."""
