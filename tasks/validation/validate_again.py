"""Validates a day of which no page is read: one of a training window, or of a replay."""

import logging
from pathlib import Path

from tasks.core.dataset import Dataset
from tasks.core.references import Partition, Validated
from tasks.source.connection import connect, readable
from tasks.source.identities import read_identities
from tasks.source.look_back import check_date
from tasks.source.view import create_view
from tasks.validation.validate import require_rows, validate_partition

log = logging.getLogger(__name__)


def validate_again(dataset: Dataset, partition: Partition, staging: Path) -> Validated:
    """Returns and raises what `validate_partition` does, but writes neither a page nor an empty quarantine.

    The rules are first counted in DuckDB, in a fraction of the time. Great Expectations judges a day on which
    a row or a column breaks one, and every day with images.
    """
    image = dataset.features.image
    return (None if image else _unbroken(dataset, partition, staging)) or validate_partition(
        dataset, partition, staging
    )


def _unbroken(dataset: Dataset, partition: Partition, staging: Path) -> Validated | None:
    """The partition with all its rows; None where something breaks a rule."""
    day = partition.date
    with connect(dataset.source) as con, readable(dataset.source, day):
        check = check_date(con, dataset, day, partition.rows)
        if check.reason or check.bad:
            return None
        identities = read_identities(con, dataset, create_view(con, dataset, "day", [day]))
        require_rows(partition, identities)
        refused = identities.refused([])
        found, clean = identities.sums(con, refused)
    path, none = staging / "refused.parquet", staging / "none"
    refused.write_parquet(path)
    log.info("%s  validate   %s rows, no rule is broken", day, f"{partition.rows:,}")
    return Validated(partition, path, none, 0, found, clean, data_docs=none)
