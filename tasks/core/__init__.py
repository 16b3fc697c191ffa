"""Shared by all rooms: values passed between steps, dataset settings, errors, staging, locks, SQL types."""
