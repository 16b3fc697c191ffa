"""The texts of the report: the findings, a warning, and how each figure was measured."""

import re
from datetime import date

from tasks.core.evaluation_result import WITHOUT, Counts, Evaluation, Figure, Ranking
from tasks.core.populations import ALL, NEW
from tasks.pages.charts import count, figure, words

BETTER, ALIKE = "better", "not distinguishable"
POPULATIONS = {ALL: "All entities", NEW: "Not known to be compromised"}

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
    "precision": "Frauds among the flagged rows / flagged rows with a known label.",
    "recall": "Frauds among the flagged rows / all known frauds.",
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
    """Returns the findings: alerts a night, how many of them were frauds, and how many frauds were missed."""
    if evaluation.ranking is None and not evaluation.figures:
        return NO_LABELS
    counts = evaluation.counts
    everyone, nights = counts[ALL], len(evaluation.nights)
    alerts = (
        f"{everyone.alerts / nights:,.1f} alerts a night" if nights > 1 else f"{everyone.alerts:,} alerts"
    )
    found = f"{alerts}, {count(everyone.flagged)} flagged rows in all: {_found(everyone)}."
    if NEW in counts and counts[NEW] != everyone:
        found += f" Without the entities that were known to be compromised: {_found(counts[NEW])}."
    return found


def _found(counts: Counts) -> str:
    known = (
        f"of the {count(counts.flagged_labelled)} flagged rows with a known label, "
        f"{count(counts.frauds_flagged)} {_were(counts.frauds_flagged)}"
        if counts.flagged_labelled
        else "no flagged row has a known label"
    )
    missed = (
        f"{count(counts.frauds - counts.frauds_flagged)} of {count(counts.frauds)} frauds were missed"
        if counts.frauds
        else "no fraud is known, so the figures that need one are not defined"
    )
    return f"{known}; {missed}"


def _were(frauds: float) -> str:
    return "was a fraud" if frauds == 1 else "were frauds"


def warning(evaluation: Evaluation) -> str | None:
    """Returns in which figures a baseline is as good as the detector, or better; None if there is none."""
    if evaluation.ranking is None:
        return None
    found = [text for metric in evaluation.ranking.detector if (text := _as_good(evaluation.ranking, metric))]
    return f"The detector is not better than every baseline: {'; '.join(found)}." if found else None


def kinds_of(evaluation: Evaluation) -> str:
    """Returns of which rows the recall by kind is, in words."""
    weights = "; each row counts its sample weight" if evaluation.weighted else ""
    shared = any(line.frauds_known is not None for line in evaluation.kinds)
    orders = ", and by which order of a shared list" if shared else ""
    whose = "of all entities" if evaluation.population == ALL else "of entities not known to be compromised"
    return (
        f"The {count(evaluation.positives)} frauds among the {count(evaluation.rows)} evaluated rows, those "
        f"{whose}, by the kind that a label names: how many of them were flagged{orders}{weights}."
    )


def with_and_without(evaluation: Evaluation) -> str | None:
    """Returns in which figures the detector is better with the label-derived features; None where nothing is
    compared.
    """
    ranking = evaluation.ranking
    differences = ranking.differences.get(WITHOUT, {}) if ranking else {}
    states = {
        name: standing(ranking, WITHOUT, name)
        for name, difference in differences.items()
        if ranking and difference.value is not None
    }
    texts = {None: "better with them", ALIKE: ALIKE, BETTER: "better without them"}
    found = [f"{words(name)} is {texts[state]}" for name, state in states.items()]
    return f"{'; '.join(found)}." if found else None


def _as_good(ranking: Ranking, metric: str) -> str | None:
    """Returns which baselines are as good in one metric, or better; None if there is none."""
    by_standing: dict[str | None, list[str]] = {}
    for name, figures in ranking.baselines.items():
        text = f"{words(name)} ({figure(figures.get(metric, Figure(None)).value)})"
        by_standing.setdefault(standing(ranking, name, metric), []).append(text)
    texts = [
        f"{wording} {', '.join(by_standing[state])}"
        for state, wording in ((BETTER, "below"), (ALIKE, f"{ALIKE} from"))
        if state in by_standing
    ]
    own = ranking.detector[metric].value
    return f"{words(metric)} {figure(own)} is {' and '.join(texts)}" if texts else None


