"""The result of an evaluation: the figures that the report page, the JSON and the Prefect artifact show."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import date
from functools import reduce
from operator import add
from typing import Any

from models.evaluation.curves import Curve, Curves, Distribution
from models.evaluation.metrics import Confusion
from models.evaluation.resampling import Figure
from tasks.core.populations import ALL, NEW

__all__ = [
    "AlertLine",
    "Confusion",
    "Counts",
    "Curve",
    "Curves",
    "Distribution",
    "Evaluation",
    "Figure",
    "KindLine",
    "NightLine",
    "Ranking",
]

DETECTOR, WITHOUT = "detector", "without_label_derived"  # the same without the label-derived features
WITHOUT_LABELS = ("auc_roc", "average_precision", "card_precision_at_100", "precision", "recall", "f1")


@dataclass(frozen=True)
class Counts:
    """What a night, or several, flagged of one population of rows, and how much of it was fraud: a row of the
    macro labelled_counts, from which precision and recall are computed everywhere.

    rows, flagged, labelled, positives: scored rows, flagged ones, those whose label is known, and those whose
        label is fraud. alerts: entities with a flagged row, in each night.
    flagged_labelled, frauds_flagged, frauds: flagged rows with a known label, frauds among them, and all
        known frauds; each row counts its sample weight.
    """

    rows: int = 0
    flagged: int = 0
    alerts: int = 0
    labelled: int = 0
    positives: int = 0
    flagged_labelled: float = 0
    frauds_flagged: float = 0
    frauds: float = 0

    def __add__(self, other: "Counts") -> "Counts":
        mine, others = asdict(self), asdict(other)
        return Counts(**{name: mine[name] + others[name] for name in mine})

    @property
    def precision(self) -> float | None:
        """The share of frauds among the flagged rows with a known label; None where there are none."""
        return self.frauds_flagged / self.flagged_labelled if self.flagged_labelled else None

    @property
    def recall(self) -> float | None:
        """The share of the known frauds that were flagged; None where there are none."""
        return self.frauds_flagged / self.frauds if self.frauds else None

    @property
    def f1(self) -> float | None:
        """The harmonic mean of precision and recall; None without a known fraud."""
        return 2 * self.frauds_flagged / (self.flagged_labelled + self.frauds) if self.frauds else None

    def to_json(self, prefix: str = "") -> dict[str, Any]:
        """Returns the counts by the names of the view `daily`; what needs a label is None without one."""
        known = {
            "frauds": self.frauds,
            "flagged_labelled": self.flagged_labelled,
            "frauds_flagged": self.frauds_flagged,
            "precision": self.precision,
            "recall": self.recall,
        }
        names = ("rows", "flagged", "alerts", "labelled", "positives")
        named = {name: getattr(self, name) for name in names}
        named |= known if self.labelled else dict.fromkeys(known)
        return {f"{prefix}{name}": value for name, value in named.items()}


@dataclass(frozen=True)
class Ranking:
    """How well the detector and its baselines find the frauds of the same rows.

    detector: figures by metric name, in the order in which they are shown: auc_roc, average_precision,
        card_precision_at_<k>, precision, recall, f1.
    baselines: the figures of each of models.checks.baselines.BASELINES by metric name. A baseline has no
        threshold, so it has only the ranking metrics.
    differences: by baseline and metric, the detector's value minus the baseline's, with its paired interval;
        so, by the name WITHOUT, that of the detector without the label-derived features.
    """

    detector: Mapping[str, Figure]
    baselines: Mapping[str, Mapping[str, Figure]] = field(default_factory=dict)
    differences: Mapping[str, Mapping[str, Figure]] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Returns the detector's value of each metric by name, with `intervals`, `baselines` and
        `baseline_intervals` beside them; a value is None where the metric is not defined.
        """
        return {
            **_values(self.detector),
            "intervals": _intervals(self.detector),
            "baselines": {name: _values(figures) for name, figures in self.baselines.items()},
            "baseline_intervals": {name: _intervals(figures) for name, figures in self.baselines.items()},
            "differences": {name: _values(figures) for name, figures in self.differences.items()},
            "difference_intervals": {name: _intervals(figures) for name, figures in self.differences.items()},
        }


