"""What a date looked like at an instant: the flags of the run that was current then, beside what its
champion would have flagged.
"""

from dataclasses import dataclass, replace
from datetime import date, datetime
from pathlib import Path

import polars as pl

from models.errors import ModelError
from tasks.core.dataset import Dataset
from tasks.core.errors import EvaluationError, FeatureError, PartitionRejected, SourceError
from tasks.core.forgotten import is_forgotten
from tasks.core.references import Features, ScoringModels, Version
from tasks.evaluation.baseline_scores import require_unchanged, stored_features
from tasks.evaluation.replay_text import moment, reasons, words
from tasks.evaluation.snapshot import PastChampion, Snapshot, read_snapshot
from tasks.features.build import build_features
from tasks.scoring.score import score_day
from tasks.source.ingest import read_partition
from tasks.warehouse.connection import Warehouse

COLUMNS = ("id", "entity", "score", "p_value", "is_flagged")
CANNOT = (EvaluationError, SourceError, PartitionRejected, FeatureError, ModelError)


@dataclass(frozen=True)
class ReplaySide:
    """What one of the two flagged; what is unknown is None.

    run_id: of a stored run. rule: strategy and value of the threshold. rows: scored ones. flagged: of them.
    frauds: of these the known ones. missing: why there are no rows to compare; None where there are.
    """

    run_id: str | None = None
    version: str | None = None
    rule: str | None = None
    threshold: float | None = None
    rows: int | None = None
    flagged: int | None = None
    frauds: int | None = None
    missing: str | None = None


@dataclass(frozen=True)
class Difference:
    """A row that one of the two flagged and the other did not; None where it is not among the rows of that
    one.
    """

    id: str
    entity: str | None
    stored_flag: bool | None
    computed_flag: bool | None
    stored_score: float | None
    computed_score: float | None


@dataclass(frozen=True)
class Replay:
    """A date at an instant.

    known_frauds: by the labels that were recorded by then; None where none of the date was. differences: most
    strange first.
    why: what sets the two apart, in sentences; empty where nothing does, or one of them is missing.
    """

    date: date
    as_of: datetime
    stored: ReplaySide
    computed: ReplaySide
    known_frauds: int | None
    differences: tuple[Difference, ...]
    why: tuple[str, ...]


def replay(dataset: Dataset, warehouse: Warehouse, day: date, as_of: datetime, staging: Path) -> Replay:
    """Both sides of a date at the instant `as_of`; where one cannot be had, it says why.

    Stored are the rows of the run that was current then; computed is what the champion of that time gives,
    with the threshold rule of that time, on the features of the source as it is now. Raises WarehouseMissing
    where nothing of the dataset was ever written.
    """
    known = read_snapshot(warehouse, day, as_of)
    stored, (computed, scored) = _stored(known), _computed(dataset, warehouse, known, staging)
    both = stored.missing is None and computed.missing is None
    differences = _differences(known.rows, scored) if both else ()
    return Replay(
        date=day,
        as_of=as_of,
        stored=stored,
        computed=computed,
        known_frauds=int(known.labels["label"].sum()) if known.labels.height else None,
        differences=differences,
        why=tuple(reasons(known, dataset, stored.threshold != computed.threshold, bool(differences)))
        if both
        else (),
    )


def _stored(known: Snapshot) -> ReplaySide:
    run = known.run
    if run is None:
        later = f"; the first was at {moment(known.first_commit)}" if known.first_commit else ""
        return ReplaySide(missing=f"no run of {known.date} was committed by {moment(known.as_of)}{later}")
    flags = ReplaySide(run.run_id, run.version, words(run.rule), run.threshold, run.rows, run.flagged)
    if run.pruned_at:
        return replace(flags, missing=f"the rows of {run.run_id} were pruned at {moment(run.pruned_at)}")
    return replace(flags, frauds=_frauds(known, known.rows))


def _computed(
    dataset: Dataset, warehouse: Warehouse, known: Snapshot, staging: Path
) -> tuple[ReplaySide, pl.DataFrame]:
    """What would have been flagged, and the rows: id, entity, score, p_value, is_flagged; none where they
    cannot be had.
    """
    champion, rule = known.champion, known.rule or dataset.threshold
    flags = ReplaySide(version=champion.version.name if champion else None, rule=words(rule))
    try:
        version = _in_service(champion, known)
        scored = score_day(
            dataset,
            _features(dataset, warehouse, known, staging),
            ScoringModels(version),
            rule,
            staging,
        )
    except CANNOT as error:
        return replace(flags, missing=str(error)), known.rows.clear()
    rows = pl.read_parquet(scored.path, columns=list(COLUMNS), glob=False)
    return replace(
        flags,
        threshold=scored.threshold,
        rows=scored.rows,
        flagged=scored.flagged,
        frauds=_frauds(known, rows),
    ), rows


def _in_service(champion: PastChampion | None, known: Snapshot) -> Version:
    """The champion's version; raises EvaluationError where there was none, or its artifact is gone."""
    if champion is None:
        raise EvaluationError(f"{known.date}: no version was its champion by {moment(known.as_of)}")
    if champion.pruned_at:
        name = champion.version.name
        raise EvaluationError(
            f"{known.date}: the artifact of its champion {name} was pruned at {moment(champion.pruned_at)}"
        )
    return champion.version


def _features(dataset: Dataset, warehouse: Warehouse, known: Snapshot, staging: Path) -> Features:
    """Of the rows that the run scored; where it is gone with its quarantine, or never was, of those that
    pass today's rules.
    """
    day, run = known.date, known.run
    if run and not run.pruned_at:
        return stored_features(dataset, warehouse, day, run.run_id, run.fingerprint, staging)
    # Takes seconds to import, and most replays need no validation.
    from tasks.validation.validate_again import validate_again

    partition = (
        require_unchanged(dataset, warehouse, day, run.fingerprint)
        if run
        else read_partition(dataset, day, warehouse.files)
    )
    validated = validate_again(dataset, partition, staging)
    return build_features(dataset, validated, dataset.label_delay_days, staging)


def _frauds(known: Snapshot, rows: pl.DataFrame) -> int | None:
    """How many known frauds are among the flagged rows; None where no label is known."""
    frauds = known.labels.filter("label").select("id")
    return rows.filter("is_flagged").join(frauds, on="id", how="semi").height if known.labels.height else None


def _differences(stored: pl.DataFrame, computed: pl.DataFrame) -> tuple[Difference, ...]:
    """By the lower p-value first: scores of two versions are not comparable. Forgotten rows are left out."""
    joined = stored.filter(~is_forgotten("id")).join(
        computed, on="id", how="full", coalesce=True, suffix="_now"
    )
    flags = [pl.col(name).fill_null(False) for name in ("is_flagged", "is_flagged_now")]
    strange = joined.filter(flags[0] != flags[1]).sort(pl.min_horizontal("p_value", "p_value_now"), "id")
    rows = strange.with_columns(pl.coalesce("entity", "entity_now").alias("entity"))
    return tuple(
        Difference(*row)
        for row in rows.select(
            "id", "entity", "is_flagged", "is_flagged_now", "score", "score_now"
        ).iter_rows()
    )
