"""Two detectors on the same rows: the difference of a metric with its paired interval, and how far they
agree where labels are missing.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import ks_2samp

from models.evaluation.metrics import LabelledRows, Metric, copies

REPLICATES = 200


@dataclass(frozen=True)
class Difference:
    """champion, challenger: the metric of each.

    value: challenger minus champion; low, high: its paired bootstrap interval.
    """

    champion: float
    challenger: float
    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Agreement:
    """overlap: alerts of both, as a share of the alerts of either; 1 where there are none.

    shift: see `agreement`.
    """

    overlap: float
    shift: float


def paired_difference(
    champion: LabelledRows,
    challenger: LabelledRows,
    metric: Metric,
    confidence: float,
    replicates: int = REPLICATES,
    seed: int = 0,
) -> Difference | None:
    """Returns the difference of a metric between two scorers of the same rows in the same order; None where
    it is not defined.

    Each replicate draws entities with all their rows, the same for both scorers, so that the difficulty of a
    draw cancels out: the paired percentile bootstrap (Efron & Tibshirani, 1993), with Poisson(1) copies
    (Chamandy et al., 2012). The same seed gives the same interval.
    """
    values = metric(champion), metric(challenger)
    if np.isnan(values).any():
        return None
    draw, random = copies(champion), np.random.default_rng(seed)
    merged = [metric.merge(labelled) for labelled in (champion, challenger)]
    drawn = []
    for _ in range(replicates):
        weights = champion.weight * draw(random)
        first, second = (metric.value(merge(weights)) for merge in merged)
        drawn.append(second - first)
    found = np.asarray(drawn)[~np.isnan(drawn)]
    low, high = np.quantile(found, [(1 - confidence) / 2, (1 + confidence) / 2])
    return Difference(*values, values[1] - values[0], float(low), float(high))


def agreement(
    champion_alerts: set[tuple[object, ...]],
    challenger_alerts: set[tuple[object, ...]],
    champion_p_values: NDArray[np.float64],
    challenger_p_values: NDArray[np.float64],
) -> Agreement:
    """Returns how far two detectors agree on the same rows.

    alerts: (date, entity) of each flagged row. shift: the Kolmogorov-Smirnov distance of their p-values,
    which, unlike scores, are on one scale: the largest difference of their cumulative shares, 0..1 (Smirnov,
    1948).
    """
    either = champion_alerts | challenger_alerts
    overlap = len(champion_alerts & challenger_alerts) / len(either) if either else 1.0
    return Agreement(
        overlap, float(ks_2samp(champion_p_values, challenger_p_values, method="asymp").statistic)
    )
