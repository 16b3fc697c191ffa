"""The detector: encoder, networks and calibration in one, how it scores and explains rows, and how it is
saved.
"""
