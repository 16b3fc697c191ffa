"""What the report says in sentences: the findings, a warning, and how each figure was measured."""

import re
from datetime import date

from tasks.core.evaluation_result import Evaluation, Figure, Ranking
from tasks.pages.charts import count, figure, percent, words

NO_LABELS = (
    "There are no labels for these dates, so this page shows what needs none: how the scores "
    "spread, the nights, and what was strangest."
)
METHODS = {
    "auc_roc": (
        "The chance that a fraud, drawn at random, has a higher score than a normal row; a tie "
        "counts half. 0.5 is chance."
    ),
    "average_precision": (
        "The precision at each threshold, averaged with the recall gained there as its weight. A "
        "scorer that knows nothing gets "
        "the share of frauds among the rows."
    ),
    "card_precision_at": (
        "Each day the {k} entities with the highest score are alerted; the share of these {k} that are "
        "compromised, averaged over "
        "days. An entity that was found is left out on later days (Fraud Detection Handbook, 2022). An "
        "entity scores as its highest row."
    ),
    "precision": "The share of flagged rows that are frauds.",
    "recall": "The share of frauds that were flagged.",
    "f1": "The harmonic mean of precision and recall.",
}


def span(evaluation: Evaluation) -> str:
    """The evaluated dates in words."""
    first, last = evaluation.first_date, evaluation.last_date
    return long_date(first) if first == last else f"{long_date(first)} to {long_date(last)}"


def long_date(day: date) -> str:
    """Such as 25 July 2018."""
    return f"{day.day} {day:%B %Y}"


def lead(evaluation: Evaluation) -> str:
    """The evaluation in two sentences."""
    ranking, matrix = evaluation.ranking, evaluation.confusion
    if ranking is None:
        return NO_LABELS
    if not evaluation.positives:
        return "None of these rows is a known fraud, so the figures that need one are not defined."
    best = _best_baseline(ranking)
    against = f", against {figure(best[1])} for the best baseline ({words(best[0])})" if best else ""
    ranked = f"Average precision {figure(_average_precision(ranking))}{against}."
    if not matrix or not matrix.tp + matrix.fp or not matrix.tp + matrix.fn:
        return ranked
    flagged, frauds = matrix.tp + matrix.fp, matrix.tp + matrix.fn
    return (
        f"{ranked} Of the {count(flagged)} rows that were flagged, {percent(matrix.tp / flagged)} are "
        "frauds, "
        f"and of all frauds {percent(matrix.tp / frauds)} were flagged."
    )


def warning(evaluation: Evaluation) -> str | None:
    """What to say of a detector that a baseline equals."""
    ranking = evaluation.ranking
    best, own = (_best_baseline(ranking), _average_precision(ranking)) if ranking else (None, None)
    if best is None or own is None or own > best[1]:
        return None
    return (
        f"The detector does not beat the best baseline ({words(best[0])}) in average precision: "
        "look at its features and its training before relying on it."
    )


def methods(evaluation: Evaluation) -> list[tuple[str, str]]:
    """What each figure on the page means, and how it was made: (term, explanation)."""
    terms = []
    if evaluation.ranking:
        judged = (
            f"Scored rows of {span(evaluation)} whose label was known at the end of "
            f"{long_date(evaluation.as_of)}. "
            f"{count(evaluation.rows_left_out)} rows were left out because their entity was already "
            "known to be compromised on their date."
        )
        weights = (
            "Figures and row counts of frauds and flags use the sample weights."
            if evaluation.weighted
            else ""
        )
        terms += [("Rows judged", f"{judged} {weights}".strip())]
        terms += [(words(name), _method(name)) for name in evaluation.ranking.detector]
        terms += [
            (
                "95% intervals",
                "Percentile bootstrap: the evaluation repeated on entities drawn with replacement, "
                "each with all its rows (on rows, "
                "where there is no entity).",
            ),
            ("Baselines", BASELINES),
        ]
    return [
        *terms,
        ("Threshold", "The score from which rows are flagged, as the night that scored them used it."),
        (
            "p-value",
            "The share of held-out normal rows with a score at least as high; comparable across versions.",
        ),
    ]


BASELINES = (
    "All use the detector's own standardised features and a sample of the rows that it was trained on. "
    "No model is the sum of squares; "
    "the untrained network has the weights that the detector's began with; Mahalanobis is the squared "
    "distance by the sample's covariance "
    "(Ledoit and Wolf, 2004); the PCA residual is what the principal components with at most 90% of "
    "the variance leave over; isolation "
    "forest and local outlier factor are scikit-learn's."
)


def _method(metric: str) -> str:
    """The explanation of a metric; card_precision_at_<k> says its k."""
    k = re.search(r"_(\d+)$", metric)
    return METHODS.get(metric.removesuffix(k[0]) if k else metric, "").replace("{k}", k[1] if k else "")


def _average_precision(ranking: Ranking) -> float | None:
    return ranking.detector.get("average_precision", Figure(None)).value


def _best_baseline(ranking: Ranking) -> tuple[str, float] | None:
    """The baseline with the highest average precision."""
    values = {
        name: figures.get("average_precision", Figure(None)).value
        for name, figures in ranking.baselines.items()
    }
    known = [(value, name) for name, value in values.items() if value is not None]
    return max(known)[::-1] if known else None
