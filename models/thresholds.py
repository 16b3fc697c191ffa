"""Which rows of a night are flagged: `THRESHOLDS[strategy](night, calibration, value)` gives the verdict."""

import logging
import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from models.calibration import Calibration
from models.errors import ThresholdError

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class NightScores:
    """What a strategy may look at, one value per row of the night.

    scores: float (rows,). p_values: float64 (rows,). entities: who an alert about the row is about, any type; without it, or
    where it is null, every row stands for itself.
    """

    scores: NDArray[np.floating]
    p_values: NDArray[np.float64]
    entities: pl.Series | None = None


@dataclass(frozen=True)
class Verdict:
    """threshold: the lowest score that is flagged, finite; above every score where nothing is. flagged: bool (rows,)."""

    threshold: float
    flagged: NDArray[np.bool_]


Strategy = Callable[[NightScores, Calibration, float], Verdict]


def fixed(night: NightScores, calibration: Calibration, value: float) -> Verdict:
    """Scores of at least `value`."""
    if not math.isfinite(value):
        raise ThresholdError(f"threshold.value is the score from which rows are flagged, a finite number; got {value}")
    return _at_least(night, value)


def train_quantile(night: NightScores, calibration: Calibration, value: float) -> Verdict:
    """Scores of at least the quantile `value` of the scores of the rows that the networks were trained on."""
    _require_share(value, "the quantile of the training rows' scores")
    return _at_least(night, float(np.quantile(calibration.training.astype(np.float64), value)))


def batch_quantile(night: NightScores, calibration: Calibration, value: float) -> Verdict:
    """Scores of at least the quantile `value` of tonight's scores."""
    _require_share(value, "the quantile of tonight's scores")
    return _at_least(night, float(np.quantile(night.scores.astype(np.float64), value)) if len(night.scores) else 0.0)


def budget(night: NightScores, calibration: Calibration, value: float) -> Verdict:
    """The highest row of each of the `value` entities that have the highest scores: what can be looked at in a day.

    The threshold is the lowest of these scores; other rows of the same entities may exceed it and are not flagged.
    """
    if not (math.isfinite(value) and value >= 1 and float(value).is_integer()):
        raise ThresholdError(f"threshold.value is the number of entities to flag, a whole number such as 100; got {value}")
    row = np.arange(len(night.scores))
    rows = pl.DataFrame({"row": row, "score": night.scores, "entity": night.entities}).with_columns(
        alone=pl.when(pl.col("entity").is_null()).then("row")
    )
    ranked = rows.sort(["score", "entity", "row"], descending=[True, False, False], nulls_last=True)
    top = ranked.unique(["entity", "alone"], keep="first", maintain_order=True)
    flagged = np.zeros(len(row), dtype=bool)
    flagged[top["row"].head(int(value)).cast(pl.Int64).to_numpy()] = True
    return _flag(night, flagged)


def fdr(night: NightScores, calibration: Calibration, value: float) -> Verdict:
    """The rows that Benjamini & Hochberg (1995) reject at level `value`, by their conformal p-values (Bates et al., 2023).

    In expectation at most the share `value` of the flagged rows is normal. Warns where calibration rows are so few that a small
    number of anomalies cannot be flagged.
    """
    if not 0 < value < 1:
        raise ThresholdError(f"threshold.value is the tolerated share of false alarms among the flagged rows, between 0 and 1; got {value}")
    rows = len(night.p_values)
    ordered = np.sort(night.p_values)
    rejected = np.flatnonzero(ordered <= value * np.arange(1, rows + 1) / rows) if rows else ordered
    flagged = night.p_values <= ordered[rejected[-1]] if len(rejected) else np.zeros(rows, dtype=bool)
    calibration_rows = len(calibration.held_out)
    fewest = math.ceil(rows / (value * (calibration_rows + 1)))
    if fewest > max(1, int(flagged.sum())):
        log.warning(
            "fdr at level %g: with %d calibration rows nothing is flagged unless at least %d of tonight's %d rows are stranger than all of "
            "them; raise threshold.value, or train on more rows (training.window_days)",
            value,
            calibration_rows,
            fewest,
            rows,
        )
    return _flag(night, flagged)


THRESHOLDS: dict[str, Strategy] = {
    "fixed": fixed,
    "train_quantile": train_quantile,
    "batch_quantile": batch_quantile,
    "budget": budget,
    "fdr": fdr,
}


def _require_share(value: float, meaning: str) -> None:
    if not 0 <= value <= 1:
        raise ThresholdError(f"threshold.value is {meaning}, between 0 and 1; got {value}")


def _at_least(night: NightScores, threshold: float) -> Verdict:
    return Verdict(threshold, night.scores.astype(np.float64) >= threshold)


def _flag(night: NightScores, flagged: NDArray[np.bool_]) -> Verdict:
    if flagged.any():
        return Verdict(float(night.scores[flagged].min()), flagged)
    highest = night.scores.max() if len(night.scores) else np.float32(0)
    return Verdict(float(np.nextafter(highest, np.inf, dtype=night.scores.dtype)), flagged)
