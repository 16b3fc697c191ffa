"""Precision-recall and ROC curves, and how the scores of frauds and normal rows are distributed."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.metrics import precision_recall_curve, roc_curve

from models.evaluation.labelled_rows import Floats, LabelledRows, frauds_in, pools


@dataclass(frozen=True)
class Curve:
    """The points of a curve, from left to right."""

    x: tuple[float, ...]
    y: tuple[float, ...]


@dataclass(frozen=True)
class Curves:
    """precision_recall: recall to precision; roc: false positive rate to true positive rate."""

    precision_recall: Curve
    roc: Curve


@dataclass(frozen=True)
class Distribution:
    """A histogram of scores, on bins that frauds and normal rows share.

    edges: bins + 1 scores, equally far apart on the log10 axis, or on the linear one where a score is
    negative.
    frauds, normals: weighted rows per bin; without labels frauds is None and normals are all rows.
    log: whether the axis is logarithmic. Scores of zero are in the first bin.
    """

    edges: tuple[float, ...]
    normals: tuple[float, ...]
    frauds: tuple[float, ...] | None
    log: bool


def curves(labelled: LabelledRows, points: int = 300) -> Curves | None:
    """Returns precision-recall and ROC, each thinned to about `points` points; None unless there are both
    frauds and normal rows.

    The area under the first is the average precision, and under the second the area that `auc_roc` gives.
    """
    if not 0 < frauds_in(labelled) < labelled.weight.sum():
        return None
    rows = pools(labelled)(labelled.weight)
    precision, recall, _ = precision_recall_curve(rows.labels, rows.scores, sample_weight=rows.weights)
    false_rate, true_rate, _ = roc_curve(rows.labels, rows.scores, sample_weight=rows.weights)
    return Curves(
        precision_recall=_thinned(*_stairs(recall[::-1], precision[::-1]), points),
        roc=_thinned(false_rate, true_rate, points),
    )


def distribution(
    scores: Floats, labels: NDArray[np.bool_] | None, weights: Floats | None = None, bins: int = 60
) -> Distribution:
    """Returns the histogram of the scores of frauds and normal rows (of all rows, where labels is None)."""
    log = bool((scores >= 0).all() and (scores > 0).any())
    placed = np.log10(np.maximum(scores, scores[scores > 0].min())) if log else scores
    edges = np.histogram_bin_edges(placed, bins) if placed.size else np.linspace(0.0, 1.0, bins + 1)
    weight = np.ones(scores.shape) if weights is None else weights

    def counts(rows: NDArray[np.bool_]) -> tuple[float, ...]:
        return _floats(np.histogram(placed[rows], edges, weights=weight[rows])[0])

    normals = np.ones(scores.shape, bool) if labels is None else ~labels
    return Distribution(
        edges=_floats(10**edges if log else edges),
        normals=counts(normals),
        frauds=None if labels is None else counts(labels),
        log=log,
    )


def _stairs(recall: Floats, precision: Floats) -> tuple[Floats, Floats]:
    """Precision is not linear between two thresholds (Davis and Goadrich, 2006): the recall gained has the
    precision of the lower one.

    The first point, precision 1 without any row, is scikit-learn's convention and left out.
    """
    return np.repeat(recall, 2)[1:-1], np.repeat(precision[1:], 2)


def _thinned(x: Floats, y: Floats, points: int) -> Curve:
    """Returns about `points` points, equally far apart along the curve; every omitted point is at most that
    far from a kept one.
    """
    length = np.concatenate([[0.0], np.cumsum(np.hypot(np.diff(x), np.diff(y)))])
    kept = np.unique(np.searchsorted(length, np.linspace(0, length[-1], points)).clip(max=x.size - 1))
    return Curve(_floats(x[kept]), _floats(y[kept]))


def _floats(values: ArrayLike) -> tuple[float, ...]:
    return tuple(np.asarray(values, np.float64).tolist())
