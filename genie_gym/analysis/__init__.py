"""Analysis of a world model: what its codes mean, where it is uncertain, what its actions do (paper, section 5)."""
