"""Why one row has its score: every feature's share in it, with the observed and the reconstructed value."""

from dataclasses import dataclass
from datetime import date
from pathlib import Path

import polars as pl

from models.detector.explanation import reasons
from tasks.core.dataset import Dataset
from tasks.core.errors import EvaluationError
from tasks.core.masking import MASK
from tasks.evaluation.baseline_scores import rows_pruned, stored_features
from tasks.features.build import feature_batches
from tasks.registry.artifact_store import as_found, load
from tasks.scoring.row_stream import BATCH_ROWS
from tasks.warehouse.connection import Warehouse


@dataclass(frozen=True)
class Share:
    """One feature of a row.

    share: of what speaks for strangeness, 0 to 1. observed, expected: in source units. usual: what is usual
    on the training rows, in words; None for pixels. All three are masked where the column is private.
    """

    feature: str
    share: float
    contribution: float
    observed: str
    expected: str
    usual: str | None


@dataclass(frozen=True)
class ExplainedRow:
    """A scored row. shares: every feature, the largest contribution first; they add up to 1. held_out: the
    number of rows that the p-value comes from.
    """

    date: date
    id: str
    model_version: str
    error: float
    score: float
    p_value: float
    held_out: int
    rank: int
    is_flagged: bool
    threshold: float
    shares: tuple[Share, ...]


def explain_row(
    dataset: Dataset, warehouse: Warehouse, day: date, row_id: str, staging: Path
) -> ExplainedRow:
    """What the current run of a date says of a row, from the source and the version that scored it.

    Raises EvaluationError where no such row is scored, or the source has changed since.
    """
    found = warehouse.row("evaluation/find_scored_row", partition_date=day, id=row_id)
    if found is None:
        run = warehouse.row("evaluation/find_run_as_of", partition_date=day)
        if run and run["pruned_at"]:
            raise rows_pruned(day, run["run_id"])
        raise EvaluationError(
            f"{day}: no row with {dataset.columns.id} {row_id} is scored; look for it with `nightscore sql`"
        )
    features = stored_features(dataset, warehouse, day, found["run_id"], found["source_fingerprint"], staging)
    batches = feature_batches(dataset, features, BATCH_ROWS)
    row = pl.concat([batch.filter(batch.keys["id"] == row_id).features for batch in batches])
    detector = load(as_found(warehouse, found["artifact_path"]), found["artifact_sha256"])
    explanation = detector.explain(row)
    lines = reasons(explanation, top=len(explanation.features))[0].to_list()
    masked = dict.fromkeys(("observed", "expected", "usual"), MASK)
    shares = tuple(Share(**line | (masked if dataset.is_private(line["feature"]) else {})) for line in lines)
    return ExplainedRow(
        date=day,
        id=row_id,
        model_version=found["version"],
        error=found["error"],
        score=found["score"],
        p_value=found["p_value"],
        held_out=len(detector.calibration.held_out),
        rank=found["rank"],
        is_flagged=found["is_flagged"],
        threshold=found["threshold"],
        shares=shares,
    )
