"""The same rows without the model: baselines, and a detector that has never seen a label-derived feature."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import polars as pl

from models.checks.baselines import BASELINES, Score
from models.detector.detector import Detector
from tasks.core.dataset import Dataset
from tasks.core.errors import EvaluationError
from tasks.core.evaluation_result import DETECTOR
from tasks.core.forgotten import is_forgotten
from tasks.core.references import Features, Partition, Validated, Version
from tasks.core.row_sums import sum_of_ids
from tasks.evaluation.scored_copies import find_scored_copies
from tasks.features.build import build_features, feature_batches
from tasks.registry.artifact_store import load
from tasks.scoring.row_stream import BATCH_ROWS
from tasks.source.connection import connect, readable
from tasks.source.identities import read_identities, read_rows
from tasks.source.ingest import read_partition
from tasks.source.view import create_view
from tasks.warehouse.connection import Warehouse

WITHOUT_HEAD = "without_head"
REDUCED = "reduced "  # before the names of what scores without label-derived features


@dataclass(frozen=True)
class Compared:
    """scorers: by the name of their column, what scores the rows as the detector's encoder encodes them."""

    detector: Detector
    scorers: Mapping[str, Score]


def stored_features(
    dataset: Dataset, warehouse: Warehouse, day: date, run_id: str, fingerprint: str, staging: Path
) -> Features:
    """The features of a committed night once more: of the rows of the source whose ids the run has scored.

    Raises EvaluationError where the source has changed since the night was committed, or the run's rows were
    pruned.
    """
    if warehouse.row("evaluation/find_pruned_run", run_id=run_id):
        raise rows_pruned(day, run_id)
    partition = require_unchanged(dataset, warehouse, day, fingerprint)
    folder = staging / f"evaluation-{day}"
    folder.mkdir(parents=True, exist_ok=True)
    validated = _validated_again(dataset, warehouse, partition, run_id, folder)
    return build_features(dataset, validated, dataset.label_delay_days, folder)


def _validated_again(
    dataset: Dataset, warehouse: Warehouse, partition: Partition, run_id: str, folder: Path
) -> Validated:
    """The partition with the rows refused that a committed run has not scored, or that were forgotten."""
    day, stored = partition.date, warehouse.frame("evaluation/list_scored_rows", run_id=run_id)
    scored = stored.filter(~is_forgotten("id"))["id"]
    with connect(dataset.source) as con, readable(dataset.source, day):
        view = create_view(con, dataset, "day", [day])
        identities = read_identities(con, dataset, view)
        quarantined = warehouse.frame("evaluation/list_quarantined_contents", run_id=run_id)
        copies = find_scored_copies(con, dataset, view, identities, scored, quarantined)
        found = read_rows(con, view, identities)
    chosen = copies.with_columns(is_scored=True)
    rows = found.join(chosen, on=["id", "copy"], how="left", nulls_equal=True)
    refused = identities.refused([rows.filter(pl.col("is_scored").is_null()).select("id", "copy")])
    if (absent := len(scored) - (identities.rows - refused.height)) > 0:
        raise EvaluationError(
            f"{day}: {absent:,} of the {len(scored):,} scored rows are no longer in the source; score it "
            f"again with `nightscore run --date {day} --force`"
        )
    path = folder / "refused.parquet"
    refused.write_parquet(path)
    clean, none = sum_of_ids(scored), folder / "none"
    return Validated(partition, path, none, refused.height, found=clean, clean=clean, data_docs=none)


def rows_pruned(day: date, run_id: str) -> EvaluationError:
    """The error of a night whose rows are gone."""
    return EvaluationError(
        f"{day}: the rows of {run_id} were pruned; score it again with `nightscore run --date {day} --force`"
    )


def require_unchanged(dataset: Dataset, warehouse: Warehouse, day: date, fingerprint: str) -> Partition:
    """The partition of a date as it was when this fingerprint was taken; raises EvaluationError where it has
    changed since.
    """
    partition = read_partition(dataset, day, warehouse.files)
    if fingerprint not in partition.fingerprints:
        raise EvaluationError(
            f"{day}: the source has changed since it was scored; score it again with `nightscore run "
            f"--date {day}`"
        )
    return partition


def fit_baselines(version: Version) -> Compared:
    """What scores the rows without the trained networks, fitted on the version's own training sample."""
    detector = load(version.path, version.sha256)
    return Compared(detector, {name: fit(detector) for name, fit in BASELINES.items()})


def with_networks_alone(compared: Compared) -> Compared:
    """The same, and the version's own networks without its head."""
    alone = compared.detector.autoencoder
    return Compared(
        compared.detector, {WITHOUT_HEAD: lambda rows: alone.scores([rows])[1], **compared.scorers}
    )


def fit_reduced(version: Version) -> Compared:
    """The detector of a version and its baselines."""
    alone = fit_baselines(version)
    scorers = {DETECTOR: lambda rows: alone.detector.scorer.scores([rows])[1], **alone.scorers}
    return Compared(alone.detector, {f"{REDUCED}{name}": scorer for name, scorer in scorers.items()})


def score_all(dataset: Dataset, features: Features, compared: Sequence[Compared]) -> pl.DataFrame:
    """`partition_date`, `id`, and one column of scores per scorer, for every clean row of a day."""
    return pl.concat(list(_scored(dataset, features, compared)))


def _scored(dataset: Dataset, features: Features, compared: Sequence[Compared]) -> Iterator[pl.DataFrame]:
    for batch in feature_batches(dataset, features, BATCH_ROWS):
        columns = []
        for each in compared:
            encoded = each.detector.encoder.encode(batch.features)
            columns += [
                pl.Series(name, scorer(encoded), dtype=pl.Float64) for name, scorer in each.scorers.items()
            ]
        yield batch.keys.select(pl.lit(features.date).alias("partition_date"), "id").with_columns(columns)
