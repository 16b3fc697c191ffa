"""Which committed nights are not what the source says any more."""

import logging
from collections.abc import Sequence
from datetime import date

import sql
from tasks.core.dataset import Dataset
from tasks.core.errors import SourceError
from tasks.source.ingest import read_partition
from tasks.warehouse.connection import reading
from tasks.warehouse.settings import WarehouseSettings

log = logging.getLogger(__name__)


def changed_since(dataset: Dataset, warehouse: WarehouseSettings, days: Sequence[date]) -> list[date]:
    """Those of the committed dates `days` whose partition, or its look-back, has other content than what was
    scored.

    A label that arrived is no change; a partition that cannot be read any more is one.
    """
    if not days:
        return []
    with reading(warehouse, dataset.name) as con:
        scored = dict(
            con.execute(
                sql.read("publish/list_fingerprints"), {"first_date": days[0], "last_date": days[-1]}
            ).fetchall()
        )
    changed = [day for day in days if _fingerprint(dataset, day) != scored[day]]
    for day in changed:
        log.info("%s  catch-up   the source has changed since it was scored", day)
    return changed


def _fingerprint(dataset: Dataset, day: date) -> str | None:
    try:
        return read_partition(dataset, day).fingerprint
    except SourceError:  # the night itself will say what is wrong
        return None
