"""Rounds of exploration, collection, finetuning and evaluation (paper section 4)."""
