"""The ledger: one row per committed, rejected or failed run."""

import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime
from functools import partial
from pathlib import Path
from typing import Any

import duckdb

import sql
from models.settings import ThresholdSettings
from tasks.core.errors import PartitionRejected, WarehouseError, WarehouseHeld, WarehouseMissing
from tasks.core.references import Night, Partition, Version
from tasks.publishing.staged_night import StagedNight, new_run_id
from tasks.warehouse.connection import look_up, reading, transact
from tasks.warehouse.settings import WarehouseSettings

log = logging.getLogger(__name__)
COUNTS = ("rows_source", "rows_scored", "rows_quarantined", "rows_flagged")


@dataclass(frozen=True)
class Ledger:
    """Where a run is written down, and what identifies it besides its source and model.

    config_hash: of the sections that decide scores. started_at: instant, UTC. threshold: what rows are
    flagged by.
    flagged_share: the band in which the share of flagged rows is expected. masked: columns of the results
    that messages mask.
    """

    warehouse: WarehouseSettings
    dataset: str
    config_hash: str
    started_at: datetime
    threshold: ThresholdSettings
    flagged_share: tuple[float, float]
    masked: tuple[str, ...] = ()


def committed_dates(warehouse: WarehouseSettings, dataset: str) -> list[date]:
    """Every date that has a current run, in order."""
    return _dates(warehouse, dataset, "publish/list_committed_dates")


def attempted_dates(warehouse: WarehouseSettings, dataset: str) -> list[date]:
    """Every date that has a run, whatever became of it, in order."""
    return _dates(warehouse, dataset, "publish/list_attempted_dates")


def _dates(warehouse: WarehouseSettings, dataset: str, name: str) -> list[date]:
    try:
        with reading(warehouse, dataset) as con:
            return [row[0] for row in con.execute(sql.read(name)).fetchall()]
    except WarehouseMissing:
        return []


def find_committed(ledger: Ledger, partition: Partition, version: Version) -> Night | None:
    """The current run of this date if it has the same source, model and configuration; None where the night
    is still to be done.
    """
    key = {"run_id": None, "force": False, **identity(partition, version, ledger.config_hash)}
    found = look_up(ledger.warehouse, ledger.dataset, "publish/find_committed_run", key)
    return already_committed(partition.date, version, found) if found else None


def identity(partition: Partition, version: Version, config_hash: str) -> dict[str, Any]:
    """What makes two runs the same."""
    return {
        "partition_date": partition.date,
        "source_fingerprint": partition.fingerprint,
        "model_version": version.name,
        "config_hash": config_hash,
    }


def already_committed(day: date, version: Version, found: tuple[Any, ...]) -> Night:
    """The night as the ledger has it, from the columns that `find_committed` selects."""
    run_id, rows_source, rows_scored, rows_quarantined, rows_flagged, threshold = found
    return Night(
        date=day,
        run_id=run_id,
        status="already committed",
        rows_source=rows_source,
        rows_scored=rows_scored,
        rows_quarantined=rows_quarantined,
        rows_flagged=rows_flagged,
        model_version=version.name,
        threshold=threshold,
    )


def insert_run(con: duckdb.DuckDBPyConnection, ledger: Ledger, publication: StagedNight) -> None:
    """The row of a committed run."""
    night, validated = publication.night(), publication.features.validated
    values = {
        **identity(validated.partition, publication.version, publication.config_hash),
        **{name: getattr(night, name) for name in COUNTS},
        "run_id": night.run_id,
        "status": night.status,
        "threshold": night.threshold,
        "threshold_rule": publication.threshold.model_dump_json(),
        "started_at": publication.started_at,
        "durations": json.dumps(publication.durations),
        "data_docs": str(Path(validated.data_docs).relative_to(ledger.warehouse.files)),
        "message": "; ".join(validated.notes) or None,
    }
    con.execute(sql.read("publish/insert_run"), values)


@contextmanager
def record_failure(ledger: Ledger, day: date) -> Iterator[None]:
    """Whatever fails inside is noted in the ledger and raised again; but for a warehouse that is held, which
    could not take the note.
    """
    try:
        yield
    except WarehouseHeld:
        raise
    except Exception as error:
        note_failure(ledger, day, error)
        raise


def note_failure(ledger: Ledger, day: date, error: Exception) -> None:
    """Writes a rejected or failed run to the ledger; every other table stays as it was."""
    unknown = ("source_fingerprint", "model_version", "threshold", "durations", "data_docs", *COUNTS)
    values = {
        **dict.fromkeys(unknown),
        "run_id": new_run_id(day),
        "partition_date": day,
        "status": "rejected" if isinstance(error, PartitionRejected) else "failed",
        "config_hash": ledger.config_hash,
        "threshold_rule": ledger.threshold.model_dump_json(),
        "started_at": ledger.started_at,
        "message": str(error) or type(error).__name__,
    }
    patient = ledger.warehouse.model_copy(update={"wait_seconds": min(5.0, ledger.warehouse.wait_seconds)})
    try:
        transact(patient, ledger.dataset, partial(_insert_failure, values))
    except (WarehouseError, duckdb.Error) as unwritten:
        log.warning("%s  the failure could not be noted in the ledger: %s", day, unwritten)


def _insert_failure(values: dict[str, Any], con: duckdb.DuckDBPyConnection) -> None:
    con.execute(sql.read("publish/insert_run"), values)
