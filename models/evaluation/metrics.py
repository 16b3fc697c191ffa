"""How well scores and flags agree with the labels: figures with their intervals.

Every metric has one signature, `metric(labelled) -> float`, is NaN where it is not defined (no fraud, nothing
flagged), takes sample weights, and depends neither on the order of the rows nor, for a ranking, on any
monotone change of the scores.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score, roc_auc_score

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class LabelledRows:
    """Scored rows whose labels are known.

    dates: datetime64[D] (rows,), the partition of each row.
    entities: any dtype (rows,) without nulls, who an alert is about; None where each row stands for itself.
    labels: bool (rows,), True is a fraud.
    scores: float (rows,), finite; higher is stranger.
    flagged: bool (rows,), whether the threshold flags the row.
    weights: float (rows,), how many rows of the population each row stands for; None counts each once.
    Raises ValueError where the lengths differ or a score is not finite.
    """

    dates: NDArray[np.datetime64]
    entities: NDArray[Any] | None
    labels: NDArray[np.bool_]
    scores: Floats
    flagged: NDArray[np.bool_]
    weights: Floats | None = None

    def __post_init__(self) -> None:
        columns = (self.dates, self.entities, self.labels, self.flagged, self.weights)
        if any(column is not None and column.shape != self.scores.shape for column in columns):
            raise ValueError(f"the columns must all have {self.scores.shape[0]} rows")
        if not np.isfinite(self.scores).all():
            raise ValueError("the scores must be finite")

    @property
    def weight(self) -> Floats:
        return np.ones(self.scores.shape) if self.weights is None else self.weights


@dataclass(frozen=True)
class Figure:
    """A metric and the bounds of its 95% interval; None where it is not defined."""

    value: float | None
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Confusion:
    """Rows (their weights, where there are any) by flag and label: true positives are flagged frauds, and
    so on.
    """

    tp: float
    fp: float
    fn: float
    tn: float


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


def metrics(top_k: Iterable[int] = (100,)) -> dict[str, Metric]:
    """Returns every metric by name: auc_roc, average_precision, one card_precision_at_<k> per k, precision,
    recall, f1.
    """
    cards = {f"card_precision_at_{k}": Metric(partial(_card_precision, k=k), _entity_days) for k in top_k}
    return RANKING | cards | FLAG_METRICS


def title(name: str) -> str:
    """Returns the display name of a metric, such as "AUC ROC" or "card precision at 100"."""
    return TITLES.get(name, name.replace("_", " "))


def measure(
    labelled: LabelledRows, metrics: Mapping[str, Metric], replicates: int = 100, seed: int = 0
) -> dict[str, Figure]:
    """Returns each metric with its 95% percentile bootstrap interval (Efron, 1979).

    A replicate draws entities with all their rows (rows, where there are no entities), because the frauds of
    one card are not independent; the number of copies is Poisson(1) for each (Chamandy et al., 2012). The
    same seed gives the same interval; no replicates, no interval.
    """
    draw = copies(labelled)
    merges = {name: metric.merge(labelled) for name, metric in metrics.items()}
    random = np.random.default_rng(seed)
    drawn: dict[str, list[float]] = {name: [] for name in metrics}
    for _ in range(replicates):
        weights = labelled.weight * draw(random)
        for name, metric in metrics.items():
            drawn[name].append(metric.value(merges[name](weights)))
    return {
        name: _figure(metric.value(merges[name](labelled.weight)), drawn[name])
        for name, metric in metrics.items()
    }


def confusion(labelled: LabelledRows) -> Confusion:
    """Returns the weighted number of rows for each flag and label."""
    counts = np.bincount(2 * labelled.flagged + labelled.labels, labelled.weight, minlength=4)
    tn, fn, fp, tp = map(float, counts)
    return Confusion(tp=tp, fp=fp, fn=fn, tn=tn)


def frauds_in(rows: LabelledRows) -> float:
    """Returns the weighted number of frauds."""
    return float(rows.weight[rows.labels].sum())


def copies(labelled: LabelledRows) -> Callable[[np.random.Generator], Floats]:
    """Returns what draws the copies of each row in a replicate (rows,): equal for all rows of an entity."""
    codes = _codes(labelled)
    entities = int(codes.max(initial=-1)) + 1
    return lambda random: random.poisson(1.0, entities).astype(np.float64)[codes]


def pools(labelled: LabelledRows) -> Callable[[Floats], LabelledRows]:
    """Merges the normal rows between two neighbouring scores of frauds into one row, as every ranking metric
    treats them alike.

    Rows that tie with a fraud keep their score, so the value is exactly that of all rows.
    """
    frauds = np.unique(labelled.scores[labelled.labels])
    gap = np.searchsorted(frauds, labelled.scores, "left") + np.searchsorted(frauds, labelled.scores, "right")
    return _merged(labelled, 2 * gap + labelled.labels)


def _auc_roc(rows: LabelledRows) -> float:
    if not 0 < frauds_in(rows) < rows.weight.sum():
        return np.nan
    return float(roc_auc_score(rows.labels, rows.scores, sample_weight=rows.weights))


def _average_precision(rows: LabelledRows) -> float:
    if not frauds_in(rows):
        return np.nan
    return float(average_precision_score(rows.labels, rows.scores, sample_weight=rows.weights))


def _precision(rows: LabelledRows) -> float:
    counts = confusion(rows)
    return _ratio(counts.tp, counts.tp + counts.fp)


def _recall(rows: LabelledRows) -> float:
    counts = confusion(rows)
    return _ratio(counts.tp, counts.tp + counts.fn)


def _f1(rows: LabelledRows) -> float:
    counts = confusion(rows)
    return _ratio(2 * counts.tp, 2 * counts.tp + counts.fp + counts.fn) if frauds_in(rows) else np.nan


def _card_precision(days: LabelledRows, k: int) -> float:
    """Card precision top-k (Le Borgne et al., Fraud Detection Handbook, 2022), from one row per day and
    entity.

    Each day the k entities with the highest score are alerted; the day's precision is the number of
    compromised ones divided by k, and those are left out on later days; the mean over days. Where the k-th
    place is shared by equal scores, each of them gets an equal share of the remaining places, and none of
    them counts as found.
    """
    if not frauds_in(days):
        return np.nan
    found = np.empty(0, np.int64)
    precisions = []
    assert days.entities is not None
    for day in np.unique(days.dates):
        now = np.flatnonzero((days.dates == day) & (days.weight > 0) & ~np.isin(days.entities, found))
        _, place = np.unique(-days.scores[now], return_inverse=True)
        labels, weight = days.labels[now], days.weight[now]
        rows_at = np.bincount(place, weight)
        share = np.clip((k - np.cumsum(rows_at) + rows_at) / rows_at, 0, 1)[place]
        precisions.append(float((share * weight)[labels].sum() / k))
        found = np.concatenate([found, days.entities[now][labels & (share == 1)]])
    return float(np.mean(precisions))


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole else np.nan


def _flag_groups(labelled: LabelledRows) -> Callable[[Floats], LabelledRows]:
    """Rows with the same label and flag become one."""
    return _merged(labelled, 2 * labelled.flagged + labelled.labels)


def _merged(labelled: LabelledRows, group: NDArray[np.intp]) -> Callable[[Floats], LabelledRows]:
    _, first, number = np.unique(group, return_index=True, return_inverse=True)
    rows = LabelledRows(
        labelled.dates[first], None, labelled.labels[first], labelled.scores[first], labelled.flagged[first]
    )
    return lambda weights: replace(
        rows, weights=np.bincount(number, weights, minlength=first.size).astype(np.float64)
    )


def _entity_days(labelled: LabelledRows) -> Callable[[Floats], LabelledRows]:
    """One row per day and entity, with its highest score, label and flag, and the weight of its highest
    row.
    """
    frame = pl.DataFrame({"date": labelled.dates, "entity": _codes(labelled), "score": labelled.scores})
    frame = frame.with_columns(
        pl.Series("label", labelled.labels),
        pl.Series("flagged", labelled.flagged),
        pl.Series("weight", labelled.weight),
    )
    highest = pl.col("row").sort_by(["score", "weight"]).last().alias("row")
    days = (
        frame.with_row_index("row")
        .group_by("date", "entity")
        .agg(highest, pl.col("score", "label", "flagged").max())
    )
    columns = {name: days[name].to_numpy() for name in days.columns}
    rows = LabelledRows(
        columns["date"], columns["entity"], columns["label"], columns["score"], columns["flagged"]
    )
    return lambda weights: replace(rows, weights=weights[columns["row"]])


def _codes(labelled: LabelledRows) -> NDArray[np.int64]:
    """Returns a number from 0 for every entity; the row's own number where there are no entities."""
    if labelled.entities is None:
        return np.arange(labelled.scores.size)
    return np.asarray(pl.Series(labelled.entities).rank("dense").to_numpy(), np.int64) - 1


def _figure(value: float, drawn: list[float]) -> Figure:
    """Replicates that hold no fraud have no value and are left out."""
    values = np.asarray(drawn)[~np.isnan(drawn)]
    if np.isnan(value):
        return Figure(None)
    if not values.size:
        return Figure(float(value))
    low, high = np.quantile(values, [0.025, 0.975])
    return Figure(float(value), float(low), float(high))


RANKING = {"auc_roc": Metric(_auc_roc, pools), "average_precision": Metric(_average_precision, pools)}
FLAG_METRICS = {
    "precision": Metric(_precision, _flag_groups),
    "recall": Metric(_recall, _flag_groups),
    "f1": Metric(_f1, _flag_groups),
}
TITLES = {"auc_roc": "AUC ROC", "f1": "F1"}  # where it is not the name with spaces
