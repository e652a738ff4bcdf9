"""The whole way from a real game to an agent: the only room that knows it all."""
