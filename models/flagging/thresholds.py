"""Which rows of a night are flagged: `THRESHOLDS[strategy](night, calibration, value)` returns the flags."""

import math
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray
from sklearn import metrics

from models.detector.calibration import Calibration
from models.errors import ThresholdError
from models.flagging.flags import Flags, NightScores, at_least, chosen
from models.settings import ThresholdSettings

Strategy = Callable[[NightScores, Calibration, float], Flags]


def decide(night: NightScores, calibration: Calibration, threshold: ThresholdSettings) -> Flags:
    """Returns the flags of the configured strategy.

    Raises ThresholdError where a score is not finite, or the strategy cannot be applied.
    """
    require_finite(night.scores)
    return THRESHOLDS[threshold.strategy](night, calibration, threshold.value)


def require_finite(scores: NDArray[np.floating]) -> None:
    """Raises ThresholdError unless every score is finite."""
    if strange := int(np.count_nonzero(~np.isfinite(scores))):
        raise ThresholdError(
            f"{strange:,} of {len(scores):,} scores are not finite; check these rows' "
            "features, or train another version"
        )


def fixed_threshold(calibration: Calibration, threshold: ThresholdSettings) -> float | None:
    """Returns the threshold that holds for every night; None where it depends on the scores of the night, or
    needs known frauds and there are none.
    """
    if threshold.strategy in OF_THE_NIGHT:
        return None
    empty = NightScores(np.zeros(0))
    with suppress(ThresholdError):
        return THRESHOLDS[threshold.strategy](empty, calibration, threshold.value).threshold
    return None


def fixed(night: NightScores, calibration: Calibration, value: float) -> Flags:
    """Flags scores of at least `value`."""
    if not math.isfinite(value):
        raise ThresholdError(
            f"threshold.value is the score from which rows are flagged, a finite number; got {value}"
        )
    return at_least(night, value)


def train_quantile(night: NightScores, calibration: Calibration, value: float) -> Flags:
    """Flags scores of at least the quantile `value` of the training rows' scores."""
    _require_share(value, "the quantile of the training rows' scores")
    return at_least(night, float(np.quantile(calibration.training.astype(np.float64), value)))


def batch_quantile(night: NightScores, calibration: Calibration, value: float) -> Flags:
    """Flags scores of at least the quantile `value` of tonight's scores."""
    _require_share(value, "the quantile of tonight's scores")
    return at_least(
        night, float(np.quantile(night.scores.astype(np.float64), value)) if len(night.scores) else 0.0
    )


def midpoint(night: NightScores, calibration: Calibration, value: float) -> Flags:
    """Flags scores of at least the midpoint between the mean score of held-out normal rows and that of known
    frauds.

    `value` is not used.
    """
    _require_frauds(calibration, "midpoint")
    normal, fraud = (
        float(scores.mean(dtype=np.float64)) for scores in (calibration.held_out, calibration.anomalies)
    )
    if not fraud > normal:
        raise ThresholdError(
            f"threshold.strategy midpoint: the mean score of known frauds ({fraud:.4g}) is not above "
            f"that of normal rows ({normal:.4g}); "
            'set threshold.strategy = "train_quantile", or find features that separate them'
        )
    return at_least(night, (normal + fraud) / 2)


def best_f1(night: NightScores, calibration: Calibration, value: float) -> Flags:
    """Flags scores of at least the cut with the highest F1 on the training window; among ties, the highest
    cut.

    `value` is not used.
    """
    cuts = _cuts(calibration, "best_f1")
    f1 = 2 * cuts.found / (2 * cuts.found + cuts.false_alarms + cuts.missed)
    return at_least(night, float(cuts.scores[np.argmax(f1)]))


def cost(night: NightScores, calibration: Calibration, value: float) -> Flags:
    """Flags scores of at least the cut with the lowest cost on the training window; among ties, the highest
    cut.

    value: the cost of a missed fraud, where a false alarm costs 1.
    """
    if not (math.isfinite(value) and value > 0):
        raise ThresholdError(
            f"threshold.value is the cost of a missed fraud in false alarms, above 0, such as 50; got {value}"
        )
    cuts = _cuts(calibration, "cost")
    return at_least(night, float(cuts.scores[np.argmin(value * cuts.missed + cuts.false_alarms)]))


def budget(night: NightScores, calibration: Calibration, value: float) -> Flags:
    """Flags the highest row of each of the `value` entities with the highest scores: as many as analysts can
    review in a day.

    The threshold is the lowest of these scores; other rows of the same entities are not flagged, even above
    it.
    """
    places = require_number(value)
    flagged = np.zeros(len(night.scores), dtype=bool)
    flagged[best_rows(night)["row"].head(places).to_numpy()] = True
    return chosen(night, flagged)


