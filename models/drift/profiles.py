"""Profiles of rows: per feature, counts and sums in the bins of a version's own normal rows. Profiles of
several nights can be added up.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import polars as pl
from numpy.typing import NDArray

from models.encoding.layout import Layout
from models.encoding.samples import Encoded

BINS = 10  # of a numeric feature, by the quantiles of the reference
# bins of a category, in order of frequency: all rarer codes share one, null and unseen values another
CODES = 20
MOST_KEPT = 4  # thresholds of which a reference keeps its bins
OCTAVES, PER_OCTAVE = 8, 8  # the error's bins: up and down from its median
NUMERIC, CATEGORY, ERROR = "numeric", "category", "error"
SCHEMA: dict[str, pl.DataType | type[pl.DataType]] = {
    "feature": pl.String,
    "kind": pl.String,
    "weight": pl.Float64,
    "counts": pl.List(pl.Int64),
    "sums": pl.List(pl.Float64),
    "reference_counts": pl.List(pl.Int64),
    "reference_sums": pl.List(pl.Float64),
}

# the number of values in each bin, and their sum
Bins = tuple[NDArray[np.integer], NDArray[np.float64] | None]


@dataclass(frozen=True)
class Rows:
    """encoded: float32 (rows, width). error, score: float32 (rows,)."""

    encoded: Encoded
    error: NDArray[np.float32]
    score: NDArray[np.float32]

    def below(self, threshold: float) -> "Rows":
        """Returns the rows whose score is below the threshold."""
        kept = self.score.astype(np.float64) < threshold
        return Rows(self.encoded[kept], self.error[kept], self.score[kept])


@dataclass(frozen=True)
class Reference:
    """The normal sample rows of a version, with which nights are compared.

    names: of the features; layout: of the encoded rows. rows: training and held-out rows. held_out: only the
    latter, since the error of training rows is lower.
    """

    names: tuple[str, ...]
    layout: Layout
    rows: Rows
    held_out: Rows

    def profile(self, rows: Rows, threshold: float, weight: float) -> pl.DataFrame:
        """Returns one row per feature, and one for the error: the profiles of the rows and of the reference,
        each cut at the threshold.

        weight: how many rows of the night each row stands for. Columns as in SCHEMA: counts and sums
        (encoded units; null except for numeric features) of each bin. For images, only the error is
        measured: drift of single pixels has no meaning.
        """
        night = rows.below(threshold)
        own = [*self._features(night.encoded), ("error", ERROR, self._errors(night.error))]
        lines = [
            (name, kind, weight, *_listed(found), *_listed(expected))
            for (name, kind, found), expected in zip(own, self._expected(threshold), strict=True)
        ]
        return pl.DataFrame(lines, schema=SCHEMA, orient="row")

    def _expected(self, threshold: float) -> list[Bins]:
        """The bins of the reference, kept for the next night: most thresholds are the same every night."""
        found = self._kept.get(threshold)
        if found is None:
            features = self._features(self.rows.below(threshold).encoded)
            error = self._errors(self.held_out.below(threshold).error)
            found = [*(bins for _, _, bins in features), error]
            if len(self._kept) >= MOST_KEPT:
                self._kept.clear()
            self._kept[threshold] = found
        return found

    @cached_property
    def _kept(self) -> dict[float, list[Bins]]:
        return {}

    @cached_property
    def edges(self) -> tuple[NDArray[np.float32], ...]:
        """The lower edges of the bins of each numeric feature, without the first; see `quantile_edges`."""
        return tuple(quantile_edges(self.rows.encoded[:, column]) for column in range(self.layout.numeric))

    def _features(self, encoded: Encoded) -> Iterator[tuple[str, str, Bins]]:
        layout = self.layout
        if layout.image:
            return
        indicators = {
            owner: layout.numeric + k
            for k, owner in enumerate(layout.owners[layout.numeric : layout.continuous])
        }
        for column, edges in enumerate(self.edges):
            missing = (
                encoded[:, indicators[column]] > 0.5
                if column in indicators
                else np.zeros(len(encoded), dtype=bool)
            )
            yield self.names[column], NUMERIC, _numeric(encoded[:, column], missing, edges)
        for k, codes in enumerate(layout.categories):
            yield (
                self.names[layout.numeric + k],
                CATEGORY,
                _category(encoded[:, layout.continuous + k], codes),
            )

    def _errors(self, errors: NDArray[np.float32]) -> Bins:
        """Counts errors by powers of two from the median of the held-out errors, so that bins have equal
        relative width.
        """
        middle = max(float(np.median(self.held_out.error)), float(np.finfo(np.float32).tiny))
        bins = np.searchsorted(
            ERROR_EDGES,
            np.log2(np.maximum(errors.astype(np.float64), np.finfo(np.float64).tiny) / middle),
            side="right",
        )
        return np.bincount(bins, minlength=len(ERROR_EDGES) + 1), None


# log2 of the error over the median
ERROR_EDGES = np.arange(-OCTAVES * PER_OCTAVE, OCTAVES * PER_OCTAVE + 1) / PER_OCTAVE


def quantile_edges(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Returns the distinct quantiles of the values, ascending. A value so frequent that it is several
    quantiles has its own bin: the next greater value is an edge as well.
    """
    ordered = np.sort(values)
    edges, times = np.unique(
        ordered[np.linspace(0, len(ordered) - 1, BINS + 1).astype(int)[1:-1]], return_counts=True
    )
    after = np.searchsorted(ordered, edges[times > 1], side="right")
    return np.unique(np.concatenate([edges, ordered[after[after < len(ordered)]]]))


def _numeric(values: NDArray[np.float32], missing: NDArray[np.bool_], edges: NDArray[np.float32]) -> Bins:
    """Counts and sums values between the edges; the last bin is for missing values."""
    bins = np.where(missing, len(edges) + 1, np.searchsorted(edges, values, side="right"))
    sums = np.bincount(bins, weights=values, minlength=len(edges) + 2)
    return np.bincount(bins, minlength=len(edges) + 2), sums.astype(np.float64)


def _category(values: NDArray[np.float32], codes: int) -> Bins:
    found = values.astype(np.int64)
    if codes > CODES:
        found = np.where(found == codes - 1, CODES - 1, np.minimum(found, CODES - 2))
    return np.bincount(found, minlength=min(codes, CODES)), None


def _listed(bins: Bins) -> tuple[list[int], list[float] | None]:
    counts, sums = bins
    return counts.tolist(), None if sums is None else sums.tolist()
