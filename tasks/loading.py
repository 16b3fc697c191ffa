"""Reading a detector from the store; what was read is kept for the next night of the same process."""

from functools import lru_cache

from models.detector import artifacts
from models.detector.detector import Detector
from tasks.registry.artifact_store import fetched


@lru_cache(maxsize=4)  # compiled graphs are worth keeping, those of the challengers too
def load(path: str, sha256: str) -> Detector:
    """The detector of an artifact. Raises ArtifactError, naming the file, where it is not what was written, or cannot be read."""
    with fetched(path) as folder:
        return artifacts.load(folder, sha256)
