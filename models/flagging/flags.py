"""The input and output of a threshold strategy, and the warning about an unusual result."""

from dataclasses import dataclass, replace

import numpy as np
import polars as pl
from numpy.typing import NDArray


@dataclass(frozen=True)
class NightScores:
    """The input of a strategy, one value per row of the night.

    scores: float (rows,). p_values: float64 (rows,), for the strategies OF_P_VALUES. entities: the entity of
    each row, any type; without entities, or where it is null, each row is its own entity. ids: which of two
    rows with equal scores comes first; without ids, their order decides. Both are for the strategies
    OF_ENTITIES.
    """

    scores: NDArray[np.floating]
    p_values: NDArray[np.float64] | None = None
    entities: pl.Series | None = None
    ids: pl.Series | None = None


@dataclass(frozen=True)
class Flags:
    """threshold: the lowest flagged score, finite; above every score where no row is flagged. flagged: bool
    (rows,).

    why_none: why no row is flagged, where the strategy knows more than the figures show.
    unknown: bool (rows,), the flagged rows that the order of the networks alone has on the list; None without
    a reserve. unknown_threshold: the lowest score of the networks from which they are flagged.
    """

    threshold: float
    flagged: NDArray[np.bool_]
    why_none: str = ""
    unknown: NDArray[np.bool_] | None = None
    unknown_threshold: float | None = None

    def of(self, part: slice) -> "Flags":
        """Returns the flags of some of the rows."""
        unknown = None if self.unknown is None else self.unknown[part]
        return replace(self, flagged=self.flagged[part], unknown=unknown)


def at_least(night: NightScores, threshold: float) -> Flags:
    """Flags the rows whose score is at least the threshold."""
    return Flags(threshold, night.scores.astype(np.float64) >= threshold)


def chosen(night: NightScores, flagged: NDArray[np.bool_], why_none: str = "") -> Flags:
    """Flags these rows; the threshold is their lowest score."""
    if flagged.any():
        return Flags(float(night.scores[flagged].min()), flagged)
    highest = night.scores.max() if len(night.scores) else np.float32(0)
    return Flags(float(np.nextafter(highest, np.inf, dtype=night.scores.dtype)), flagged, why_none)


def unusual_flags(scores: NDArray[np.floating], flags: Flags) -> str | None:
    """Returns a one-line warning with figures where every row of the night is flagged, or none, or all have
    the same score; else None.
    """
    rows, flagged = len(scores), int(flags.flagged.sum())
    if not rows:
        return None
    low, high = scores.min(), scores.max()
    alike = rows > 1 and low == high
    if 0 < flagged < rows and not alike:
        return None
    advice = "all rows have the same score: check the features of this date" if alike else flags.why_none
    figures = f"lowest score {low:.6g}, highest {high:.6g}, threshold {flags.threshold:.6g}"
    return (
        f"flagged {flagged:,} of {rows:,} rows ({figures}); "
        f"{advice or 'check [threshold] and the features of this date'}"
    )
