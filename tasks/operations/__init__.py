"""Maintains an installation: doctor, init, prune, liveness of flow runs, coalescing of late runs."""
