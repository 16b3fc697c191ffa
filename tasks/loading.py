"""Reading the artifact of a version; what was read is kept for the next night of the same process."""

from functools import lru_cache

from models import artifacts

load = lru_cache(maxsize=4)(artifacts.load)  # a compiled graph is worth keeping, and so are those of the challengers
