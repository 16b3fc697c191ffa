"""The texts of the report: the findings, a warning, and how each figure was measured."""

import re
from datetime import date

from tasks.core.evaluation_result import Evaluation, Figure, Ranking
from tasks.pages.charts import count, figure, percent, words

NO_LABELS = (
    "There are no labels for these dates, so this page shows only what needs none: the distribution of the "
    "scores, the nights, and the highest scores."
)
METHODS = {
    "auc_roc": (
        "The probability that a random fraud has a higher score than a random normal row; a tie counts "
        "half. 0.5 is chance."
    ),
    "average_precision": (
        "The mean of the precision at each threshold, weighted by the recall gained there. A random scorer "
        "gets the share of frauds among the rows."
    ),
    "card_precision_at": (
        "Each day, alerts are raised for the {k} entities with the highest scores; this is the share of "
        "these {k} that are compromised, averaged over the days. An entity that was found is left out on "
        "later days (Fraud Detection Handbook, 2022). The score of an entity is that of its highest row."
    ),
    "precision": "The share of flagged rows that are frauds.",
    "recall": "The share of frauds that were flagged.",
    "f1": "The harmonic mean of precision and recall.",
}


def span(evaluation: Evaluation) -> str:
    """Returns the evaluated dates in words."""
    first, last = evaluation.first_date, evaluation.last_date
    return long_date(first) if first == last else f"{long_date(first)} to {long_date(last)}"


def long_date(day: date) -> str:
    """Returns a date such as 25 July 2018."""
    return f"{day.day} {day:%B %Y}"


def lead(evaluation: Evaluation) -> str:
    """Returns the findings in two sentences."""
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
        f"{ranked} Of the {count(flagged)} flagged rows, {percent(matrix.tp / flagged)} are frauds; of all "
        f"frauds, {percent(matrix.tp / frauds)} were flagged."
    )


def warning(evaluation: Evaluation) -> str | None:
    """Returns a warning if the detector does not beat the best baseline; otherwise None."""
    ranking = evaluation.ranking
    best, own = (_best_baseline(ranking), _average_precision(ranking)) if ranking else (None, None)
    if best is None or own is None or own > best[1]:
        return None
    return (
        f"The detector does not beat the best baseline ({words(best[0])}) in average precision: "
        "check its features and its training before you rely on it."
    )


def methods(evaluation: Evaluation) -> list[tuple[str, str]]:
    """Returns what each figure on the page means, and how it was measured: (term, explanation)."""
    terms = []
    if evaluation.ranking:
        rows = (
            f"Scored rows of {span(evaluation)} whose label was known at the end of "
            f"{long_date(evaluation.as_of)}. {count(evaluation.rows_left_out)} rows were left out because "
            "their entity was already known to be compromised on their date."
        )
        weights = (
            " The figures, and the counts of frauds and flagged rows, use the sample weights."
            if evaluation.weighted
            else ""
        )
        terms += [("Rows evaluated", rows + weights)]
        terms += [(words(name), _method(name)) for name in evaluation.ranking.detector]
        terms += [
            (
                "95% intervals",
                "Percentile bootstrap: the evaluation is repeated on entities drawn with replacement, each "
                "with all its rows (on rows, if there is no entity).",
            ),
            ("Baselines", BASELINES),
        ]
    return [
        *terms,
        ("Threshold", "Rows with at least this score were flagged by the night that scored them."),
        (
            "p-value",
            "The share of held-out normal rows with a score at least as high; comparable across versions.",
        ),
    ]


BASELINES = (
    "All use the detector's standardised features and a sample of its training rows. No model is the sum of "
    "squares; the untrained network has the detector's initial weights; Mahalanobis is the squared distance "
    "under the sample's covariance (Ledoit and Wolf, 2004); the PCA residual is what the principal "
    "components with at most 90% of the variance do not explain; isolation forest and local outlier factor "
    "are those of scikit-learn."
)


def _method(metric: str) -> str:
    """Returns the explanation of a metric, with the k of card_precision_at_<k>."""
    k = re.search(r"_(\d+)$", metric)
    return METHODS.get(metric.removesuffix(k[0]) if k else metric, "").replace("{k}", k[1] if k else "")


def _average_precision(ranking: Ranking) -> float | None:
    return ranking.detector.get("average_precision", Figure(None)).value


def _best_baseline(ranking: Ranking) -> tuple[str, float] | None:
    """Returns the baseline with the highest average precision; None if there is none."""
    values = {
        name: figures.get("average_precision", Figure(None)).value
        for name, figures in ranking.baselines.items()
    }
    known = [(value, name) for name, value in values.items() if value is not None]
    return max(known)[::-1] if known else None
