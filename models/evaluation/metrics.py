"""How well scores and flags agree with the labels.

Every metric has one signature, `metric(labelled) -> float`, is NaN where it is not defined (no fraud, nothing
flagged), takes sample weights, and depends neither on the order of the rows nor, for a ranking, on any
monotone change of the scores.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial

import numpy as np

from models.evaluation.labelled_rows import (
    Floats,
    LabelledRows,
    entity_days,
    flag_groups,
    frauds_in,
    pools,
)
from models.evaluation.resampling import Metric


@dataclass(frozen=True)
class Confusion:
    """Rows (their weights, where there are any) by flag and label: true positives are flagged frauds, and
    so on.
    """

    tp: float
    fp: float
    fn: float
    tn: float


def metrics(top_k: Iterable[int] = (100,)) -> dict[str, Metric]:
    """Returns every metric by name: auc_roc, average_precision, one card_precision_at_<k> per k, precision,
    recall, f1.
    """
    cards = {f"card_precision_at_{k}": Metric(partial(_card_precision, k=k), entity_days) for k in top_k}
    return RANKING | cards | FLAG_METRICS


def title(name: str) -> str:
    """Returns the display name of a metric, such as "AUC ROC" or "card precision at 100"."""
    return TITLES.get(name, name.replace("_", " "))


def confusion(labelled: LabelledRows) -> Confusion:
    """Returns the weighted number of rows for each flag and label."""
    counts = np.bincount(2 * labelled.flagged + labelled.labels, labelled.weight, minlength=4)
    tn, fn, fp, tp = map(float, counts)
    return Confusion(tp=tp, fp=fp, fn=fn, tn=tn)


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


RANKING = {"auc_roc": Metric(_auc_roc, pools), "average_precision": Metric(_average_precision, pools)}
FLAG_METRICS = {
    "precision": Metric(_precision, flag_groups),
    "recall": Metric(_recall, flag_groups),
    "f1": Metric(_f1, flag_groups),
}
TITLES = {"auc_roc": "AUC ROC", "f1": "F1"}  # where it is not the name with spaces
