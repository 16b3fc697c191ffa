"""Two detectors on the same rows: the difference of a metric with its paired interval, and how far they
agree where labels are missing.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from models.evaluation.labelled_rows import LabelledRows
from models.evaluation.resampling import Metric, resample

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

    Each replicate draws the same entities for both scorers, so that the difficulty of a draw cancels out: the
    paired percentile bootstrap (Efron & Tibshirani, 1993); see `resample`.
    """
    rows = {"champion": champion, "challenger": challenger}
    resampled = resample(rows, {"": metric}, replicates, seed)
    own, others = resampled["champion"][""], resampled["challenger"][""]
    found = (others - own).figure(confidence)
    if found.value is None or found.low is None or found.high is None:
        return None
    return Difference(own.value, others.value, found.value, found.low, found.high)


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
        overlap, float(stats.ks_2samp(champion_p_values, challenger_p_values, method="asymp").statistic)
    )
