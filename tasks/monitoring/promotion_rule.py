"""What the rule of [challenger] says of rows that champion and challenger have both scored."""

from dataclasses import dataclass
from datetime import date

import polars as pl

from models.evaluation.comparison import agreement, paired_difference
from models.evaluation.labelled_rows import LabelledRows
from models.evaluation.metrics import metrics
from tasks.monitoring.settings import ChallengerSettings


@dataclass(frozen=True)
class PromotionDecision:
    """The rule's verdict with its figures, in the columns of the table `decisions`; those of the other rule
    are None.

    rule: labels | agreement. rows: compared rows. frauds: known frauds among them. promotable: whether the
    challenger may be champion.
    """

    rule: str
    rows: int
    frauds: int
    promotable: bool
    why: str
    metric: str | None = None
    champion_value: float | None = None
    challenger_value: float | None = None
    difference: float | None = None
    low: float | None = None
    high: float | None = None
    overlap: float | None = None
    shift: float | None = None


@dataclass(frozen=True)
class Decision:
    """A row of the table `decisions`: made after the night of `as_of`, on `dates` dates of
    first_date..last_date.
    """

    version: str
    champion: str
    as_of: date
    first_date: date
    last_date: date
    dates: int
    outcome: PromotionDecision
    promoted: bool


def apply_rule(rows: pl.DataFrame, rule: ChallengerSettings, *, has_entities: bool) -> PromotionDecision:
    """The verdict on the rows of `sql/monitoring/list_shared_scores.sql`.

    It is by their labels where enough frauds are known, else by agreement.
    """
    labelled = rows.filter(pl.col("label").is_not_null())
    frauds = int(labelled["label"].sum())
    by_labels = _by_labels(labelled, frauds, rule, has_entities) if frauds >= rule.least_frauds else None
    return by_labels or _by_agreement(rows, frauds, rule)


def _by_labels(
    rows: pl.DataFrame, frauds: int, rule: ChallengerSettings, has_entities: bool
) -> PromotionDecision | None:
    champion, challenger = (labelled_rows(rows, who, has_entities) for who in ("champion", "challenger"))
    found = paired_difference(champion, challenger, metrics()[rule.metric], rule.confidence)
    if found is None:
        return None
    promotable = found.low >= -rule.tolerance
    figures = (
        f"{found.challenger:.3f} against {found.champion:.3f}, {rule.confidence:g} interval "
        f"{found.low:+.3f}..{found.high:+.3f}"
    )
    bound = f"its lower bound is {'not ' if promotable else ''}below {-rule.tolerance:g}"
    return PromotionDecision(
        rule="labels",
        rows=rows.height,
        frauds=frauds,
        promotable=promotable,
        why=(
            f"{rule.metric} on {rows.height:,} rows with {frauds:,} frauds: {figures} of the difference; "
            f"{bound}"
        ),
        metric=rule.metric,
        champion_value=found.champion,
        challenger_value=found.challenger,
        difference=found.value,
        low=found.low,
        high=found.high,
    )


def _by_agreement(rows: pl.DataFrame, frauds: int, rule: ChallengerSettings) -> PromotionDecision:
    p_values = (rows[f"{who}_p_value"].to_numpy() for who in ("champion", "challenger"))
    found = agreement(_alerts(rows, "champion"), _alerts(rows, "challenger"), *p_values)
    promotable = found.overlap >= rule.least_overlap and found.shift <= rule.most_shift
    return PromotionDecision(
        rule="agreement",
        rows=rows.height,
        frauds=frauds,
        promotable=promotable,
        why=f"{frauds:,} frauds are known in {rows.height:,} rows, too few to compare by; "
        f"{found.overlap:.2f} of the alerts are shared "
        f"(least_overlap {rule.least_overlap:g}), and the p-values differ by {found.shift:.3f} "
        f"(most_shift {rule.most_shift:g})",
        overlap=found.overlap,
        shift=found.shift,
    )


def _alerts(rows: pl.DataFrame, who: str) -> set[tuple[object, ...]]:
    flagged = rows.filter(pl.col(f"{who}_flagged"))
    return set(flagged.select("partition_date", pl.coalesce("entity", "id")).rows())


def labelled_rows(rows: pl.DataFrame, who: str, has_entities: bool) -> LabelledRows:
    """Returns rows with a label as `who` has scored them: the champion or the challenger."""
    return LabelledRows(
        dates=rows["partition_date"].to_numpy(),
        entities=rows["entity"].fill_null(rows["id"]).to_numpy() if has_entities else None,
        labels=rows["label"].to_numpy(),
        scores=rows[f"{who}_score"].cast(pl.Float64).to_numpy(),
        flagged=rows[f"{who}_flagged"].to_numpy(),
        weights=rows["weight"].to_numpy(),
    )
