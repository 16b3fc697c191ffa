"""The head: gradient boosted trees on known frauds, beside the networks that learn normal rows alone."""
