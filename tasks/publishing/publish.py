"""A scored night is committed, or held; and the scored nights that still wait for that."""

import logging
from datetime import date, datetime
from pathlib import Path

from pydantic import ValidationError

from tasks.core.dataset import Dataset
from tasks.core.errors import NightError, WarehouseHeld, first_line
from tasks.core.references import Features, Night, Scored, Version
from tasks.core.staging import abandoned, remove, staging
from tasks.core.step import step
from tasks.publishing.brake import Brake
from tasks.publishing.commit import publish_night
from tasks.publishing.held import hold_night, remove_leftovers
from tasks.publishing.staged_night import FILE, StagedNight, read_staged, stage_night, write_staged
from tasks.warehouse.connection import Warehouse

log = logging.getLogger(__name__)


@step
def publish(
    dataset: Dataset,
    warehouse: Warehouse,
    brake: Brake,
    features: Features,
    scored: Scored,
    version: Version,
    started_at: datetime,
    durations: dict[str, float],
    folder: Path,
    force: bool,
) -> Night:
    """Commits a night, or holds it where it is doubtful; see `publish_night` and `hold_night`. What is
    committed is first written into the night's folder.
    """
    doubt = brake.doubt(scored)
    staged = stage_night(dataset, features, scored, version, started_at, durations, force=force, doubt=doubt)
    write_staged(staged, folder)
    return conclude(dataset, warehouse, brake, staged)


def conclude(dataset: Dataset, warehouse: Warehouse, brake: Brake, staged: StagedNight) -> Night:
    """Commits a staged night, or holds it; then removes what an earlier held one of its date has left."""
    if staged.doubt and brake.hold:
        night = hold_night(warehouse, staged)
    else:
        night = publish_night(dataset, warehouse, brake, staged)
    remove_leftovers(warehouse, staged.date)
    return night


def publish_waiting(
    dataset: Dataset, warehouse: Warehouse, brake: Brake, besides: date | None = None
) -> list[Night]:
    """Commits every scored night that waits, but for the date `besides` and those that a living process works
    on.

    A night that cannot be committed stays, with a warning; one that another version of Nightscore staged is
    dropped, with a warning. Raises WarehouseHeld where the warehouse itself is held.
    """
    folders = [folder for folder in waiting_folders(warehouse.files) if folder.name != str(besides)]
    found = [_publish_folder(dataset, warehouse, brake, folder) for folder in folders]
    return [night for night in found if night]


def waiting_folders(files: Path) -> list[Path]:
    """The folders of the scored nights that are not committed yet, in order of their dates."""
    return sorted(path.parent for path in staging(files).glob(f"*/{FILE}"))


def _publish_folder(dataset: Dataset, warehouse: Warehouse, brake: Brake, folder: Path) -> Night | None:
    with abandoned(folder) as free:
        if not free:
            return None
        try:
            staged = read_staged(folder)
            night = _publish_unless_obsolete(dataset, warehouse, brake, staged) if staged else None
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


def _publish_unless_obsolete(
    dataset: Dataset, warehouse: Warehouse, brake: Brake, staged: StagedNight
) -> Night | None:
    key = {"run_id": staged.run_id, "partition_date": staged.date, "started_at": staged.started_at}
    if found := warehouse.row("publish/find_obsoleting_run", **key):
        message = "%s  publish    the staged night is dropped: the ledger has %s, %s, in its place"
        log.info(message, staged.date, found["run_id"], found["status"])
        return None
    return conclude(dataset, warehouse, brake, staged)
