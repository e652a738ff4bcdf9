"""The whole way from a real game to an agent: the only package that knows all the others."""
