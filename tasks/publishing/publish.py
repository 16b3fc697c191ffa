"""The one transaction that makes a night current, and the scored nights that still wait for it."""

import logging
from dataclasses import replace
from datetime import date, datetime
from pathlib import Path

import duckdb
from pydantic import ValidationError

from tasks.core.dataset import Dataset
from tasks.core.errors import NightError, PublishDeferred, WarehouseError, WarehouseHeld, first_line
from tasks.core.references import Features, Night, RowSum, Scored, Version
from tasks.core.staging import abandoned, remove, staging
from tasks.core.step import step
from tasks.publishing.integrity import SHOWN, violations, warnings
from tasks.publishing.ledger import already_committed, insert_run, run_key
from tasks.publishing.staged_night import FILE, StagedNight, read_staged, stage_night, write_staged
from tasks.warehouse.connection import Warehouse
from tasks.warehouse.statements import Row, execute, row, rows

log = logging.getLogger(__name__)
Band = tuple[float, float]  # the share of flagged rows below and above which a night is warned of
DEFERRED = "the scored night is kept, and `nightscore publish`, or any later run, commits it"


@step
def publish(
    dataset: Dataset,
    warehouse: Warehouse,
    flagged_share: Band,
    features: Features,
    scored: Scored,
    version: Version,
    started_at: datetime,
    durations: dict[str, float],
    folder: Path,
    force: bool,
) -> Night:
    """Commits a night; see `publish_night`. What is committed is first written into the night's folder."""
    staged = stage_night(dataset, features, scored, version, started_at, durations, force=force)
    write_staged(staged, folder)
    return publish_night(dataset, warehouse, flagged_share, staged)


def publish_night(dataset: Dataset, warehouse: Warehouse, flagged_share: Band, staged: StagedNight) -> Night:
    """In one transaction: inserts the staged rows and the ledger's row, supersedes the earlier run, passes
    every check.

    Where another process has committed the same night meanwhile, that one stands. Raises PublishDeferred
    where the warehouse is held for too long, WarehouseError where a check fails or the transaction is
    refused; then nothing has changed.
    """
    day = staged.date
    try:
        night = warehouse.transact(lambda con: _insert(con, dataset, warehouse, flagged_share, staged))
    except WarehouseHeld as error:
        raise PublishDeferred(f"{day}: {error}; {DEFERRED}") from error
    except duckdb.Error as error:
        raise WarehouseError(
            f"{day}: the warehouse refused the night: {first_line(error)}; run it again"
        ) from error
    if night.status == "committed":
        log.info("%s  publish    %s rows committed as %s", day, f"{night.rows_scored:,}", night.run_id)
    else:
        log.info("%s  publish    the same night is committed already, as %s", day, night.run_id)
    return night


def publish_waiting(
    dataset: Dataset, warehouse: Warehouse, flagged_share: Band, besides: date | None = None
) -> list[Night]:
    """Commits every scored night that waits, but for the date `besides` and those that a living process works
    on.

    A night that cannot be committed stays, with a warning; one that another version of Nightscore staged is
    dropped, with a warning. Raises WarehouseHeld where the warehouse itself is held.
    """
    folders = [folder for folder in waiting_folders(warehouse.files) if folder.name != str(besides)]
    found = [_publish_folder(dataset, warehouse, flagged_share, folder) for folder in folders]
    return [night for night in found if night]


def waiting_folders(files: Path) -> list[Path]:
    """The folders of the scored nights that are not committed yet, in order of their dates."""
    return sorted(path.parent for path in staging(files).glob(f"*/{FILE}"))


def _publish_folder(
    dataset: Dataset, warehouse: Warehouse, flagged_share: Band, folder: Path
) -> Night | None:
    with abandoned(folder) as free:
        if not free:
            return None
        try:
            staged = read_staged(folder)
            night = _publish_unless_newer(dataset, warehouse, flagged_share, staged) if staged else None
        except WarehouseHeld:
            raise
        except ValidationError:
            log.warning(
                "%s  publish    the scored night was staged by another version of Nightscore and is dropped; "
                "score the date again with `nightscore run --date %s`",
                folder.name,
                folder.name,
            )
            night = None
        except (NightError, OSError) as error:
            log.warning(
                "%s  publish    the scored night could not be committed: %s", folder.name, first_line(error)
            )
            return None
        remove(folder)
        return night


