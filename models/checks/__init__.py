"""What a trained detector is held against: sanity gates, and baselines without a trained network."""
