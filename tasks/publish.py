"""The ledger and the one transaction that makes a night current."""

import json
import logging
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import date, datetime
from pathlib import Path

import duckdb
from prefect import task
from prefect.cache_policies import NO_CACHE

import sql
from models.settings import ThresholdSettings
from tasks.errors import PartitionRejected, WarehouseError
from tasks.references import Features, Night, Partition, Scored, Version
from tasks.warehouse import WarehouseSettings, look_up, transact

log = logging.getLogger(__name__)
COUNTS = ("rows_source", "rows_scored", "rows_quarantined", "rows_flagged")


@dataclass(frozen=True)
class Ledger:
    """Where a run is written down, and what identifies it besides its source and model.

    config_hash: of the sections that decide scores. started_at: instant, UTC. threshold: what rows are flagged by.
    """

    warehouse: WarehouseSettings
    dataset: str
    config_hash: str
    started_at: datetime
    threshold: ThresholdSettings


def find_committed(ledger: Ledger, partition: Partition, version: Version) -> Night | None:
    """The current run of this date if it has the same source, model and configuration; None where the night is still to be done."""
    key = {
        "partition_date": partition.date,
        "source_fingerprint": partition.fingerprint,
        "model_version": version.name,
        "config_hash": ledger.config_hash,
    }
    found = look_up(ledger.warehouse, ledger.dataset, "find_committed", key)
    if found is None:
        return None
    run_id, rows_source, rows_scored, rows_quarantined, rows_flagged, threshold = found
    return Night(
        date=partition.date,
        run_id=run_id,
        status="already committed",
        rows_source=rows_source,
        rows_scored=rows_scored,
        rows_quarantined=rows_quarantined,
        rows_flagged=rows_flagged,
        model_version=version.name,
        threshold=threshold,
    )


@task(cache_policy=NO_CACHE)
def publish(ledger: Ledger, features: Features, scored: Scored, version: Version, durations: dict[str, float]) -> Night:
    """The night's rows become current; see `publish_night`."""
    return publish_night(ledger, features, scored, version, durations)


def publish_night(ledger: Ledger, features: Features, scored: Scored, version: Version, durations: dict[str, float]) -> Night:
    """In one transaction: the staged rows under a new run, the ledger row, the earlier run of the date superseded.

    durations: seconds by step. Raises WarehouseError where rows are unaccounted for or the transaction is refused; then nothing
    has changed.
    """
    validated = features.validated
    night = Night(
        date=features.date,
        run_id=new_run_id(features.date),
        status="committed",
        rows_source=validated.partition.rows,
        rows_scored=scored.rows,
        rows_quarantined=validated.rows_quarantined,
        rows_flagged=scored.flagged,
        model_version=version.name,
        threshold=scored.threshold,
    )
    run = {"run_id": night.run_id, "partition_date": night.date}

    def insert(con: duckdb.DuckDBPyConnection) -> None:
        con.execute(sql.read("take_publish_lock"))
        con.execute(sql.read("insert_scores"), {**run, "model_version": version.name, "path": str(scored.path)})
        con.execute(sql.read("insert_quarantine"), {**run, "path": str(validated.quarantine)})
        fingerprint, notes = validated.partition.fingerprint, "; ".join(validated.notes) or None
        _insert_run(con, ledger, night, fingerprint, durations=durations, data_docs=validated.data_docs, message=notes)
        con.execute(sql.read("supersede_runs"), run)
        _check(con, "check_conservation", night)

    try:
        transact(ledger.warehouse, ledger.dataset, insert)
    except duckdb.Error as error:
        raise WarehouseError(f"{night.date}: the warehouse refused the night: {str(error).splitlines()[0]}; run it again") from error
    log.info("%s  publish    %s rows committed as %s", night.date, f"{night.rows_scored:,}", night.run_id)
    return night


@contextmanager
def failures_noted(ledger: Ledger, day: date) -> Iterator[None]:
    """Whatever fails inside is noted in the ledger and raised again."""
    try:
        yield
    except Exception as error:
        note_failure(ledger, day, error)
        raise


def note_failure(ledger: Ledger, day: date, error: Exception) -> None:
    """Writes a rejected or failed run to the ledger; every other table stays as it was."""
    status = "rejected" if isinstance(error, PartitionRejected) else "failed"
    night = Night(day, new_run_id(day), status, 0, 0, 0, 0, model_version="", threshold=float("nan"))
    patient = replace(ledger, warehouse=ledger.warehouse.model_copy(update={"wait_seconds": min(5.0, ledger.warehouse.wait_seconds)}))
    try:
        transact(
            patient.warehouse,
            patient.dataset,
            lambda con: _insert_run(con, patient, night, None, message=str(error) or type(error).__name__),
        )
    except (WarehouseError, duckdb.Error) as unwritten:
        log.warning("%s  the failure could not be noted in the ledger: %s", day, unwritten)


def new_run_id(day: date) -> str:
    """A name for one attempt to score a date."""
    return f"{day}-{secrets.token_hex(4)}"


def _insert_run(
    con: duckdb.DuckDBPyConnection,
    ledger: Ledger,
    night: Night,
    fingerprint: str | None,
    *,
    durations: dict[str, float] | None = None,
    data_docs: Path | None = None,
    message: str | None = None,
) -> None:
    committed = night.status == "committed"
    counts = {name: getattr(night, name) if committed else None for name in COUNTS}
    values = {
        "run_id": night.run_id,
        "partition_date": night.date,
        "status": night.status,
        "source_fingerprint": fingerprint,
        "config_hash": ledger.config_hash,
        "model_version": night.model_version or None,
        "threshold": night.threshold if committed else None,
        "started_at": ledger.started_at,
        "durations": json.dumps(durations) if durations else None,
        "data_docs": str(data_docs.relative_to(ledger.warehouse.files)) if data_docs else None,
        "message": message,
        "threshold_rule": ledger.threshold.model_dump_json(),
    }
    con.execute(sql.read("insert_run"), values | counts)


def _check(con: duckdb.DuckDBPyConnection, name: str, night: Night) -> None:
    if offending := con.execute(sql.read(name), {"run_id": night.run_id}).fetchall():
        raise WarehouseError(f"{night.date}: {name} found {offending[0]}; nothing was published, run the night again")