@dataclass(frozen=True)
class NightLine:
    """One evaluated date.

    date: the partition's date.
    quarantined: number of distinct source rows in quarantine.
    model_version, threshold: what the current run of the date flagged with; the threshold is a score.
    run_id: the current run of the date.
    counts: what was flagged and found by population: `all` rows, and the `new` ones, of entities that were
        not known to be compromised on the date; only `all` without an entity column.
    data_docs, model_card: links to the night's Data Docs page and to the card of its version, relative to the
        report's folder; None if there is none.
    """

    date: date
    quarantined: int
    model_version: str
    threshold: float
    run_id: str
    counts: Mapping[str, Counts]
    data_docs: str | None = None
    model_card: str | None = None

    def to_json(self) -> dict[str, Any]:
        """Returns one flat object, with the counts by the names of the view `daily`."""
        plain = {"date": self.date.isoformat(), "quarantined": self.quarantined, **self.counts[ALL].to_json()}
        if NEW in self.counts:
            plain |= self.counts[NEW].to_json("new_")
        names = ("model_version", "threshold", "run_id", "data_docs", "model_card")
        return plain | {name: getattr(self, name) for name in names}


@dataclass(frozen=True)
class Reason:
    """One feature of a row, as it is stored in `reasons`, private values already masked.

    share: of what speaks for strangeness, 0 to 1; None before format 4. usual: what is usual on the training
    rows, in words; None before format 4, and for pixels.
    """

    feature: str
    observed: str
    expected: str
    share: float | None
    usual: str | None


@dataclass(frozen=True)
class AlertLine:
    """One of the highest scoring entities of the evaluated dates.

    entity: the entity that the alert is about, already masked if its column is private.
    score, p_value: of the entity's highest scoring row.
    reasons: the reasons of that row, the largest share first.
    held_out: the number of rows that the version's p-values come from, so that 1 / (held_out + 1) is the
        lowest; None for versions before format 4.
    is_fraud: the label; None if it is not known.
    flagged_by: known pattern or unknown pattern; None where the list was not shared.
    """

    date: date
    entity: str
    score: float
    p_value: float
    reasons: tuple[Reason, ...]
    held_out: int | None = None
    is_fraud: bool | None = None
    flagged_by: str | None = None


@dataclass(frozen=True)
class KindLine:
    """The frauds of one kind among the evaluated rows.

    kind: None for frauds whose kind is not known. rows: their number. frauds, frauds_flagged: all, and those
    that were flagged; each row counts its sample weight. frauds_known, frauds_unknown: the flagged ones by
    their pattern; None where no evaluated row is on a shared list.
    """

    kind: str | None
    rows: int
    frauds: float
    frauds_flagged: float
    frauds_known: float | None = None
    frauds_unknown: float | None = None

    @property
    def recall(self) -> float | None:
        """The share of them that was flagged; None where they weigh nothing."""
        return self.frauds_flagged / self.frauds if self.frauds else None


