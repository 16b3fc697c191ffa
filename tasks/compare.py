"""The same rows without the model: baselines, and a detector that has never seen a label-derived feature."""

from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path

import numpy as np
import polars as pl

import sql
from models.baselines import BASELINES
from models.detector import Detector
from tasks.dataset import Dataset
from tasks.errors import EvaluationError
from tasks.features import build_features, feature_batches
from tasks.references import Features, Validated, Version
from tasks.score import BATCH_ROWS, load
from tasks.source import read_partition
from tasks.warehouse import WarehouseSettings, reading

Scorer = Callable[[pl.DataFrame], np.ndarray]


def stored_features(
    dataset: Dataset, warehouse: WarehouseSettings, day: date, run_id: str, fingerprint: str, delay_days: int, staging: Path
) -> Features:
    """The features of a committed night once more, from the source and the run's own quarantine.

    Raises EvaluationError where the source has changed since the night was committed.
    """
    partition = read_partition(dataset, day)
    if partition.fingerprint != fingerprint:
        raise EvaluationError(f"{day}: the source has changed since it was scored; score it again with `nightscore run --date {day}`")
    folder = staging / f"evaluation-{day}"
    folder.mkdir(parents=True, exist_ok=True)
    with reading(warehouse, dataset.name) as con:
        quarantine = con.execute(sql.read("quarantine_of_run"), {"run_id": run_id}).pl()
    path = folder / "quarantine.parquet"
    quarantine.write_parquet(path)
    validated = Validated(partition, path, rows_quarantined=quarantine["row"].n_unique(), data_docs=folder / "none")
    return build_features(dataset, validated, delay_days, folder)


def baseline_scorers(version: Version) -> dict[str, Scorer]:
    """What scores the rows without the trained network, by name, fitted on the version's own training sample."""
    detector = load(version.path, version.sha256)
    return {name: fit(detector) for name, fit in BASELINES.items()}


def reduced_scorers(version: Version) -> dict[str, Scorer]:
    """The detector of a version and its baselines, by name."""
    return {"detector": detector_scorer(load(version.path, version.sha256)), **baseline_scorers(version)}


def detector_scorer(detector: Detector) -> Scorer:
    """The detector's own score as a function of rows."""
    return lambda rows: detector.score(rows).score


def score_all(dataset: Dataset, features: Features, scorers: dict[str, Scorer]) -> pl.DataFrame:
    """`partition_date`, `id`, and one column of scores per scorer, for every clean row of a day."""
    return pl.concat(list(_scored(dataset, features, scorers)))


def _scored(dataset: Dataset, features: Features, scorers: dict[str, Scorer]) -> Iterator[pl.DataFrame]:
    for batch in feature_batches(dataset, features, BATCH_ROWS):
        columns = [pl.Series(name, scorer(batch), dtype=pl.Float64) for name, scorer in scorers.items()]
        yield batch.select(pl.lit(features.date).alias("partition_date"), "id").with_columns(columns)
