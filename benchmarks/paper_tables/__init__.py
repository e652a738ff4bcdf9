"""The paper's tables, one a module, and what they share; `benchmarks/paper.py` is the way in."""