@dataclass(frozen=True)
class Evaluation:
    """The evaluated scores of `first_date`..`last_date`, by the labels known at the end of `as_of`.

    dataset: the name in the configuration.
    population: of which rows the figures are measured, unless they say otherwise: `all`, or `new`, those of
        entities that were not known to be compromised.
    rows: number of evaluated rows; without labels, of all scored rows.
    positives: number of frauds among them; None without labels.
    rows_left_out: number of scored rows that are not evaluated because their entity was known to be
        compromised.
    model_versions: the versions that flagged rows, in order of use.
    thresholds: the distinct thresholds that they used, as scores, in order of use.
    config_hashes: the distinct configuration hashes of the runs, in order of use.
    threshold_rule: the threshold strategy and its value, such as "train_quantile 0.99"; None if a run has
        another configuration than the current one.
    nights: one line per evaluated date, in order.
    ranking: figures of the detector and its baselines; None without labels.
    figures: the detector's figures by population; empty without labels.
    without_label_derived: the same for a detector trained without the label-derived features; None if there
        are no such features.
    confusion: number (or weight) of rows by flag and label; None without labels.
    kinds: the frauds of the evaluated rows by kind; empty where no kind is known.
    curves: curves by scorer, `detector` first, then the names of baselines; empty without labels.
    distribution: distribution of the detector's scores, or of -log10 of their p-values where several versions
        flagged rows, since their scores are not comparable; None if there are no scores.
    weighted: whether the figures use sample weights.
    alerts: the highest scoring entities, highest score first.
    notes: sentences for the reader, such as why a metric is not defined.
    """

    dataset: str
    first_date: date
    last_date: date
    as_of: date
    population: str
    rows: int
    positives: int | None
    rows_left_out: int
    model_versions: tuple[str, ...]
    thresholds: tuple[float, ...]
    config_hashes: tuple[str, ...]
    threshold_rule: str | None
    nights: tuple[NightLine, ...]
    ranking: Ranking | None = None
    figures: Mapping[str, Mapping[str, Figure]] = field(default_factory=dict)
    without_label_derived: Ranking | None = None
    confusion: Confusion | None = None
    kinds: tuple[KindLine, ...] = ()
    curves: Mapping[str, Curves] = field(default_factory=dict)
    distribution: Distribution | None = None
    weighted: bool = False
    alerts: tuple[AlertLine, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def counts(self) -> dict[str, Counts]:
        """The sums of the nights by population."""
        populations = [name for name in (ALL, NEW) if all(name in night.counts for night in self.nights)]
        return {
            name: reduce(add, (night.counts[name] for night in self.nights), Counts()) for name in populations
        }

    @property
    def is_pooled(self) -> bool:
        """Whether several versions flagged rows, so that their rows are ranked by p-values."""
        return len(self.model_versions) > 1

    def to_json(self, report: str | None = None) -> dict[str, Any]:
        """Returns the flat object that `nightscore evaluate --json` prints, with plain JSON values.

        Each metric name is a top-level key: `object["auc_roc"]` is the detector's value, or None if it is
        not defined or there are no labels. report: path of the report page.
        """
        ranking = self.ranking or Ranking(dict.fromkeys(WITHOUT_LABELS, Figure(None)))
        return {
            "dataset": self.dataset,
            "first_date": self.first_date.isoformat(),
            "last_date": self.last_date.isoformat(),
            "as_of": self.as_of.isoformat(),
            "population": self.population,
            "rows": self.rows,
            "positives": self.positives,
            "rows_left_out": self.rows_left_out,
            "model_versions": list(self.model_versions),
            "thresholds": list(self.thresholds),
            **ranking.to_json(),
            "populations": {
                name: counts.to_json() | _figures(self.figures.get(name, {}))
                for name, counts in self.counts.items()
            },
            "confusion": _whole_counts(self.confusion) if self.confusion else None,
            "kinds": [asdict(line) | {"recall": line.recall} for line in self.kinds],
            "without_label_derived": self.without_label_derived.to_json()
            if self.without_label_derived
            else None,
            "nights": [night.to_json() for night in self.nights],
            "alerts": [
                asdict(alert)
                | {"date": alert.date.isoformat(), "reasons": [asdict(reason) for reason in alert.reasons]}
                for alert in self.alerts
            ],
            "weighted": self.weighted,
            "notes": list(self.notes),
            "report": report,
        }


def _values(figures: Mapping[str, Figure]) -> dict[str, float | None]:
    return {name: figure.value for name, figure in figures.items()}


def _figures(figures: Mapping[str, Figure]) -> dict[str, Any]:
    return {**_values(figures), "intervals": _intervals(figures)} if figures else {}


def _intervals(figures: Mapping[str, Figure]) -> dict[str, list[float] | None]:
    """Returns the lower and upper bound of each metric's 95% interval; None where there is no interval."""
    return {
        name: None if figure.low is None or figure.high is None else [figure.low, figure.high]
        for name, figure in figures.items()
    }


def _whole_counts(confusion: Confusion) -> dict[str, float]:
    """Returns the counts as integers where they are whole; only sample weights make fractions."""
    return {name: int(rows) if rows == int(rows) else rows for name, rows in asdict(confusion).items()}
