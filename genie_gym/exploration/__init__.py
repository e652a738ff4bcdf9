"""Training explorers on the uncertainty of the world model, and measuring their state coverage."""
