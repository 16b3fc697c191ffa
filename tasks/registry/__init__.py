"""The versions of a dataset: artifacts, promotions, and which version scores a date."""
