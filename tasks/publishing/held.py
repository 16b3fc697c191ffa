"""Held nights: doubtful ones that wait, scored and staged, until somebody accepts or discards them.

The ledger says which nights are held; their rows are in the folder `held/RUN_ID` below the dataset's files.
"""

import logging
import os
import shutil
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
from pydantic import TypeAdapter, ValidationError

from tasks.core.dataset import Dataset
from tasks.core.errors import NightError, WarehouseError, first_line
from tasks.core.identity import run_identity
from tasks.core.references import Night, Partition, Version
from tasks.publishing.brake import Brake
from tasks.publishing.commit import publish_night, refusal_named
from tasks.publishing.ledger import insert_run, run_key
from tasks.publishing.staged_night import StagedNight, read_staged, write_staged
from tasks.warehouse.connection import Warehouse
from tasks.warehouse.statements import execute, row

log = logging.getLogger(__name__)
_NIGHT = TypeAdapter(Night)


@dataclass(frozen=True)
class SetAside:
    """A night that was scored and is not committed. status: held | discarded. fingerprint: of its source."""

    date: date
    run_id: str
    status: str
    fingerprint: str
    doubt: str


def hold_night(warehouse: Warehouse, staged: StagedNight) -> Night:
    """Keeps the staged night in a folder of its own, and notes in the ledger that it is held; an earlier held
    night of its date is superseded. Raises PublishDeferred where the warehouse is held for too long,
    WarehouseError where the transaction is refused.
    """
    write_staged(_kept(staged, _folder(warehouse, staged.run_id)), _folder(warehouse, staged.run_id))

    def work(con: duckdb.DuckDBPyConnection) -> None:
        execute(con, "publish/lock_dataset")
        if row(con, "publish/find_run", run_id=staged.run_id) is None:
            insert_run(con, warehouse, staged, status="held")
            execute(con, "publish/supersede_held", run_id=staged.run_id, partition_date=staged.date)

    with refusal_named(staged):
        warehouse.transact(work)
    log.warning("%s  publish    %s; %s", staged.date, staged.doubt, _what_to_do(staged.date))
    return replace(staged.night(), status="held")


def find_held(dataset: Dataset, warehouse: Warehouse, partition: Partition, version: Version) -> Night | None:
    """The held night of this date, if it has the same source, version and configuration; else None."""
    key = run_key(partition, version, run_identity(dataset).hashes)
    found = warehouse.row("publish/find_held_run", **key)
    if found is None or not _folder(warehouse, found["run_id"]).is_dir():
        return None
    log.warning(
        "%s  publish    held already as %s: %s; %s",
        partition.date,
        found["run_id"],
        found["doubt"],
        _what_to_do(partition.date),
    )
    return _NIGHT.validate_python(found | {"status": "already held"})


def set_aside(warehouse: Warehouse) -> list[SetAside]:
    """The newest held or discarded night of each date that nothing has superseded, in order of the dates."""
    return [SetAside(**row) for row in warehouse.rows("publish/list_set_aside")]


def name_held(warehouse: Warehouse, besides: date | None = None) -> None:
    """Logs one line for each night that is held, but for the date `besides`."""
    for night in set_aside(warehouse):
        if night.status == "held" and night.date != besides:
            log.warning("%s  publish    held: %s; %s", night.date, night.doubt, _what_to_do(night.date))


def accept_night(dataset: Dataset, warehouse: Warehouse, brake: Brake, day: date, by: str) -> Night:
    """Commits the held night of a date as it was scored; where the date has none, notes who accepts its
    committed night.

    Raises NightError where there is nothing to accept, or the staged rows are gone.
    """
    found = _held_on(warehouse, day)
    if found is None:
        return _accept_committed(warehouse, day, by)
    staged = _read(warehouse, found)
    night = publish_night(dataset, warehouse, brake, replace(staged, accepted_by=by))
    remove_leftovers(warehouse, day)
    return night


def discard_night(warehouse: Warehouse, day: date) -> str:
    """Drops the held night of a date; the ledger keeps its row as `discarded`. Returns its run id.

    Raises NightError where there is none.
    """

    found = _held_on(warehouse, day)
    if found is None:
        raise NightError(f"{day}: no night is held; `nightscore publish` names the held ones")
    run_id = found.run_id
    _update(warehouse, "publish/discard_run", run_id=run_id)
    remove_leftovers(warehouse, day)
    return run_id


def remove_leftovers(warehouse: Warehouse, day: date) -> None:
    """Removes the staged rows of a date that no held night of the ledger needs. What cannot be removed stays:
    the night is committed, held or discarded by now.
    """
    folders = list((warehouse.files / "held").glob(f"{day}-*"))
    try:
        held = _held_on(warehouse, day) if folders else None
    except (WarehouseError, duckdb.Error) as error:
        message = "%s  publish    the files of an earlier held night stay until the date is run again: %s"
        log.warning(message, day, first_line(error))
        return
    for folder in folders:
        if held is None or folder.name != held.run_id:
            shutil.rmtree(folder, ignore_errors=True)


def _accept_committed(warehouse: Warehouse, day: date, by: str) -> Night:
    found = warehouse.row("publish/find_acceptable_run", partition_date=day)
    if found is None:
        raise NightError(
            f"{day}: there is nothing to accept: no night is held, and none is committed that is doubtful "
            "and that nobody has accepted"
        )
    _update(warehouse, "publish/accept_run", run_id=found["run_id"], accepted_by=by)
    return _NIGHT.validate_python(found | {"status": "already committed"})


def _update(warehouse: Warehouse, statement: str, **values: Any) -> None:
    def work(con: duckdb.DuckDBPyConnection) -> None:
        execute(con, "publish/lock_dataset")
        execute(con, statement, **values)

    warehouse.transact(work)


def _held_on(warehouse: Warehouse, day: date) -> SetAside | None:
    return next(
        (night for night in set_aside(warehouse) if (night.date, night.status) == (day, "held")), None
    )


def _read(warehouse: Warehouse, night: SetAside) -> StagedNight:
    try:
        if staged := read_staged(_folder(warehouse, night.run_id)):
            return staged
    except ValidationError:
        pass
    raise NightError(
        f"{night.date}: the staged rows of {night.run_id} are gone, or of another version of Nightscore; "
        f"score the date again with `nightscore run --date {night.date} --force`"
    )


def _kept(staged: StagedNight, folder: Path) -> StagedNight:
    """The night with its files in a folder of its own: the next run of the date writes into the other."""
    folder.mkdir(parents=True, exist_ok=True)

    def kept(path: Path) -> Path:
        copy = folder / path.name
        copy.unlink(missing_ok=True)
        try:
            os.link(path, copy)
        except OSError:  # a file system without hard links
            shutil.copyfile(path, copy)
        return copy

    scored, validated = staged.scored, staged.features.validated
    scored = replace(
        scored,
        path=kept(scored.path),
        shadows=kept(scored.shadows) if scored.shadows else None,
        profile=kept(scored.profile) if scored.profile else None,
    )
    validated = replace(validated, refused=kept(validated.refused), quarantine=kept(validated.quarantine))
    return replace(staged, scored=scored, features=replace(staged.features, validated=validated))


def _folder(warehouse: Warehouse, run_id: str) -> Path:
    return warehouse.files / "held" / run_id


def _what_to_do(day: date) -> str:
    return f"`nightscore publish --accept {day} --by NAME` commits it, `--discard {day}` drops it"
