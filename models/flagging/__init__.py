"""From scores to flags: the threshold strategies."""
