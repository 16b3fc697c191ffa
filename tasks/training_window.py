"""The training window: its partitions, their features as on their own nights, and the rows to learn from."""

import logging
from datetime import date
from pathlib import Path

import polars as pl

from models.errors import TrainingError
from tasks.dataset import Dataset
from tasks.errors import PartitionRejected, SourceError
from tasks.features import build_features, feature_batches
from tasks.recipe import Recipe
from tasks.references import Features, Partition
from tasks.source import list_dates, read_partition
from tasks.validate import validate_partition

log = logging.getLogger(__name__)
BATCH_ROWS = 250_000


def read_window(dataset: Dataset, first: date, last: date) -> list[Partition]:
    """The partitions of the dates `first`..`last`, as far as they are there. Raises SourceError where there is none."""
    days = [day for day in list_dates(dataset.source) if first <= day <= last]
    missing = (last - first).days + 1 - len(days)
    if missing:
        log.warning("%s..%s  train      %d of the window's dates have no partition", first, last, missing)
    if not days:
        raise SourceError(f"{first}..{last}: no date of the training window has a partition; train as of a later date")
    return [read_partition(dataset, day) for day in days]


def prepare(recipe: Recipe, partitions: list[Partition], staging: Path) -> list[Features]:
    """Validates every day of the window and builds its features as on its own night; a day that cannot be used is left out."""
    days = []
    for partition in partitions:
        folder = staging / f"training-{partition.date}"
        folder.mkdir(parents=True, exist_ok=True)
        try:
            validated = validate_partition(recipe.dataset, partition, folder)
            days.append(build_features(recipe.dataset, validated, recipe.label_delay_days, folder))
        except (SourceError, PartitionRejected) as error:
            log.warning("%s  train      left out of the training window: %s", partition.date, error)
    return days


def training_rows(recipe: Recipe, days: list[Features], labels: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The rows to learn from and the known frauds, each `id` and the features, in an order that does not depend on the source's.

    Known frauds are no rows to learn from where `training.rows` is normal. A window of more than `max_rows` is sampled by a hash of
    the id. Raises TrainingError where no rows are left to learn from.
    """
    if not days:
        raise TrainingError("no date of the training window has a usable partition; train as of a later date or mend the source")
    frames = []
    for day in days:
        rows = pl.concat(list(feature_batches(recipe.dataset, day, BATCH_ROWS))).with_columns(pl.lit(day.date).alias("partition_date"))
        frames.append(_sample(rows, recipe.training.max_rows // len(days) + 1))
    keys = ["partition_date", "id"]
    rows, known = pl.concat(frames).sort(keys), labels.filter(pl.col("label")).select(keys)
    frauds = rows.join(known, on=keys, how="semi", maintain_order="left")
    learnt = rows.join(known, on=keys, how="anti", maintain_order="left") if recipe.training.rows == "normal" else rows
    if learnt.is_empty():
        window = f"{days[0].date}..{days[-1].date}"
        raise TrainingError(
            f'{window}: the training window has no normal rows; check column {recipe.dataset.columns.label}, or set training.rows = "all"'
        )
    return learnt, frauds


def _sample(rows: pl.DataFrame, most: int) -> pl.DataFrame:
    if rows.height <= most:
        return rows
    return rows.sort("id").sample(most, seed=0, shuffle=False)
