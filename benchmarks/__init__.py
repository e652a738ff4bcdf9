"""Measurements that take longer than a test: speed, quality, exploration, and the tables of the paper."""
