"""The one transaction that makes a night current, and the scored nights that still wait for it."""

import logging
from dataclasses import replace
from datetime import date
from functools import partial
from pathlib import Path

import duckdb
from prefect import task
from prefect.cache_policies import NO_CACHE
from pydantic import ValidationError

import sql
from tasks.core.errors import NightError, PublishDeferred, WarehouseError, WarehouseHeld, first_line
from tasks.core.references import Features, Night, Scored, Version
from tasks.core.staging import abandoned, remove, staging
from tasks.publishing.integrity import violations, warnings
from tasks.publishing.ledger import Ledger, already_committed, identity, insert_run
from tasks.publishing.staged_night import FILE, StagedNight, new_run_id, read_staged, stage
from tasks.warehouse.connection import look_up, transact

log = logging.getLogger(__name__)
KEPT = "the scored night is kept, and `nightscore publish`, or any later run, commits it"


@task(cache_policy=NO_CACHE)
def publish(
    ledger: Ledger,
    features: Features,
    scored: Scored,
    version: Version,
    durations: dict[str, float],
    folder: Path,
    force: bool,
) -> Night:
    """The night's rows become current; see `publish_night`.

    What is committed is first written down in the night's folder.
    """
    publication = StagedNight(
        run_id=new_run_id(features.date),
        features=features,
        scored=scored,
        version=version,
        config_hash=ledger.config_hash,
        threshold=ledger.threshold,
        started_at=ledger.started_at,
        durations=durations,
        force=force,
    )
    stage(publication, folder)
    return publish_night(ledger, publication)


def publish_night(ledger: Ledger, publication: StagedNight) -> Night:
    """In one transaction: the staged rows under a new run, the ledger row, the earlier run of the date
    superseded, every check passed.

    Where another process has committed the same night meanwhile, that one stands.
    Raises PublishDeferred where the warehouse is held for too long, WarehouseError where a check fails or the
    transaction is refused; then nothing has changed.
    """
    day = publication.date
    try:
        night = transact(ledger.warehouse, ledger.dataset, partial(_insert, ledger, publication))
    except WarehouseHeld as error:
        raise PublishDeferred(f"{day}: {error}; {KEPT}") from error
    except duckdb.Error as error:
        raise WarehouseError(
            f"{day}: the warehouse refused the night: {first_line(error)}; run it again"
        ) from error
    if night.status == "committed":
        log.info("%s  publish    %s rows committed as %s", day, f"{night.rows_scored:,}", night.run_id)
    else:
        log.info("%s  publish    the same night is committed already, as %s", day, night.run_id)
    return night


def publish_waiting(ledger: Ledger, files: Path, besides: date | None = None) -> list[Night]:
    """Commits every scored night that waits below `files`, but for a date that is run anyway, and those that
    a living process works on.

    A night that cannot be committed stays, with a warning, unless the warehouse itself is held: then
    WarehouseHeld is raised.
    """
    folders = [folder for folder in waiting_folders(files) if folder.name != str(besides)]
    return [night for folder in folders if (night := _publish_folder(ledger, folder))]


def waiting_folders(files: Path) -> list[Path]:
    """The folders of the scored nights that are not committed yet, in order of their dates."""
    return sorted(path.parent for path in staging(files).glob(f"*/{FILE}"))


def _publish_folder(ledger: Ledger, folder: Path) -> Night | None:
    with abandoned(folder) as free:
        if not free:
            return None
        try:
            publication = read_staged(folder)
            night = _publish_unless_late(ledger, publication) if publication else None
        except WarehouseHeld:
            raise
        except (NightError, ValidationError, OSError) as error:
            log.warning(
                "%s  publish    the scored night could not be committed: %s", folder.name, first_line(error)
            )
            return None
        remove(folder)
        return night


def _publish_unless_late(ledger: Ledger, publication: StagedNight) -> Night | None:
    day = {"partition_date": publication.date, "started_at": publication.started_at}
    if later := look_up(ledger.warehouse, ledger.dataset, "publish/find_newer_run", day):
        log.info(
            "%s  publish    %s began later and is committed; what waited is dropped",
            publication.date,
            later[0],
        )
        return None
    return publish_night(ledger, publication)


def _insert(ledger: Ledger, publication: StagedNight, con: duckdb.DuckDBPyConnection) -> Night:
    day, validated, version = publication.date, publication.features.validated, publication.version
    con.execute(sql.read("publish/lock_dataset"))
    same = identity(validated.partition, version, publication.config_hash)
    found = con.execute(
        sql.read("publish/find_committed_run"),
        {"run_id": publication.run_id, "force": publication.force, **same},
    ).fetchone()
    if found:
        return already_committed(day, version, found)
    run = {"run_id": publication.run_id, "partition_date": day}
    con.execute(
        sql.read("publish/insert_scores"),
        {**run, "model_version": version.name, "path": str(publication.scored.path)},
    )
    if publication.scored.shadows:
        con.execute(
            sql.read("publish/insert_shadow_scores"), {**run, "path": str(publication.scored.shadows)}
        )
    if publication.scored.profile:
        values = {**run, "model_version": version.name, "path": str(publication.scored.profile)}
        con.execute(sql.read("publish/insert_profiles"), values)
    con.execute(sql.read("publish/insert_quarantine"), {**run, "path": str(validated.quarantine)})
    insert_run(con, ledger, publication)
    con.execute(sql.read("publish/supersede_runs"), run)
    return replace(publication.night(), doubts=_check(con, ledger, day, publication.run_id))


def _check(con: duckdb.DuckDBPyConnection, ledger: Ledger, day: date, run_id: str) -> tuple[str, ...]:
    """What is to be noted of the run and stops nothing.

    Raises WarehouseError where it must not be committed.
    """
    if found := "; ".join(map(str, violations(con, run_id, ledger.masked))):
        raise WarehouseError(
            f"{day}: {found}; nothing was published: mend what it names, or run the night again with --force"
        )
    notes = []
    for doubt in warnings(con, ledger.flagged_share, run_id):
        low, high = ledger.flagged_share
        note = (
            f"{doubt.shown[0]['flagged_share']:.2%} of the rows are flagged, outside "
            f"evaluation.flagged_share {low:.2%}..{high:.2%}"
        )
        log.warning("%s  publish    %s", day, note)
        con.execute(sql.read("publish/append_note"), {"run_id": run_id, "note": note})
        notes.append(note)
    return tuple(notes)
