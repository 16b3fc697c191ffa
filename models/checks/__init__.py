"""Checks of a trained detector: sanity gates, and baselines without a trained network."""
