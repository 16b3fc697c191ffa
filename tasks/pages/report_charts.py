"""The charts of an evaluation for the SVG macros."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from tasks.core.evaluation_result import DETECTOR, Curve, Distribution, Evaluation, Figure, Ranking
from tasks.pages.charts import (
    Bar,
    Chart,
    Dots,
    Mark,
    Series,
    axis,
    count,
    figure,
    log_axis,
    score,
    steps,
    words,
)

STYLES = ("second", "third", "fourth", "fifth", "sixth", "seventh", "eighth")


def scorers(ranking: Ranking) -> Iterator[tuple[str, Mapping[str, Figure]]]:
    """Yields the detector and then its baselines, with their figures."""
    yield DETECTOR, ranking.detector
    yield from ranking.baselines.items()


def between(values: Sequence[float]) -> str:
    """Returns the threshold, or the lowest and the highest of several, as text."""
    return " to ".join(dict.fromkeys(score(value) for value in (min(values), max(values)))) if values else "–"


def dots(metric: str, ranking: Ranking) -> Dots:
    """Returns one metric of the detector and its baselines, with intervals."""
    bars = tuple(
        Bar(words(name), _style(ranking, name), found.value, found.low, found.high)
        for name, figures in scorers(ranking)
        for found in [figures.get(metric, Figure(None))]
    )
    values = [value for bar in bars for value in (bar.value, bar.low, bar.high) if value is not None]
    least = min([0.5, *values]) if metric == "auc_roc" else 0.0
    scale = axis("", least, 1.0 if metric == "auc_roc" else max(values, default=1.0) * 1.04 or 1.0, steps=3)
    return Dots(
        words(metric), f"{words(metric)} of the detector and its baselines, with 95% intervals", scale, bars
    )


def curves(evaluation: Evaluation) -> list[Chart]:
    """Returns the precision-recall and ROC curves, with the line of a random scorer; empty without labels."""
    ranking, matrix = evaluation.ranking, evaluation.confusion
    if not ranking or not evaluation.curves:
        return []
    prevalence = (matrix.tp + matrix.fn) / (matrix.tp + matrix.fp + matrix.fn + matrix.tn) if matrix else 0.0
    found = [
        _line(ranking, name, both.precision_recall, "average_precision")
        for name, both in evaluation.curves.items()
    ]
    found.append(Series("Chance", "chance", ((0, prevalence), (1, prevalence)), figure(prevalence)))
    rates = [_line(ranking, name, both.roc, "auc_roc") for name, both in evaluation.curves.items()]
    rates.append(Series("Chance", "chance", ((0, 0), (1, 1)), figure(0.5)))
    title, text = "Precision and recall (average precision)", "Precision against recall, one curve per scorer"
    roc_title, roc_text = (
        "ROC (area under the curve)",
        "True against false positive rate, one curve per scorer",
    )
    return [
        Chart(title, text, axis("Recall", 0, 1), axis("Precision", 0, 1), tuple(found)),
        Chart(
            roc_title,
            roc_text,
            axis("False positive rate", 0, 1),
            axis("True positive rate (recall)", 0, 1),
            tuple(rates),
        ),
    ]


def spread(
    scores: Distribution, thresholds: Sequence[float], others: str = "", label: str = "Score"
) -> Chart:
    """Returns the distribution of the scores, each class as shares of itself, because the frauds are far too
    few to be visible beside the normal rows.

    thresholds: scores to be marked. others: the name of the rows that are not known frauds; by default Normal
    rows, or All rows without labels.
    """
    place = np.log10 if scores.log else np.asarray
    edges = place(np.asarray(scores.edges)).tolist()
    others = others or ("Normal rows" if scores.frauds else "All rows")
    groups = [("Frauds", "second", scores.frauds), (others, "main", scores.normals)]
    series = tuple(
        Series(
            name, style, steps(edges, (np.asarray(rows) / sum(rows)).tolist()), count(sum(rows)), area=True
        )
        for name, style, rows in groups
        if rows and sum(rows)
    )
    marks = sorted({float(place(np.float64(value))) for value in thresholds if value > 0 or not scores.log})
    low, high = min([edges[0], *marks]), max([edges[-1], *marks])
    name = f"{'threshold' if len(marks) == 1 else 'thresholds'} {between(thresholds)}"
    label = f"{label}, logarithmic" if scores.log else label
    return Chart(
        "Distribution of the scores",
        "Histogram of the scores, each class as a share of itself, with the threshold",
        log_axis(label, low, high) if scores.log else axis(label, low, high, steps=6),
        axis(
            "Share of its class" if scores.frauds else "Share of the rows",
            0.0,
            max([height for one in series for _, height in one.points], default=1.0) * 1.08,
            steps=4,
        ),
        series,
        tuple(Mark(at, name if at == marks[-1] else "") for at in sorted({*marks[:1], *marks[-1:]})),
    )


def _line(ranking: Ranking, name: str, curve: Curve, metric: str) -> Series:
    found = dict(scorers(ranking)).get(name, {}).get(metric, Figure(None))
    return Series(
        words(name),
        _style(ranking, name),
        tuple(zip(curve.x, curve.y, strict=True)),
        note=figure(found.value),
    )


def _style(ranking: Ranking, name: str) -> str:
    """Returns the style of a scorer, the same in every chart."""
    order = [*ranking.baselines, name]
    return "main" if name == DETECTOR else STYLES[order.index(name) % len(STYLES)]
