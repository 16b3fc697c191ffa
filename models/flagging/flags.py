"""What a threshold strategy is given and gives, and what is odd about it."""

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray


@dataclass(frozen=True)
class NightScores:
    """What a strategy may look at, one value per row of the night.

    scores: float (rows,). p_values: float64 (rows,). entities: who an alert about the row is about, any type;
    without it, or where it is null, every row stands for itself.
    """

    scores: NDArray[np.floating]
    p_values: NDArray[np.float64]
    entities: pl.Series | None = None


@dataclass(frozen=True)
class Flags:
    """threshold: the lowest score that is flagged, finite; above every score where nothing is. flagged: bool
    (rows,).

    why_none: why nothing is flagged, where the strategy knows more than the figures say.
    """

    threshold: float
    flagged: NDArray[np.bool_]
    why_none: str = ""


def at_least(night: NightScores, threshold: float) -> Flags:
    """The rows whose score is at least the threshold."""
    return Flags(threshold, night.scores.astype(np.float64) >= threshold)


def chosen(night: NightScores, flagged: NDArray[np.bool_], why_none: str = "") -> Flags:
    """These rows, with the threshold that follows from them."""
    if flagged.any():
        return Flags(float(night.scores[flagged].min()), flagged)
    highest = night.scores.max() if len(night.scores) else np.float32(0)
    return Flags(float(np.nextafter(highest, np.inf, dtype=night.scores.dtype)), flagged, why_none)


def doubt(night: NightScores, flags: Flags) -> str | None:
    """What to look into, in one line with figures: every row of the night is flagged, or none, or all have
    one score; else None.
    """
    rows, flagged = len(night.scores), int(flags.flagged.sum())
    if not rows:
        return None
    low, high = night.scores.min(), night.scores.max()
    alike = rows > 1 and low == high
    if 0 < flagged < rows and not alike:
        return None
    advice = "all rows have the same score: look at the features of this date" if alike else flags.why_none
    figures = f"lowest score {low:.6g}, highest {high:.6g}, threshold {flags.threshold:.6g}"
    return (
        f"flagged {flagged:,} of {rows:,} rows ({figures}); "
        f"{advice or 'look at [threshold], and at the features of this date'}"
    )
