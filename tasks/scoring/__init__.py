"""Scores a day's features by the champion and its challengers, and profiles them for drift."""
