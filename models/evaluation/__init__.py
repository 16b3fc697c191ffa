"""Metrics, curves and paired comparisons of scores against labels."""
