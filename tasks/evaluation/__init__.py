"""Looks back at committed nights: a window beside its baselines, one row explained, a date replayed."""
