"""Tokenizer and dynamics of convolutions, for rich pictures on small budgets."""