def _publish_unless_newer(
    dataset: Dataset, warehouse: Warehouse, flagged_share: Band, staged: StagedNight
) -> Night | None:
    newer = warehouse.row("publish/find_newer_run", partition_date=staged.date, started_at=staged.started_at)
    if newer:
        message = "%s  publish    %s began later and is committed; the staged night is dropped"
        log.info(message, staged.date, newer["run_id"])
        return None
    return publish_night(dataset, warehouse, flagged_share, staged)


def _insert(
    con: duckdb.DuckDBPyConnection,
    dataset: Dataset,
    warehouse: Warehouse,
    flagged_share: Band,
    staged: StagedNight,
) -> Night:
    execute(con, "publish/lock_dataset")
    key = run_key(staged.features.validated.partition, staged.version, [staged.config_hash])
    found = row(con, "publish/find_committed_run", run_id=staged.run_id, force=staged.force, **key)
    if found:
        return already_committed(found)
    run = {"run_id": staged.run_id, "partition_date": staged.date}
    version, scored = {"model_version": staged.version.name}, staged.scored
    execute(con, "publish/insert_scores", **run, **version, path=str(scored.path))
    if scored.shadows:
        execute(con, "publish/insert_shadow_scores", **run, path=str(scored.shadows))
    if scored.profile:
        execute(con, "publish/insert_profiles", **run, **version, path=str(scored.profile))
    execute(con, "publish/insert_quarantine", **run, path=str(staged.features.validated.quarantine))
    insert_run(con, warehouse, staged)
    execute(con, "publish/supersede_runs", **run)
    return replace(staged.night(), doubts=_check(con, dataset, flagged_share, staged))


def _require_every_row(con: duckdb.DuckDBPyConnection, dataset: Dataset, staged: StagedNight) -> None:
    """Raises WarehouseError, naming rows, unless the scored and the refused rows are together the rows that
    the gate read, each once.
    """
    validated, path = staged.features.validated, str(staged.features.validated.refused)
    scored = _row_sum(row(con, "publish/sum_scored_rows", run_id=staged.run_id))
    refused = _row_sum(row(con, "publish/sum_refused_rows", path=path))
    together = RowSum(scored.rows + refused.rows, str(int(scored.total) + int(refused.total)))
    if scored == validated.clean and together == validated.found:
        return
    found = rows(con, "publish/list_contradictions", run_id=staged.run_id, path=path)
    is_private = dataset.columns.id in dataset.columns.private
    named = [each["problem"] if is_private else f"{each['id']} {each['problem']}" for each in found[:SHOWN]]
    raise WarehouseError(
        f"{staged.date}: {scored.rows:,} scored and {refused.rows:,} refused rows are not the "
        f"{validated.found.rows:,} rows of the gate{': ' if named else ''}{', '.join(named)}; nothing was "
        "published, run the night again with --force"
    )


def _row_sum(found: Row | None) -> RowSum:
    assert found is not None
    return RowSum(**found)


def _check(
    con: duckdb.DuckDBPyConnection, dataset: Dataset, flagged_share: Band, staged: StagedNight
) -> tuple[str, ...]:
    """What is noted of the run and stops nothing. Raises WarehouseError where it must not be committed."""
    day, run_id = staged.date, staged.run_id
    _require_every_row(con, dataset, staged)
    if found := "; ".join(map(str, violations(con, run_id, dataset.columns.masked))):
        raise WarehouseError(
            f"{day}: {found}; nothing was published: fix what it names, or run the night again with --force"
        )
    notes = []
    for warning in warnings(con, flagged_share, run_id):
        low, high = flagged_share
        note = (
            f"{warning.shown[0]['flagged_share']:.2%} of the rows are flagged, outside "
            f"evaluation.flagged_share {low:.2%}..{high:.2%}"
        )
        log.warning("%s  publish    %s", day, note)
        execute(con, "publish/append_note", run_id=run_id, note=note)
        notes.append(note)
    return tuple(notes)
