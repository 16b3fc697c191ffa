"""Nightscore in Python: the champion and the scores of a dataset, and detectors without any warehouse."""

from importlib import import_module, metadata
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from flows.door import OpenedDataset, load, scores
    from tasks.scoring.frame_detector import Detector, FittedDetector

__version__ = metadata.version("nightscore")
__all__ = ["Detector", "FittedDetector", "OpenedDataset", "__version__", "load", "scores"]
HOMES = dict.fromkeys(("OpenedDataset", "load", "scores"), "flows.door") | dict.fromkeys(
    ("Detector", "FittedDetector"), "tasks.scoring.frame_detector"
)


def __getattr__(name: str) -> Any:
    """Imports a name when it is used: `python -m nightscore` says first which package is not ours."""
    if name not in HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(HOMES[name]), name)


def __dir__() -> list[str]:
    """The names, which notebooks complete."""
    return __all__
