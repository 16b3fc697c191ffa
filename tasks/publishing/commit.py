"""The one transaction that makes a night current."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import duckdb

from tasks.core.dataset import Dataset
from tasks.core.errors import PublishDeferred, WarehouseError, WarehouseHeld, first_line
from tasks.core.filesystem import exact_pattern
from tasks.core.references import Night, RowSum
from tasks.publishing.brake import Brake
from tasks.publishing.integrity import SHOWN, violations, warnings
from tasks.publishing.ledger import already_committed, insert_run, run_key
from tasks.publishing.staged_night import StagedNight
from tasks.warehouse.connection import Warehouse
from tasks.warehouse.statements import Row, execute, row, rows

log = logging.getLogger(__name__)
DEFERRED = "the scored night is kept, and `nightscore publish`, or any later run, commits it"
STILL_HELD = "the night is still held; accept it again when the warehouse is free"


def publish_night(dataset: Dataset, warehouse: Warehouse, brake: Brake, staged: StagedNight) -> Night:
    """In one transaction: inserts the staged rows and the ledger's row, supersedes the earlier run, passes
    every check.

    Where another process has committed the same night meanwhile, that one stands. Raises PublishDeferred
    where the warehouse is held for too long, WarehouseError where a check fails or the transaction is
    refused; then nothing has changed.
    """
    day = staged.date
    with refusal_named(staged):
        night = warehouse.transact(lambda con: _insert(con, dataset, warehouse, brake, staged), bounded=True)
    if night.status == "committed":
        replaced = f"; it supersedes {night.replaces}" if night.replaces else ""
        log.info(
            "%s  publish    %s rows committed as %s%s", day, f"{night.rows_scored:,}", night.run_id, replaced
        )
        if night.doubt:
            log.warning("%s  publish    %s", day, night.doubt)
    else:
        log.info("%s  publish    the same night is committed already, as %s", day, night.run_id)
    return night


@contextmanager
def refusal_named(staged: StagedNight) -> Iterator[None]:
    """Raises what the warehouse says to a staged night as an error that names its date and what to do."""
    try:
        yield
    except WarehouseHeld as error:
        kept = STILL_HELD if staged.accepted_by else DEFERRED
        raise PublishDeferred(f"{staged.date}: {error}; {kept}") from error
    except duckdb.Error as error:
        raise WarehouseError(
            f"{staged.date}: the warehouse refused the night: {first_line(error)}; "
            f"{'accept it' if staged.accepted_by else 'run it'} again"
        ) from error


def _insert(
    con: duckdb.DuckDBPyConnection,
    dataset: Dataset,
    warehouse: Warehouse,
    brake: Brake,
    staged: StagedNight,
) -> Night:
    execute(con, "publish/lock_dataset")
    key = run_key(staged.features.validated.partition, staged.version, [staged.config_hash])
    found = row(con, "publish/find_committed_run", run_id=staged.run_id, force=staged.force, **key)
    if found:
        return already_committed(found)
    run = {"run_id": staged.run_id, "partition_date": staged.date}
    version, scored = {"model_version": staged.version.name}, staged.scored
    execute(con, "publish/insert_scores", **run, **version, path=exact_pattern(str(scored.path)))
    if scored.shadows:
        execute(con, "publish/insert_shadow_scores", **run, path=exact_pattern(str(scored.shadows)))
    if scored.profile:
        execute(con, "publish/insert_profiles", **run, **version, path=exact_pattern(str(scored.profile)))
    quarantine = exact_pattern(str(staged.features.validated.quarantine))
    execute(con, "publish/insert_quarantine", **run, path=quarantine)
    execute(con, "publish/delete_held_run", run_id=staged.run_id)
    insert_run(con, warehouse, staged)
    before = row(con, "publish/find_current_run", **run)
    execute(con, "publish/supersede_runs", **run)
    execute(con, "publish/insert_alert_rule", **dataset.alerts.model_dump())
    night, notes = staged.night(), _check(con, dataset, brake, staged)
    return replace(night, doubts=night.doubts + notes, replaces=before["run_id"] if before else None)


def _require_every_row(con: duckdb.DuckDBPyConnection, dataset: Dataset, staged: StagedNight) -> None:
    """Raises WarehouseError, naming rows, unless the scored and the refused rows are together the rows that
    the gate read, each once.
    """
    validated, path = staged.features.validated, exact_pattern(str(staged.features.validated.refused))
    scored = _row_sum(row(con, "publish/sum_scored_rows", run_id=staged.run_id))
    refused = _row_sum(row(con, "publish/sum_refused_rows", path=path))
    together = RowSum(scored.rows + refused.rows, str(int(scored.total) + int(refused.total)))
    if scored == validated.clean and together == validated.found:
        return
    found = rows(con, "publish/list_contradictions", run_id=staged.run_id, path=path)
    is_private = dataset.columns.id in dataset.columns.private
    named = [each["problem"] if is_private else f"{each['id']!r} {each['problem']}" for each in found[:SHOWN]]
    raise WarehouseError(
        f"{staged.date}: {scored.rows:,} scored and {refused.rows:,} refused rows are not the "
        f"{validated.found.rows:,} rows of the gate{': ' if named else ''}{', '.join(named)}; nothing was "
        "published, run the night again with --force"
    )


def _row_sum(found: Row | None) -> RowSum:
    assert found is not None
    return RowSum(**found)


def _check(
    con: duckdb.DuckDBPyConnection, dataset: Dataset, brake: Brake, staged: StagedNight
) -> tuple[str, ...]:
    """What is noted of the run and stops nothing. Raises WarehouseError where it must not be committed."""
    day, run_id = staged.date, staged.run_id
    _require_every_row(con, dataset, staged)
    if found := "; ".join(map(str, violations(con, run_id, dataset.columns.masked))):
        raise WarehouseError(
            f"{day}: {found}; nothing was published: fix what it names, or run the night again with --force"
        )
    notes = list(warnings(con, brake.low, run_id))
    for note in notes:
        log.warning("%s  publish    %s", day, note)
        execute(con, "publish/append_note", run_id=run_id, note=note)
    _note_quiet(con, dataset, staged)
    return tuple(notes)


def _note_quiet(con: duckdb.DuckDBPyConnection, dataset: Dataset, staged: StagedNight) -> None:
    """Notes by how many alerts the night's list is shorter; that is no warning."""
    if not dataset.alerts.quiet_days:
        return
    found = row(con, "publish/count_quiet_alerts", partition_date=staged.date)
    if not found or not found["quiet"]:
        return
    note = (
        f"{found['quiet']:,} of {found['alerts']:,} alerts are not shown: their entities were dismissed on "
        f"one of the {dataset.alerts.quiet_days} dates before"
    )
    log.info("%s  publish    %s", staged.date, note)
    execute(con, "publish/append_note", run_id=staged.run_id, note=note)
