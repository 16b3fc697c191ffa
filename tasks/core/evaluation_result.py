"""What an evaluation found: the figures that the page, the JSON and the Prefect artifact all show."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import date
from typing import Any

from models.evaluation.curves import Curve, Curves, Distribution
from models.evaluation.metrics import Confusion, Figure

__all__ = [
    "AlertLine",
    "Confusion",
    "Curve",
    "Curves",
    "Distribution",
    "Evaluation",
    "Figure",
    "NightLine",
    "Ranking",
]

DETECTOR = "detector"
WITHOUT_LABELS = ("auc_roc", "average_precision", "card_precision_at_100", "precision", "recall", "f1")


@dataclass(frozen=True)
class Ranking:
    """How well the detector and its baselines find the frauds of the same rows.

    detector: figures by metric name, in the order in which they are shown: auc_roc, average_precision,
        card_precision_at_<k>, precision, recall, f1.
    baselines: the figures of each of models.checks.baselines.BASELINES by metric name. A baseline has no
        threshold, so it has only the ranking metrics.
    """

    detector: Mapping[str, Figure]
    baselines: Mapping[str, Mapping[str, Figure]] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Metric name to the detector's value, and its intervals and the baselines' values and intervals
        beside them.
        """
        return {
            **_values(self.detector),
            "intervals": _intervals(self.detector),
            "baselines": {name: _values(figures) for name, figures in self.baselines.items()},
            "baseline_intervals": {name: _intervals(figures) for name, figures in self.baselines.items()},
        }


@dataclass(frozen=True)
class NightLine:
    """One evaluated date.

    date: the partition's date.
    rows: rows that were scored, known compromised entities included.
    quarantined: distinct source rows that were quarantined.
    flagged: scored rows that were flagged.
    model_version, threshold: what the current run of the date flagged with; threshold is a score.
    precision, recall: of the flags of this date, on the rows that are judged; None where not defined or
    without labels.
    frauds: known frauds among the judged rows (their weight, where there are weights); None without labels.
    data_docs: link to the night's Data Docs page, relative to the folder of the report; None where there is
    none.
    """

    date: date
    rows: int
    quarantined: int
    flagged: int
    model_version: str
    threshold: float
    precision: float | None = None
    recall: float | None = None
    frauds: float | None = None
    data_docs: str | None = None


@dataclass(frozen=True)
class AlertLine:
    """One of the strangest entities of the evaluated dates.

    entity: who the alert is about, already masked where its column is private.
    score, p_value: of the entity's highest row.
    reasons: the reasons of that row in words, the largest share first, private values already masked.
    is_fraud: what the label says; None where it is not known.
    """

    date: date
    entity: str
    score: float
    p_value: float
    reasons: tuple[str, ...]
    is_fraud: bool | None = None


@dataclass(frozen=True)
class Evaluation:
    """The scores of the dates `first_date`..`last_date`, judged with the labels known at the end of `as_of`.

    dataset: the configuration's name.
    rows: judged rows (all scored rows, where there are no labels).
    positives: frauds among them; None without labels.
    rows_left_out: scored rows that were not judged because their entity was known to be compromised.
    model_versions: the versions that flagged, in order of use.
    thresholds: the distinct thresholds that they flagged with, in order of use (scores).
    nights: one line per evaluated date, in order.
    ranking: figures of the detector and its baselines; None without labels.
    without_label_derived: the same for a detector trained without the label-derived features; None where
    there are none.
    confusion: rows by verdict and label; None without labels.
    curves: curves by scorer, `detector` first, then the names of baselines; empty without labels.
    distribution: how the detector's scores spread; None where there are no scores.
    weighted: whether the figures use sample weights.
    alerts: the strangest entities, highest score first.
    notes: whole sentences on what the reader must know, such as a metric that is not defined, and why.
    """

    dataset: str
    first_date: date
    last_date: date
    as_of: date
    rows: int
    positives: int | None
    rows_left_out: int
    model_versions: tuple[str, ...]
    thresholds: tuple[float, ...]
    nights: tuple[NightLine, ...]
    ranking: Ranking | None = None
    without_label_derived: Ranking | None = None
    confusion: Confusion | None = None
    curves: Mapping[str, Curves] = field(default_factory=dict)
    distribution: Distribution | None = None
    weighted: bool = False
    alerts: tuple[AlertLine, ...] = ()
    notes: tuple[str, ...] = ()

    def to_json(self, report: str | None = None) -> dict[str, Any]:
        """The flat object that `nightscore evaluate --json` prints: plain JSON values, None where a figure is
        not defined.

        report: where the page is. Metric names are keys of their own, so that `object["auc_roc"]` is the
        detector's figure; without labels they are None.
        """
        ranking = self.ranking or Ranking(dict.fromkeys(WITHOUT_LABELS, Figure(None)))
        return {
            "dataset": self.dataset,
            "first_date": self.first_date.isoformat(),
            "last_date": self.last_date.isoformat(),
            "as_of": self.as_of.isoformat(),
            "rows": self.rows,
            "positives": self.positives,
            "rows_left_out": self.rows_left_out,
            "model_versions": list(self.model_versions),
            "thresholds": list(self.thresholds),
            **ranking.to_json(),
            "confusion": _counts(self.confusion) if self.confusion else None,
            "without_label_derived": self.without_label_derived.to_json()
            if self.without_label_derived
            else None,
            "nights": [asdict(night) | {"date": night.date.isoformat()} for night in self.nights],
            "alerts": [
                asdict(alert) | {"date": alert.date.isoformat(), "reasons": list(alert.reasons)}
                for alert in self.alerts
            ],
            "weighted": self.weighted,
            "notes": list(self.notes),
            "report": report,
        }


def _values(figures: Mapping[str, Figure]) -> dict[str, float | None]:
    return {name: figure.value for name, figure in figures.items()}


def _intervals(figures: Mapping[str, Figure]) -> dict[str, list[float] | None]:
    """The bounds of the 95% interval by metric name."""
    return {
        name: None if figure.low is None or figure.high is None else [figure.low, figure.high]
        for name, figure in figures.items()
    }


def _counts(confusion: Confusion) -> dict[str, float]:
    """Whole numbers where they are whole: only weights make others."""
    return {name: int(rows) if rows == int(rows) else rows for name, rows in asdict(confusion).items()}
