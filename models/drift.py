"""Drift: how far the rows of several nights are from those that a version learnt from, feature by feature, and whether that is too far."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy.stats import wasserstein_distance

from models.profiles import CATEGORY, ERROR, ERROR_EDGES, NUMERIC
from models.settings import DriftSettings

FLOOR = 1e-4  # the least share of a bin: an empty one would make the index infinite
QUANTILES = {"error_q50": 0.5, "error_q90": 0.9, "error_q99": 0.99}

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Drift:
    """One feature, or `error`. rows: of the nights, that were not flagged. figures: by metric. over: those beyond their limit."""

    feature: str
    rows: int
    figures: dict[str, float]
    over: tuple[str, ...]

    @property
    def words(self) -> str:
        return f"{self.feature} ({', '.join(f'{metric} {self.figures[metric]:.2f}' for metric in self.over)})"


@dataclass(frozen=True)
class Pooled:
    """Both sides of one feature, per bin: counts, and mean values in encoded units (None but for numeric features)."""

    counts: Floats
    reference: Floats
    means: Floats | None
    reference_means: Floats | None


def drifts(profiles: pl.DataFrame, settings: DriftSettings) -> tuple[Drift, ...]:
    """The drift of every feature over the nights whose profiles (SCHEMA of models.profiles) are given, in the order of the first night.

    Of a night each side is cut at that night's threshold, and weighs as much as the night has rows. Where no rows are left on one side
    there are no figures.
    """
    found = []
    for (feature, kind), nights in profiles.group_by("feature", "kind", maintain_order=True):
        pooled = pool(nights)
        if pooled.counts.sum() > 0 and pooled.reference.sum() > 0:
            figures = MEASURES[str(kind)](pooled)
            over = tuple(metric for metric, value in figures.items() if abs(value) > limit(metric, settings))
            found.append(Drift(str(feature), round(pooled.counts.sum()), figures, over))
    return tuple(found)


def limit(metric: str, settings: DriftSettings) -> float:
    """Beyond which value, in either direction, a metric is drift."""
    return settings.error_shift if metric in QUANTILES else float(getattr(settings, metric))


def pool(nights: pl.DataFrame) -> Pooled:
    """The sum of the nights; the reference of each weighs as much as the night itself."""
    weights = nights["weight"].to_numpy()
    counts, reference = _stacked(nights["counts"]), _stacked(nights["reference_counts"])
    rows = weights * counts.sum(axis=1)
    shares = np.divide(rows, reference.sum(axis=1), out=np.zeros(len(rows)), where=reference.sum(axis=1) > 0)
    if nights["sums"].null_count():
        return Pooled(weights @ counts, shares @ reference, None, None)
    sums, reference_sums = _stacked(nights["sums"]), _stacked(nights["reference_sums"])
    return Pooled(
        weights @ counts,
        shares @ reference,
        _over(weights @ sums, weights @ counts),
        _over(shares @ reference_sums, shares @ reference),
    )


def stability_index(counts: Floats, reference: Floats) -> float:
    """The population stability index: the sum over the bins of (p - q) ln(p / q), p and q the shares of both sides, each at least FLOOR.

    It is the symmetric divergence of Jeffreys (1946) of the binned shares; in scoring above 0.1 is read as some shift, above 0.25 as a
    large one (Siddiqi, 2006).
    """
    p, q = (np.maximum(side / side.sum(), FLOOR) for side in (counts, reference))
    return float(np.sum((p - q) * np.log(p / q)))


def distance(pooled: Pooled) -> float:
    """The Wasserstein distance, in encoded units, of both sides with every value moved to the mean of its bin."""
    assert pooled.means is not None
    assert pooled.reference_means is not None
    return float(wasserstein_distance(pooled.means, pooled.reference_means, pooled.counts, pooled.reference))


def error_shifts(pooled: Pooled) -> dict[str, float]:
    """By how much quantiles of the error are above those of the reference, as a share of them; negative where they are below."""
    return {
        name: float(2.0 ** (_log_quantile(pooled.counts, share) - _log_quantile(pooled.reference, share)) - 1)
        for name, share in QUANTILES.items()
    }


def _log_quantile(counts: Floats, share: float) -> float:
    """log2 of the error over its median in the reference, interpolated between the edges of the bins."""
    return float(np.interp(share, np.cumsum(counts)[:-1] / counts.sum(), ERROR_EDGES))


def _stacked(lists: pl.Series) -> Floats:
    return np.array(lists.to_list(), dtype=np.float64)


def _over(sums: Floats, counts: Floats) -> Floats:
    return np.divide(sums, counts, out=np.zeros_like(sums), where=counts > 0)


MEASURES: dict[str, Callable[[Pooled], dict[str, float]]] = {
    NUMERIC: lambda pooled: {"psi": stability_index(pooled.counts, pooled.reference), "wasserstein": distance(pooled)},
    CATEGORY: lambda pooled: {"psi": stability_index(pooled.counts, pooled.reference)},
    ERROR: error_shifts,
}
