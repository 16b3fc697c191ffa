"""Trains a version: which rows it learns from, when a training is due, how it is registered."""
