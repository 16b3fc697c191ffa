"""The same rows without the model: baselines, and a detector that has never seen a label-derived feature."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import polars as pl

from models.checks.baselines import BASELINES, Score
from models.detector.detector import Detector
from models.detector.scorer import run
from tasks.core.dataset import Dataset
from tasks.core.errors import EvaluationError
from tasks.core.evaluation_result import DETECTOR
from tasks.core.references import Features, Partition, Validated, Version
from tasks.features.build import build_features, feature_batches
from tasks.registry.artifact_store import load
from tasks.scoring.score import BATCH_ROWS
from tasks.source.ingest import read_partition
from tasks.warehouse.connection import Warehouse

REDUCED = "reduced "  # before the names of what scores without label-derived features


@dataclass(frozen=True)
class Compared:
    """scorers: by the name of their column, what scores the rows as the detector's encoder encodes them."""

    detector: Detector
    scorers: Mapping[str, Score]


def stored_features(
    dataset: Dataset, warehouse: Warehouse, day: date, run_id: str, fingerprint: str, staging: Path
) -> Features:
    """The features of a committed night once more, from the source and the run's own quarantine.

    Raises EvaluationError where the source has changed since the night was committed, or the run's rows were
    pruned.
    """
    if warehouse.row("evaluation/find_pruned_run", run_id=run_id):
        raise rows_pruned(day, run_id)
    partition = require_unchanged(dataset, day, fingerprint)
    folder = staging / f"evaluation-{day}"
    folder.mkdir(parents=True, exist_ok=True)
    quarantine = warehouse.frame("evaluation/list_quarantined_rows", run_id=run_id)
    path = folder / "quarantine.parquet"
    quarantine.write_parquet(path)
    validated = Validated(
        partition, path, rows_quarantined=quarantine["row"].n_unique(), data_docs=folder / "none"
    )
    return build_features(dataset, validated, dataset.label_delay_days, folder)


def rows_pruned(day: date, run_id: str) -> EvaluationError:
    """The error of a night whose rows are gone."""
    return EvaluationError(
        f"{day}: the rows of {run_id} were pruned; score it again with `nightscore run --date {day} --force`"
    )


def require_unchanged(dataset: Dataset, day: date, fingerprint: str) -> Partition:
    """The partition of a date as it was when this fingerprint was taken; raises EvaluationError where it has
    changed since.
    """
    partition = read_partition(dataset, day)
    if partition.fingerprint != fingerprint:
        raise EvaluationError(
            f"{day}: the source has changed since it was scored; score it again with `nightscore run "
            f"--date {day}`"
        )
    return partition


def fit_baselines(version: Version) -> Compared:
    """What scores the rows without the trained networks, fitted on the version's own training sample."""
    detector = load(version.path, version.sha256)
    return Compared(detector, {name: fit(detector) for name, fit in BASELINES.items()})


def fit_reduced(version: Version) -> Compared:
    """The detector of a version and its baselines."""
    alone = fit_baselines(version)
    scorers = {DETECTOR: lambda rows: run(alone.detector.scorer.scores, [rows])[1], **alone.scorers}
    return Compared(alone.detector, {f"{REDUCED}{name}": scorer for name, scorer in scorers.items()})


def score_all(dataset: Dataset, features: Features, compared: Sequence[Compared]) -> pl.DataFrame:
    """`partition_date`, `id`, and one column of scores per scorer, for every clean row of a day."""
    return pl.concat(list(_scored(dataset, features, compared)))


def _scored(dataset: Dataset, features: Features, compared: Sequence[Compared]) -> Iterator[pl.DataFrame]:
    for batch in feature_batches(dataset, features, BATCH_ROWS):
        columns = []
        for each in compared:
            encoded = each.detector.encoder.encode(batch)
            columns += [
                pl.Series(name, scorer(encoded), dtype=pl.Float64) for name, scorer in each.scorers.items()
            ]
        yield batch.select(pl.lit(features.date).alias("partition_date"), "id").with_columns(columns)
