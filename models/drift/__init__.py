"""Drift measures between the rows of recent nights and those that a version was trained on."""
