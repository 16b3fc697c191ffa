"""Scored nights whose source has changed since, or has not."""

import logging
from collections.abc import Sequence
from datetime import date

from tasks.core.dataset import Dataset
from tasks.core.errors import SourceError
from tasks.publishing.held import SetAside, set_aside
from tasks.source.ingest import read_partition
from tasks.warehouse.connection import Warehouse

log = logging.getLogger(__name__)


def changed_since(dataset: Dataset, warehouse: Warehouse, days: Sequence[date]) -> list[date]:
    """Returns those of the committed dates `days` whose partition or look-back is not what was scored.

    A new label is no change; a partition that can no longer be read is one.
    """
    if not days:
        return []
    found = warehouse.rows("publish/list_fingerprints", first_date=days[0], last_date=days[-1])
    scored = {row["partition_date"]: row["source_fingerprint"] for row in found}
    changed = [day for day in days if scored[day] not in _fingerprints(dataset, warehouse, day)]
    for day in changed:
        log.info("%s  catch-up   the source has changed since it was scored", day)
    return changed


def unchanged_aside(dataset: Dataset, warehouse: Warehouse) -> list[SetAside]:
    """Returns the held and discarded nights whose source is still what was scored: nothing is gained by
    scoring them again.
    """
    return [
        night
        for night in set_aside(warehouse)
        if night.fingerprint in _fingerprints(dataset, warehouse, night.date)
    ]


def _fingerprints(dataset: Dataset, warehouse: Warehouse, day: date) -> tuple[str, ...]:
    try:
        return read_partition(dataset, day, warehouse.files).fingerprints
    except SourceError:  # the night itself will say what is wrong
        return ()
