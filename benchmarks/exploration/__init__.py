"""What explorers find, what pretraining in imagination saves, and what refits bring."""
