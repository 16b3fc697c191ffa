"""Figures of labelled rows with their intervals, from bootstrap replicates."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from models.evaluation.labelled_rows import Floats, LabelledRows, copies

REPLICATES = 100


@dataclass(frozen=True)
class Figure:
    """A metric and the bounds of its 95% interval; None where it is not defined."""

    value: float | None
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Resampled:
    """A metric and its bootstrap replicates.

    value: NaN where it is not defined. drawn: float (replicates,); NaN for a replicate in which it is not
        defined, such as one without a fraud.
    """

    value: float
    drawn: Floats

    def figure(self, confidence: float = 0.95) -> Figure:
        """Returns the metric with the percentile interval of the replicates in which it is defined."""
        if np.isnan(self.value):
            return Figure(None)
        values = self.drawn[~np.isnan(self.drawn)]
        if not values.size:
            return Figure(float(self.value))
        low, high = np.quantile(values, [(1 - confidence) / 2, (1 + confidence) / 2])
        return Figure(float(self.value), float(low), float(high))

    def __sub__(self, other: "Resampled") -> "Resampled":
        """The difference to another scorer of the same rows, with its paired replicates."""
        return Resampled(self.value - other.value, self.drawn - other.drawn)


@dataclass(frozen=True)
class Metric:
    """value: float of rows that `merge` prepared.

    merge: given the rows, a function from their weights (rows,) to fewer rows with the same value, so that
    resampling is cheap.
    """

    value: Callable[[LabelledRows], float]
    merge: Callable[[LabelledRows], Callable[[Floats], LabelledRows]]

    def __call__(self, labelled: LabelledRows) -> float:
        return self.value(self.merge(labelled)(labelled.weight))


def measure(
    labelled: LabelledRows, metrics: Mapping[str, Metric], replicates: int = REPLICATES, seed: int = 0
) -> dict[str, Figure]:
    """Returns each metric with its 95% interval; see `resample`."""
    resampled = resample({"": labelled}, metrics, replicates, seed)[""]
    return {name: each.figure() for name, each in resampled.items()}


def resample(
    scorers: Mapping[str, LabelledRows],
    metrics: Mapping[str, Metric],
    replicates: int = REPLICATES,
    seed: int = 0,
) -> dict[str, dict[str, Resampled]]:
    """Returns each metric of each scorer of the same rows, in the same order, with its bootstrap replicates
    (Efron, 1979).

    A replicate draws entities with all their rows (rows, where there are no entities), because the frauds of
    one card are not independent; the number of copies is Poisson(1) for each (Chamandy et al., 2012). Every
    scorer gets the same draws, so that differences are paired. The same seed gives the same replicates.
    """
    first = next(iter(scorers.values()))
    draw, random = copies(first), np.random.default_rng(seed)
    merged = {
        scorer: {name: metric.merge(rows) for name, metric in metrics.items()}
        for scorer, rows in scorers.items()
    }
    drawn = {scorer: {name: np.full(replicates, np.nan) for name in metrics} for scorer in scorers}
    for number in range(replicates):
        weights = first.weight * draw(random)
        for scorer, merges in merged.items():
            for name, metric in metrics.items():
                drawn[scorer][name][number] = metric.value(merges[name](weights))
    return {
        scorer: {
            name: Resampled(metric.value(merges[name](first.weight)), drawn[scorer][name])
            for name, metric in metrics.items()
        }
        for scorer, merges in merged.items()
    }
