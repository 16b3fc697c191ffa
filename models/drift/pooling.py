"""Both sides of a comparison, added up over nights: the rows of each bin, and those of the reference."""

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Pooled:
    """Both sides of one feature, per bin: counts, and mean values in encoded units (None except for numeric
    features).

    rows, reference_rows: the numbers of rows counted on each side, before weighting.
    """

    counts: Floats
    reference: Floats
    means: Floats | None
    reference_means: Floats | None
    rows: int
    reference_rows: int


def pool(nights: pl.DataFrame) -> Pooled:
    """Returns the sum of the nights; the reference of each night has the same weight as the night."""
    weights = nights["weight"].to_numpy()
    counts, reference = _stacked(nights["counts"]), _stacked(nights["reference_counts"])
    totals = reference.sum(axis=1)
    shares = np.divide(weights * counts.sum(axis=1), totals, out=np.zeros(len(totals)), where=totals > 0)
    means = reference_means = None
    if not nights["sums"].null_count():
        means = _over(weights @ _stacked(nights["sums"]), weights @ counts)
        reference_means = _over(shares @ _stacked(nights["reference_sums"]), shares @ reference)
    return Pooled(
        weights @ counts, shares @ reference, means, reference_means, int(counts.sum()), int(totals.max())
    )


def _stacked(lists: pl.Series) -> Floats:
    return np.array(lists.to_list(), dtype=np.float64)


def _over(sums: Floats, counts: Floats) -> Floats:
    return np.divide(sums, counts, out=np.zeros_like(sums), where=counts > 0)
