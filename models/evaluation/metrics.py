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

Floats = NDArray[np.float64]
REPLICATES = 100


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
    """A tie counts half."""
    frauds, normals = _cumulative(rows)
    both = frauds[-1] * normals[-1] if frauds.size else 0.0
    if not both:
        return np.nan
    return float(np.trapezoid(np.append(0.0, frauds), np.append(0.0, normals)) / both)


def _average_precision(rows: LabelledRows) -> float:
    frauds, normals = _cumulative(rows)
    if not frauds.size or not frauds[-1]:
        return np.nan
    gained = np.diff(frauds, prepend=0.0)
    found = gained > 0
    return float((gained * frauds)[found] @ (1 / (frauds + normals)[found]) / frauds[-1])


def _cumulative(rows: LabelledRows) -> tuple[Floats, Floats]:
    """The weights of the frauds and of the normal rows at or above each distinct score, highest first.

    scikit-learn's functions take 1 to 2 ms for the few rows that a replicate has, most of it to check its
    input; this takes 30 us, and a report has thousands of replicates.
    """
    order = np.argsort(-rows.scores, kind="stable")
    last = np.flatnonzero(np.diff(rows.scores[order], append=np.nan) != 0)
    weight, labels = rows.weight[order], rows.labels[order]
    return np.cumsum(weight * labels)[last], np.cumsum(weight * ~labels)[last]


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
    assert days.entities is not None
    found = np.zeros(days.entities.max() + 1, np.bool_)
    is_last = np.append(days.dates[1:] != days.dates[:-1], True)
    precisions = []
    for rows in np.split(np.arange(is_last.size), np.flatnonzero(is_last)[:-1] + 1):
        entities, labels = days.entities[rows], days.labels[rows]
        weight = np.where(found[entities], 0.0, days.weight[rows])
        last = np.flatnonzero(np.diff(days.scores[rows], append=np.nan) != 0)  # of each distinct score
        through = np.cumsum(weight)[last]
        rows_at = np.diff(through, prepend=0.0)
        share = np.clip((k - through + rows_at) / np.where(rows_at, rows_at, 1.0), 0, 1)
        share = np.repeat(share, np.diff(last, prepend=-1))
        precisions.append(float((share * weight)[labels].sum() / k))
        found[entities[labels & (share == 1) & (weight > 0)]] = True
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
    """One row per day and entity, with its highest score, label and flag, and the weight of its highest row;
    in order of the days, the highest score first.
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
        .sort("date", "score", "entity", descending=[False, True, False])
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


RANKING = {"auc_roc": Metric(_auc_roc, pools), "average_precision": Metric(_average_precision, pools)}
FLAG_METRICS = {
    "precision": Metric(_precision, _flag_groups),
    "recall": Metric(_recall, _flag_groups),
    "f1": Metric(_f1, _flag_groups),
}
TITLES = {"auc_roc": "AUC ROC", "f1": "F1"}  # where it is not the name with spaces
