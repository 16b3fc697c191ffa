"""The ledger: one row per committed, rejected or failed run."""

import json
import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import duckdb
from pydantic import TypeAdapter

from tasks.core.dataset import Dataset
from tasks.core.errors import PartitionRejected, WarehouseError, WarehouseHeld
from tasks.core.identity import run_identity
from tasks.core.references import Night, Partition, Version
from tasks.publishing.staged_night import StagedNight, new_run_id
from tasks.warehouse.connection import Warehouse
from tasks.warehouse.schema import product_version
from tasks.warehouse.statements import execute

log = logging.getLogger(__name__)
COUNTS = ("rows_source", "rows_scored", "rows_quarantined", "rows_flagged", "rows_unknown")
UNKNOWN = (
    "source_fingerprint",
    "model_version",
    "threshold",
    "unknown_threshold",
    "durations",
    "data_docs",
    "doubt",
    "accepted_by",
    *COUNTS,
)  # of a failed run
_NIGHT = TypeAdapter(Night)


def committed_dates(warehouse: Warehouse) -> list[date]:
    """Every date that has a current run, in order."""
    return [row["partition_date"] for row in warehouse.rows("publish/list_committed_dates")]


def attempted_dates(warehouse: Warehouse) -> list[date]:
    """Every date that has a run, whatever its status, in order."""
    return [row["partition_date"] for row in warehouse.rows("publish/list_attempted_dates")]


def find_committed(
    dataset: Dataset, warehouse: Warehouse, partition: Partition, version: Version
) -> Night | None:
    """The current run of this date, if it has the same source, version and configuration; else None."""
    key = run_key(partition, version, run_identity(dataset).hashes)
    found = warehouse.row("publish/find_committed_run", run_id=None, force=False, **key)
    return already_committed(found) if found else None


def run_key(partition: Partition, version: Version, config_hashes: Sequence[str]) -> dict[str, Any]:
    """What makes two runs the same: their date, source, version and configuration, whose hash is one of
    these.
    """
    return {
        "partition_date": partition.date,
        "source_fingerprints": list(partition.fingerprints),
        "model_version": version.name,
        "config_hashes": list(config_hashes),
    }


def already_committed(found: dict[str, Any]) -> Night:
    """The night of a row of `find_committed_run`."""
    return _NIGHT.validate_python(found | {"status": "already committed"})


def insert_run(
    con: duckdb.DuckDBPyConnection, warehouse: Warehouse, staged: StagedNight, status: str = "committed"
) -> None:
    """Inserts the row of a committed or held run."""
    night, validated = staged.night(), staged.features.validated
    execute(
        con,
        "publish/insert_run",
        run_id=night.run_id,
        partition_date=night.date,
        status=status,
        source_fingerprint=validated.partition.fingerprint,
        config_hash=staged.config_hash,
        model_version=night.model_version,
        **{name: getattr(night, name) for name in COUNTS},
        threshold=night.threshold,
        unknown_threshold=staged.scored.unknown_threshold,
        threshold_rule=staged.threshold.model_dump_json(),
        started_at=staged.started_at,
        durations=json.dumps(staged.durations),
        data_docs=str(Path(validated.data_docs).relative_to(warehouse.settings.files)),
        message="; ".join((*validated.notes, *staged.scored.notes, *night.doubts)) or None,
        product_version=product_version(),
        doubt=staged.doubt,
        accepted_by=staged.accepted_by,
    )


@contextmanager
def record_failure(dataset: Dataset, warehouse: Warehouse, day: date) -> Iterator[None]:
    """Records whatever fails inside as a rejected or failed run, and raises it again.

    A warehouse that is held is not recorded: it could not take the row.
    """
    started_at = datetime.now(UTC)
    try:
        yield
    except WarehouseHeld:
        raise
    except Exception as error:
        insert_failure(dataset, warehouse, day, started_at, error)
        raise


def insert_failure(
    dataset: Dataset, warehouse: Warehouse, day: date, started_at: datetime, error: Exception
) -> None:
    """Inserts the row of a rejected or failed run; every other table stays as it was."""
    values = {
        **dict.fromkeys(UNKNOWN),
        "run_id": new_run_id(day),
        "partition_date": day,
        "status": "rejected" if isinstance(error, PartitionRejected) else "failed",
        "config_hash": run_identity(dataset).current,
        "threshold_rule": dataset.threshold.model_dump_json(),
        "started_at": started_at,
        "message": str(error) or type(error).__name__,
        "product_version": product_version(),
    }
    brief = warehouse.waiting(min(5.0, warehouse.settings.wait_seconds))
    try:
        brief.transact(lambda con: execute(con, "publish/insert_run", **values))
    except (WarehouseError, duckdb.Error) as unwritten:
        log.warning("%s  the failure could not be recorded in the ledger: %s", day, unwritten)
