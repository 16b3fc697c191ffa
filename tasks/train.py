"""Training: the window of dates whose labels are known, and a version learnt from it."""

import hashlib
import json
import logging
import shutil
from datetime import date
from pathlib import Path

import polars as pl
from prefect import task
from prefect.cache_policies import NO_CACHE

from models import artifacts, detector
from models.errors import TrainingError
from models.settings import TrainingSettings
from models.training import OnEpoch
from tasks.dataset import Dataset
from tasks.errors import PartitionRejected, SourceError
from tasks.features import build_features, feature_batches
from tasks.labels import read_labels
from tasks.recipe import Recipe
from tasks.references import Features, Partition, Version
from tasks.registry import find_version, promote, register
from tasks.source import list_dates, read_partition
from tasks.validate import validate_partition
from tasks.warehouse import WarehouseSettings

log = logging.getLogger(__name__)
BATCH_ROWS = 250_000


@task(cache_policy=NO_CACHE)
def train(recipe: Recipe, warehouse: WarehouseSettings, as_of: date, staging: Path, why: str) -> Version:
    """A version from the labels known at the start of `as_of`, promoted to champion from that date on; see `train_version`."""
    version = train_version(recipe, warehouse, as_of, staging)
    promote(warehouse, recipe.dataset.name, version, why)
    return version


def train_version(recipe: Recipe, warehouse: WarehouseSettings, as_of: date, staging: Path) -> Version:
    """Learns a version and registers it; the same rows, labels and configuration give the stored one.

    Raises TrainingError where the window has no rows to learn from, or what was learnt is no detector.
    """
    first, last = recipe.window(as_of)
    partitions = _read_window(recipe.dataset, first, last)
    labels = read_labels(recipe.dataset, first, last)
    name = f"{as_of}-{_digest(recipe, partitions, labels)[:8]}"
    if known := find_version(warehouse, recipe.dataset.name, name):
        log.info("%s  train      %s was trained from the same rows, labels and configuration; it is used as it is", as_of, name)
        return known
    rows = training_rows(recipe, _prepare(recipe, partitions, staging), labels)
    log.info("%s  train      %s rows of %s..%s", as_of, f"{rows.height:,}", first, last)
    features = recipe.dataset.features
    learnt = detector.train(
        rows,
        features.numeric,
        features.categorical,
        recipe.model,
        recipe.training,
        _epoch_logger(as_of, recipe.training),
        image=features.image,
    )
    if known := find_version(warehouse, recipe.dataset.name, name):
        return known  # another process has registered it meanwhile
    path = recipe.models / name
    shutil.rmtree(path, ignore_errors=True)  # left by a run that ended before it could register the version
    version = Version(name=name, as_of=as_of, first_date=first, last_date=last, path=path, sha256=artifacts.save(learnt, path))
    register(recipe, warehouse, version, learnt, rows.height)
    return version


def training_rows(recipe: Recipe, days: list[Features], labels: pl.DataFrame) -> pl.DataFrame:
    """The rows to learn from, in an order that does not depend on the source's: `id` and the features.

    Known frauds are left out where `training.rows` is normal. A window of more than `max_rows` is sampled by a hash of the id.
    Raises TrainingError where no rows are left.
    """
    if not days:
        raise TrainingError("no date of the training window has a usable partition; train as of a later date or mend the source")
    frauds = labels.filter(pl.col("label")).select("partition_date", "id")
    frames = []
    for day in days:
        rows = pl.concat(list(feature_batches(recipe.dataset, day, BATCH_ROWS))).with_columns(pl.lit(day.date).alias("partition_date"))
        if recipe.training.rows == "normal":
            rows = rows.join(frauds, on=["partition_date", "id"], how="anti")
        frames.append(_sample(rows, recipe.training.max_rows // len(days) + 1))
    rows = pl.concat(frames).sort("partition_date", "id")
    if rows.is_empty():
        window = f"{days[0].date}..{days[-1].date}"
        raise TrainingError(
            f'{window}: the training window has no normal rows; check column {recipe.dataset.columns.label}, or set training.rows = "all"'
        )
    return rows


def _sample(rows: pl.DataFrame, most: int) -> pl.DataFrame:
    if rows.height <= most:
        return rows
    return rows.sort("id").sample(most, seed=0, shuffle=False)


def _read_window(dataset: Dataset, first: date, last: date) -> list[Partition]:
    days = [day for day in list_dates(dataset.source) if first <= day <= last]
    missing = (last - first).days + 1 - len(days)
    if missing:
        log.warning("%s..%s  train      %d of the window's dates have no partition", first, last, missing)
    if not days:
        raise SourceError(f"{first}..{last}: no date of the training window has a partition; train as of a later date")
    return [read_partition(dataset, day) for day in days]


def _prepare(recipe: Recipe, partitions: list[Partition], staging: Path) -> list[Features]:
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


def _digest(recipe: Recipe, partitions: list[Partition], labels: pl.DataFrame) -> str:
    """Identifies what a version is learnt from: configuration, content of the window, and its known frauds."""
    frauds = labels.filter(pl.col("label")).select(pl.concat_str("partition_date", "id", separator="/")).to_series().sort()
    content = [recipe.training_hash, [partition.fingerprint for partition in partitions], "\n".join(frauds)]
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()


def _epoch_logger(as_of: date, training: TrainingSettings) -> OnEpoch:
    def log_epoch(epoch: int, loss: float, validation_loss: float) -> None:
        if epoch == 1 or epoch % 5 == 0:
            log.info(
                "%s  train      epoch %2d of at most %d: loss %.4f, held out %.4f", as_of, epoch, training.epochs, loss, validation_loss
            )

    return log_epoch
