"""The training window: its partitions, their features as on their own nights, and the rows to learn from."""

import logging
import math
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import polars as pl

from models.errors import TrainingError
from tasks.core.dataset import Dataset
from tasks.core.errors import PartitionRejected, SourceError, WarehouseMissing
from tasks.core.references import Features, LeftOut, Partition
from tasks.features.build import build_features, feature_batches
from tasks.source.connection import list_dates
from tasks.source.ingest import read_partition
from tasks.validation.validate import validate_partition
from tasks.warehouse.connection import Warehouse

log = logging.getLogger(__name__)
BATCH_ROWS = 250_000
KEYS = ["partition_date", "id"]


@dataclass(frozen=True)
class TrainingRows:
    """The rows of a window, each `partition_date`, `id` and the features, in an order that does not depend on
    the source's.

    normals: all but the known frauds that are left out. frauds: those. unconfirmed: bool (normals,), the ones
    that nothing is fitted to.
    """

    normals: pl.DataFrame
    frauds: pl.DataFrame
    unconfirmed: pl.Series

    @property
    def left_out(self) -> LeftOut:
        return LeftOut(
            rows=self.normals.height + self.frauds.height,
            dates=pl.concat([self.normals["partition_date"], self.frauds["partition_date"]]).n_unique(),
            known_frauds=self.frauds.height,
            unconfirmed=int(self.unconfirmed.sum()),
        )


def read_window(dataset: Dataset, first: date, last: date) -> list[Partition]:
    """The partitions of the dates `first`..`last`, as far as they are there.

    Raises SourceError where there is none.
    """
    days = [day for day in list_dates(dataset.source) if first <= day <= last]
    missing = (last - first).days + 1 - len(days)
    if missing:
        log.warning("%s..%s  train      %d of the window's dates have no partition", first, last, missing)
    if not days:
        raise SourceError(
            f"{first}..{last}: no date of the training window has a partition; train as of a later date"
        )
    return [read_partition(dataset, day) for day in days]


def prepare(dataset: Dataset, partitions: list[Partition], staging: Path) -> list[Features]:
    """Validates every day of the window and builds its features as on its own night; a day that cannot be
    used is left out.
    """
    days = []
    for partition in partitions:
        folder = staging / f"training-{partition.date}"
        folder.mkdir(parents=True, exist_ok=True)
        try:
            validated = validate_partition(dataset, partition, folder)
            days.append(build_features(dataset, validated, dataset.label_delay_days, folder))
        except (SourceError, PartitionRejected) as error:
            log.warning("%s  train      left out of the training window: %s", partition.date, error)
    return days


def find_unconfirmed(
    dataset: Dataset, warehouse: Warehouse, first: date, last: date, labels: pl.DataFrame
) -> pl.DataFrame:
    """`partition_date` and `id` of the rows of the dates `first`..`last` that were flagged and that none of
    these labels explains.

    None where `training.rows` is all. labels: what was known by the time of the training.
    """
    if dataset.training.rows == "all":
        return labels.select(KEYS).clear()
    try:
        flagged = warehouse.frame("training/list_flagged_rows", first_date=first, last_date=last)
    except WarehouseMissing:
        return labels.select(KEYS).clear()
    return flagged.join(
        labels.filter(pl.col("label").is_not_null()), on=KEYS, how="anti", maintain_order="left"
    )


def training_rows(
    dataset: Dataset, days: list[Features], labels: pl.DataFrame, unconfirmed: pl.DataFrame
) -> TrainingRows:
    """The rows to learn from, and those to leave out: known frauds and `unconfirmed` rows, unless
    `training.rows` is all.

    A window of more than `max_rows` is sampled by a hash of the id, the same share of each date. Raises
    TrainingError where no rows are left to learn from.
    """
    if not days:
        raise TrainingError(
            "no date of the training window has a usable partition; train as of a later date or mend "
            "the source"
        )
    share = min(1.0, dataset.training.max_rows / max(1, sum(day.rows for day in days)))
    frames = []
    for day in days:
        rows = pl.concat(list(feature_batches(dataset, day, BATCH_ROWS))).with_columns(
            pl.lit(day.date).alias("partition_date")
        )
        frames.append(_sample(rows, math.ceil(share * day.rows)))
    rows = pl.concat(frames).sort(KEYS)
    known = labels.filter("label" if dataset.training.rows == "normal" else pl.lit(False)).select(KEYS)
    normals = rows.join(known, on=KEYS, how="anti", maintain_order="left")
    if normals.is_empty():
        window = f"{days[0].date}..{days[-1].date}"
        raise TrainingError(
            f"{window}: the training window has no normal rows; check column "
            f'{dataset.columns.label}, or set training.rows = "all"'
        )
    suspects = normals.select(KEYS).join(
        unconfirmed.with_columns(suspect=True), on=KEYS, how="left", maintain_order="left"
    )
    frauds = rows.join(known, on=KEYS, how="semi", maintain_order="left")
    return TrainingRows(normals, frauds, suspects["suspect"].fill_null(False))


def _sample(rows: pl.DataFrame, most: int) -> pl.DataFrame:
    if rows.height <= most:
        return rows
    return rows.sort("id").sample(most, seed=0, shuffle=False)
