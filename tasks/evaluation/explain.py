"""Why one row has its score: every feature's share in it, with the observed and the reconstructed value."""

from dataclasses import dataclass
from datetime import date
from pathlib import Path

import polars as pl

from models.detector.explanation import reasons
from tasks.core.errors import EvaluationError
from tasks.core.masking import MASK
from tasks.core.recipe import Recipe
from tasks.evaluation.baseline_scores import stored_features
from tasks.features.build import feature_batches
from tasks.registry.artifact_store import as_found, load
from tasks.scoring.score import BATCH_ROWS
from tasks.warehouse.connection import look_up
from tasks.warehouse.settings import WarehouseSettings


@dataclass(frozen=True)
class Share:
    """One feature of a row.

    share: of the score, 0 to 1. observed, expected: in source units, masked where the column is private.
    """

    feature: str
    share: float
    contribution: float
    observed: str
    expected: str


@dataclass(frozen=True)
class ExplainedRow:
    """A scored row. shares: every feature, the largest contribution first."""

    date: date
    id: str
    model_version: str
    error: float
    score: float
    p_value: float
    rank: int
    is_flagged: bool
    threshold: float
    shares: tuple[Share, ...]


def explain_row(
    recipe: Recipe, warehouse: WarehouseSettings, day: date, row_id: str, staging: Path
) -> ExplainedRow:
    """What the current run of a date says of a row, from the source and the version that scored it.

    Raises EvaluationError where no such row is scored, or the source has changed since.
    """
    dataset = recipe.dataset
    found = look_up(
        warehouse, dataset.name, "evaluation/find_scored_row", {"partition_date": day, "id": row_id}
    )
    if found is None:
        run = look_up(warehouse, dataset.name, "evaluation/find_run_as_of", {"partition_date": day})
        if run and run[-1]:
            raise EvaluationError(
                f"{day}: the rows of {run[0]} were pruned; score it again with `nightscore run --date "
                f"{day} --force`"
            )
        raise EvaluationError(
            f"{day}: no row with {dataset.columns.id} {row_id} is scored; look for it with `nightscore sql`"
        )
    run_id, error, score, p_value, rank, is_flagged, fingerprint, threshold, version, path, sha256 = found
    features = stored_features(dataset, warehouse, day, run_id, fingerprint, recipe.label_delay_days, staging)
    row = pl.concat(
        [batch.filter(pl.col("id") == row_id) for batch in feature_batches(dataset, features, BATCH_ROWS)]
    )
    explanation = load(as_found(warehouse, path), sha256).explain(row)
    lines = reasons(explanation, top=len(explanation.features))[0].to_list()
    total = sum(line["contribution"] for line in lines)
    shares = tuple(
        Share(
            line["feature"],
            line["contribution"] / total if total else 0.0,
            line["contribution"],
            *(
                (MASK, MASK)
                if line["feature"] in dataset.columns.private
                else (line["observed"], line["expected"])
            ),
        )
        for line in lines
    )
    return ExplainedRow(day, row_id, version, error, score, p_value, rank, is_flagged, threshold, shares)