def best_rows(night: NightScores) -> pl.DataFrame:
    """Returns the highest row of each entity, the highest first: row int64, its position; entity; alone, the
    position of a row without an entity, else null.
    """
    row = np.arange(len(night.scores))
    order = row if night.ids is None else night.ids
    rows = pl.DataFrame(
        {"row": row, "score": night.scores, "entity": night.entities, "order": order},
        schema_overrides={"row": pl.Int64},
    ).with_columns(alone=pl.when(pl.col("entity").is_null()).then("row"))
    ranked = rows.sort(["score", "entity", "order"], descending=[True, False, False], nulls_last=True)
    return ranked.unique(["entity", "alone"], keep="first", maintain_order=True)


def require_number(value: float) -> int:
    """Returns the number of entities of a budget. Raises ThresholdError where it is none."""
    if not (math.isfinite(value) and value >= 1 and float(value).is_integer()):
        raise ThresholdError(
            f"threshold.value is the number of entities to flag, a whole number such as 100; got {value}"
        )
    return int(value)


def fdr(night: NightScores, calibration: Calibration, value: float) -> Flags:
    """Flags the rows that the procedure of Benjamini & Hochberg (1995) rejects at level `value`, by their
    conformal p-values (Bates et al., 2023).

    In expectation, at most the share `value` of the flagged rows is normal.
    """
    if not 0 < value < 1:
        raise ThresholdError(
            "threshold.value is the tolerated share of false alarms among the flagged rows, between 0 "
            f"and 1; got {value}"
        )
    # Own code: scipy's false_discovery_control compares p * rows / rank with the level, which rounds
    # differently, so that a p-value exactly on the bound (conformal ones often are) would change its flag.
    assert night.p_values is not None
    rows = len(night.p_values)
    ordered = np.sort(night.p_values)
    rejected = np.flatnonzero(ordered <= value * np.arange(1, rows + 1) / rows) if rows else ordered
    flagged = night.p_values <= ordered[rejected[-1]] if len(rejected) else np.zeros(rows, dtype=bool)
    calibration_rows = len(calibration.held_out)
    fewest = math.ceil(rows / (value * (calibration_rows + 1)))
    too_few = (
        f"with {calibration_rows:,} calibration rows, rows are flagged only where at least {fewest:,} "
        "score above all of them: "
        "raise threshold.value, or train on more rows (training.window_days)"
    )
    return chosen(night, flagged, why_none=too_few if fewest > 1 else "")


OF_THE_NIGHT = ("batch_quantile", "budget", "fdr")
OF_P_VALUES, OF_ENTITIES = ("fdr",), ("budget",)
THRESHOLDS: dict[str, Strategy] = {
    "fixed": fixed,
    "train_quantile": train_quantile,
    "batch_quantile": batch_quantile,
    "midpoint": midpoint,
    "best_f1": best_f1,
    "cost": cost,
    "budget": budget,
    "fdr": fdr,
}


def _require_share(value: float, meaning: str) -> None:
    if not 0 <= value <= 1:
        raise ThresholdError(f"threshold.value is {meaning}, between 0 and 1; got {value}")


def _require_frauds(calibration: Calibration, strategy: str) -> None:
    if not len(calibration.anomalies):
        raise ThresholdError(
            f"threshold.strategy {strategy} needs known frauds, and the training window has none; "
            "widen training.window_days, "
            'train as of a later date, or set threshold.strategy = "train_quantile"'
        )


@dataclass(frozen=True)
class _Cuts:
    """The outcome on the training window of each possible cut, from no row flagged to all.

    scores: the cuts, descending. found, missed, false_alarms: numbers of rows; each held-out row counts for
    its share of the normal ones. All float64 (cuts,).
    """

    scores: NDArray[np.float64]
    found: NDArray[np.float64]
    missed: NDArray[np.float64]
    false_alarms: NDArray[np.float64]


def _cuts(calibration: Calibration, strategy: str) -> _Cuts:
    _require_frauds(calibration, strategy)
    scores = np.concatenate([calibration.held_out, calibration.anomalies]).astype(np.float64)
    frauds = np.repeat([0, 1], [len(calibration.held_out), len(calibration.anomalies)])
    _, normal, missed, found, cuts = metrics.confusion_matrix_at_thresholds(frauds, scores)
    return _Cuts(
        scores=np.append(np.nextafter(cuts[0], np.inf), cuts),
        found=np.append(0.0, found),
        missed=np.append(float(len(calibration.anomalies)), missed),
        false_alarms=np.append(0.0, normal) * calibration.normals / len(calibration.held_out),
    )