def standing(ranking: Ranking, baseline: str, metric: str) -> str | None:
    """Returns how a baseline compares with the detector in a metric: BETTER, ALIKE where the 95% interval of
    their paired difference holds 0, or None where it is worse or nothing is known.
    """
    difference = ranking.differences.get(baseline, {}).get(metric, Figure(None))
    if difference.value is None:
        return None
    low, high = difference.low, difference.high
    if low is None or high is None:
        low = high = difference.value
    if high < 0:
        return BETTER
    return ALIKE if low <= 0 else None


def methods(evaluation: Evaluation) -> list[tuple[str, str]]:
    """Returns what each figure on the page means, and how it was measured: (term, explanation)."""
    terms = []
    if evaluation.ranking:
        left_out = (
            f" {count(evaluation.rows_left_out)} rows were left out because their entity was known to be "
            "compromised on their date."
            if evaluation.population == NEW
            else ""
        )
        rows = (
            f"Scored rows of {span(evaluation)} whose label was known at the end of "
            f"{long_date(evaluation.as_of)}.{left_out}"
        )
        weights = (
            " The figures, and the counts of frauds and flagged rows, use the sample weights."
            if evaluation.weighted
            else ""
        )
        terms += [("Rows evaluated", rows + weights)]
        terms += [("Known to be compromised", COMPROMISED)] * (NEW in evaluation.counts)
        terms += [("Several versions", POOLED)] * evaluation.is_pooled
        terms += [(words(name), _method(name)) for name in evaluation.ranking.detector]
        terms += [
            (
                "95% intervals",
                "Percentile bootstrap: the evaluation is repeated on entities drawn with replacement, each "
                "with all its rows (on rows, if there is no entity). The counts of the nights have none: a "
                "single night has too few frauds.",
            ),
            (
                "Not distinguishable",
                "The 95% interval of the difference between the detector and the baseline, or the detector "
                "without the label-derived features, on the same draws, holds 0.",
            ),
            ("Baselines", BASELINES),
        ]
    return [
        *terms,
        (
            "Threshold",
            "Rows with at least this score were flagged by the night that scored them; with a reserve in the "
            "threshold rule, so were rows that the networks alone, without the head, find strangest.",
        ),
        (
            "p-value",
            "The share of held-out normal rows with a score at least as high; comparable across versions.",
        ),
    ]


COMPROMISED = (
    "On a date, an entity with a fraud that is dated between the first day of the training window of the "
    "version that scored the date and label_delay_days + 1 days before the date, by the labels known at the "
    "end of the day before. It is stored with the night, in the table compromised."
)
POOLED = (
    "Several versions flagged rows, and their scores are not comparable. Rows are ranked by their p-values, "
    "and those with the same p-value by their place among the rows of their version; baselines, which have "
    "no p-values, by that place alone."
)
BASELINES = (
    "All use the detector's standardised features and a sample of its training rows. No model is the sum of "
    "squares; the untrained network has the detector's initial weights; Mahalanobis is the squared distance "
    "under the sample's covariance (Ledoit and Wolf, 2004); the PCA residual is what the principal "
    "components with at most 90% of the variance do not explain; nearest neighbours is the mean distance "
    "from the ten nearest of at most 4,096 rows; isolation forest and local outlier factor are those of "
    "scikit-learn."
)


def _method(metric: str) -> str:
    """Returns the explanation of a metric, with the k of card_precision_at_<k>."""
    k = re.search(r"_(\d+)$", metric)
    return METHODS.get(metric.removesuffix(k[0]) if k else metric, "").replace("{k}", k[1] if k else "")
