"""The figures of a detector and of its baselines, from an evaluation of nights."""

from collections.abc import Sequence
from dataclasses import astuple

import numpy as np

from tasks.core.evaluation_result import DETECTOR, Confusion, Curve, Evaluation, Figure
from tasks.evaluation.baseline_scores import WITHOUT_HEAD

PRECISION = 0.60  # recall is told at this precision

Figures = dict[str, Figure]


def figures_of(judged: Evaluation) -> dict[str, Figures]:
    """Every figure of the detector (DETECTOR), of each baseline, and of the networks alone (WITHOUT_HEAD), by
    name: a version without a head has its own there.
    """
    assert judged.ranking is not None
    assert judged.confusion is not None
    own = judged.confusion
    frauds, flags = own.tp + own.fn, own.tp + own.fp
    found = {}
    for name, ranked in {DETECTOR: judged.ranking.detector, **judged.ranking.baselines}.items():
        counts = (
            own if name == DETECTOR else confusion_at(judged.curves[name].roc, frauds, own.fp + own.tn, flags)
        )
        at_precision = Figure(recall_at_precision(judged.curves[name].precision_recall, PRECISION))
        found[name] = {**verdicts(counts), f"recall_at_precision_{PRECISION:.2f}": at_precision, **ranked}
    found.setdefault(WITHOUT_HEAD, found[DETECTOR])
    return found


def confusion_at(roc: Curve, frauds: float, normals: float, flags: float) -> Confusion:
    """The confusion matrix of the `flags` highest rows; of rows with equal scores an equal share is
    flagged.
    """
    true_rate = float(np.interp(flags, np.array(roc.x) * normals + np.array(roc.y) * frauds, roc.y))
    tp = true_rate * frauds
    return Confusion(tp=tp, fp=flags - tp, fn=frauds - tp, tn=normals - flags + tp)


def verdicts(counts: Confusion) -> Figures:
    """Precision, recall, F1 and accuracy from a confusion matrix with frauds and flags in it."""
    rows = counts.tp + counts.fp + counts.fn + counts.tn
    return {
        "precision": Figure(counts.tp / (counts.tp + counts.fp)),
        "recall": Figure(counts.tp / (counts.tp + counts.fn)),
        "f1": Figure(2 * counts.tp / (2 * counts.tp + counts.fp + counts.fn)),
        "accuracy": Figure((counts.tp + counts.tn) / rows),
    }


def recall_at_precision(curve: Curve, precision: float) -> float:
    """The highest recall of a precision-recall curve at this precision or a higher one; 0 where it is never
    reached.
    """
    return max(
        (recall for recall, reached in zip(curve.x, curve.y, strict=True) if reached >= precision),
        default=0.0,
    )


def mean(windows: Sequence[dict[str, Figures]]) -> dict[str, Figures]:
    """The mean of every figure over the windows; one window keeps its intervals, and of several there are
    none.
    """
    if len(windows) == 1:
        return windows[0]
    return {
        name: {metric: Figure(figure.value) for metric, figure in figures.items()}
        for name, figures in mean_over_seeds(windows).items()
    }


def mean_over_seeds(found: Sequence[dict[str, Figures]]) -> dict[str, Figures]:
    """The mean of every figure, and of each bound of its interval, over trainings with several seeds."""
    first = found[0]
    return {
        name: {metric: _mean_figure([each[name][metric] for each in found]) for metric in first[name]}
        for name in first
    }


def spread(values: Sequence[float | None]) -> float | None:
    """The standard deviation of a figure over random seeds; None of one seed, or where it is not defined."""
    known = [value for value in values if value is not None]
    return float(np.std(known)) if len(known) == len(values) > 1 else None


def _mean_figure(figures: Sequence[Figure]) -> Figure:
    """None where one of them is not defined."""
    parts = zip(*map(astuple, figures), strict=True)
    return Figure(*(None if None in part else sum(part) / len(part) for part in parts))
