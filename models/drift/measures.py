"""Drift: how far the rows of several nights are from the training rows of a version, feature by feature, and
whether that is beyond the limits.

A difference that chance explains is never drift: each figure comes with the smallest value that is certain,
given the numbers of rows.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import polars as pl
from scipy.special import gammaincinv, ndtri

from models.drift.pooling import Floats, Pooled, pool
from models.drift.profiles import CATEGORY, ERROR, ERROR_EDGES, NUMERIC
from models.settings import DriftSettings

FLOOR = 1e-4  # smallest share of a bin: an empty one would make the index infinite
CERTAIN = 0.999
DEVIATIONS = float(ndtri((1 + CERTAIN) / 2))  # of a normal distribution, around this share of it
QUANTILES = {"error_q50": 0.5, "error_q90": 0.9, "error_q99": 0.99}

Certain = tuple[float, float]  # a figure, and the value nearest to 0 within its chance variation


@dataclass(frozen=True)
class Drift:
    """One feature, or `error`.

    rows: of the nights, those below their thresholds. figures: by metric. over: metrics beyond their limit.
    """

    feature: str
    rows: int
    figures: dict[str, float]
    over: tuple[str, ...]

    @property
    def words(self) -> str:
        return f"{self.feature} ({', '.join(f'{metric} {self.figures[metric]:.2f}' for metric in self.over)})"


def drifts(profiles: pl.DataFrame, settings: DriftSettings) -> tuple[Drift, ...]:
    """Returns the drift of every feature over the nights of these profiles (SCHEMA of models.drift.profiles),
    in the order of the first night.

    Both sides of a night are cut at its threshold and weighted by its number of rows. A feature without rows
    on one side is left out.
    """
    found = []
    for (feature, kind), nights in profiles.group_by("feature", "kind", maintain_order=True):
        pooled = pool(nights)
        if pooled.counts.sum() > 0 and pooled.reference.sum() > 0:
            measured = MEASURES[str(kind)](pooled)
            figures = {metric: value for metric, (value, _) in measured.items()}
            over = tuple(
                metric for metric, (_, certain) in measured.items() if abs(certain) > limit(metric, settings)
            )
            found.append(Drift(str(feature), round(pooled.counts.sum()), figures, over))
    return tuple(found)


def limit(metric: str, settings: DriftSettings) -> float:
    """Returns the absolute value beyond which a metric is drift."""
    return settings.error_shift if metric in QUANTILES else float(getattr(settings, metric))


def stability_index(counts: Floats, reference: Floats) -> float:
    """Returns the population stability index: the sum over the bins of (p - q) ln(p / q), with p and q the
    shares of both sides, each at least FLOOR.

    It is the symmetric divergence of Jeffreys (1946) of the binned shares; in credit scoring, above 0.1 means
    some shift, above 0.25 a large one (Siddiqi, 2006).
    """
    p, q = (np.maximum(side / side.sum(), FLOOR) for side in (counts, reference))
    return float(np.sum((p - q) * np.log(p / q)))


def index_of(pooled: Pooled) -> Certain:
    """Returns the index. For rows that did not change it is chi-square, with one degree of freedom less than
    bins, times the sum of the inverse numbers of rows (Yurdakul & Naranjo, 2020).
    """
    value = stability_index(pooled.counts, pooled.reference)
    freedom = max(1, int(np.count_nonzero(pooled.counts + pooled.reference)) - 1)
    chi_square = 2 * float(gammaincinv(freedom / 2, CERTAIN))
    return value, max(0.0, value - chi_square * _inverse_rows(pooled))


def distance_of(pooled: Pooled) -> Certain:
    """Returns the Wasserstein distance, in encoded units, between both sides, with every value moved to the
    mean of its bin.

    By chance it is about as large as the difference of two means of values with unit variance.
    """
    assert pooled.means is not None
    assert pooled.reference_means is not None
    value = wasserstein(pooled.means, pooled.reference_means, pooled.counts, pooled.reference)
    return value, max(0.0, value - DEVIATIONS * math.sqrt(_inverse_rows(pooled)))


def wasserstein(values: Floats, others: Floats, weights: Floats, other_weights: Floats) -> float:
    """Returns the Wasserstein distance between two weighted samples: the area between their distribution
    functions (Vallender, 1974).

    It is that of `scipy.stats`, which takes a second to load.
    """
    found = np.concatenate([values, others])
    shares = np.concatenate([weights / weights.sum(), -other_weights / other_weights.sum()])
    order = np.argsort(found)
    return float(np.sum(np.abs(np.cumsum(shares[order])[:-1]) * np.diff(found[order])))


def error_shifts(pooled: Pooled) -> dict[str, Certain]:
    """Returns the relative change of quantiles of the error against the reference; negative where they are
    lower.

    The certain value is the distance of the binomial intervals of both quantiles: 0 where the reference has
    too few rows beyond one.
    """
    found = {}
    for name, share in QUANTILES.items():
        night, reference = (
            _interval(pooled.counts, share, pooled.rows),
            _interval(pooled.reference, share, pooled.reference_rows),
        )
        above, below = _relative(night.low - reference.high), _relative(night.high - reference.low)
        found[name] = _relative(night.middle - reference.middle), max(0.0, above) + min(0.0, below)
    return found


@dataclass(frozen=True)
class _Interval:
    """A quantile of the error, as log2 of its ratio to the median of the reference, and its interval."""

    low: float
    middle: float
    high: float


def _interval(counts: Floats, share: float, rows: int) -> _Interval:
    wide = DEVIATIONS * math.sqrt(share * (1 - share) / rows)
    return _Interval(*(_log_quantile(counts, at) for at in (share - wide, share, share + wide)))


def _relative(logs: float) -> float:
    return float(2.0**logs - 1)


def _inverse_rows(pooled: Pooled) -> float:
    return 1 / pooled.rows + 1 / pooled.reference_rows


def _log_quantile(counts: Floats, share: float) -> float:
    """Interpolates between the edges of the bins; infinite for shares of 0 or less, 1 or more."""
    if not 0 < share < 1:
        return -math.inf if share <= 0 else math.inf
    return float(np.interp(share, np.cumsum(counts)[:-1] / counts.sum(), ERROR_EDGES))


MEASURES: dict[str, Callable[[Pooled], dict[str, Certain]]] = {
    NUMERIC: lambda pooled: {"psi": index_of(pooled), "wasserstein": distance_of(pooled)},
    CATEGORY: lambda pooled: {"psi": index_of(pooled)},
    ERROR: error_shifts,
}
