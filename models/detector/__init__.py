"""The detector: encoder, networks and calibration; it scores and explains rows, and is saved to disk."""
