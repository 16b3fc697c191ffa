"""What the warehouse knew of a date at an instant of the machine's clock."""

from dataclasses import dataclass
from datetime import date, datetime

import polars as pl
from pydantic import Json, TypeAdapter

from models.settings import ThresholdSettings
from tasks.core.references import Version
from tasks.registry.versions import stored_version
from tasks.warehouse.connection import Warehouse
from tasks.warehouse.statements import frame, row


@dataclass(frozen=True)
class PastRun:
    """The run of a date that was current.

    rule: what it flagged by; None of a run of before rules were kept. rows, flagged: counts of the ledger.
    pruned_at: since when its rows are gone; None where they are there.
    """

    run_id: str
    version: str
    threshold: float
    rule: Json[ThresholdSettings] | None
    fingerprint: str
    config_hash: str
    rows: int
    flagged: int
    committed_at: datetime
    pruned_at: datetime | None


@dataclass(frozen=True)
class PastChampion:
    """The version that was to flag a date.

    pruned_at: since when its artifact is gone; None where it was not pruned.
    """

    version: Version
    training_hash: str
    pruned_at: datetime | None
    effective_from: date
    promoted_at: datetime


@dataclass(frozen=True)
class Snapshot:
    """What was known of `date` at `as_of`.

    rule: the threshold rule of that time, of the run, else of the newest run of any date; None where there
    was none.
    rows: id, entity, score float32, p_value float64, is_flagged of the run, empty without one. labels: id,
    label bool, recorded by then.
    first_commit: when the date was first committed, then or later; None where it never was.
    """

    date: date
    as_of: datetime
    run: PastRun | None
    champion: PastChampion | None
    rule: ThresholdSettings | None
    rows: pl.DataFrame
    labels: pl.DataFrame
    first_commit: datetime | None


_RUN, _CHAMPION = TypeAdapter(PastRun | None), TypeAdapter(PastChampion)


def read_snapshot(warehouse: Warehouse, day: date, as_of: datetime) -> Snapshot:
    """Returns what was known of a date, in one reading.

    Raises WarehouseMissing where nothing was ever written.
    """
    with warehouse.reading(as_of) as con:
        run = _RUN.validate_python(row(con, "evaluation/find_run_as_of", partition_date=day))
        newest = row(con, "evaluation/find_threshold_as_of")
        found = row(con, "evaluation/find_champion_as_of", partition_date=day)
        return Snapshot(
            date=day,
            as_of=as_of,
            run=run,
            champion=_CHAMPION.validate_python(found | {"version": stored_version(warehouse, found)})
            if found
            else None,
            rule=(run and run.rule)
            or (ThresholdSettings.model_validate_json(newest["rule"]) if newest else None),
            rows=frame(con, "evaluation/list_scored_rows", run_id=run.run_id if run else None),
            labels=frame(con, "evaluation/list_labels_as_of", partition_date=day),
            first_commit=(row(con, "evaluation/find_first_commit", partition_date=day) or {}).get(
                "committed_at"
            ),
        )
