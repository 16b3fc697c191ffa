"""What the heads of champion and challenger bought, on the rows that decide between the two."""

import logging
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import duckdb
import polars as pl

from models.detector.detector import Detector
from models.errors import ModelError
from models.evaluation.comparison import paired_difference
from models.evaluation.metrics import metrics
from tasks.core.dataset import Dataset
from tasks.core.errors import NightError
from tasks.core.forgotten import is_forgotten
from tasks.core.references import Version
from tasks.core.staging import scratch_folder
from tasks.evaluation.baseline_scores import Compared, score_all, stored_features
from tasks.monitoring.promotion_rule import labelled_rows
from tasks.monitoring.settings import ChallengerSettings
from tasks.registry.artifact_store import load
from tasks.warehouse.connection import Warehouse

log = logging.getLogger(__name__)
KEYS = ["partition_date", "id"]


def tell_heads(
    dataset: Dataset,
    warehouse: Warehouse,
    rule: ChallengerSettings,
    versions: Mapping[str, Version],
    rows: pl.DataFrame,
) -> str:
    """Returns a clause for each version with a head: the metric without it on the same rows, and the paired
    difference; nothing where none has one. Rows that were forgotten cannot be scored again, and do not count.

    versions: by champion and challenger. rows: those of `sql/monitoring/list_shared_scores.sql` that decide.
    The decision does not depend on it: what cannot be scored again is said.
    """
    names = [version.name for version in versions.values()]
    with_head = {row["version"] for row in warehouse.rows("monitoring/list_heads", versions=names)}
    if not with_head:
        return ""
    heads = {
        who: load(version.path, version.sha256)
        for who, version in versions.items()
        if version.name in with_head
    }
    labelled = rows.filter(pl.col("label").is_not_null() & ~is_forgotten("id"))
    try:
        with scratch_folder(warehouse.files) as staging:
            scored = _scored(dataset, warehouse, heads, labelled, staging)
    except (NightError, ModelError, duckdb.Error) as error:
        return f"; what the head bought could not be measured: {error}"
    return "".join(_clause(scored, who, rule, bool(dataset.columns.entity)) for who in heads)


def _scored(
    dataset: Dataset, warehouse: Warehouse, heads: Mapping[str, Detector], rows: pl.DataFrame, staging: Path
) -> pl.DataFrame:
    """The rows with the score of each of these versions without its head."""
    dates = rows["partition_date"].unique()
    window = {"first_date": dates.min(), "last_date": dates.max()}
    runs = warehouse.frame("evaluation/list_window_runs", **window)
    compared = [_alone(who, detector) for who, detector in heads.items()]
    days = []
    for run in runs.filter(pl.col("partition_date").is_in(dates.implode())).iter_rows(named=True):
        night = (run["partition_date"], run["run_id"], run["source_fingerprint"])
        days.append(score_all(dataset, stored_features(dataset, warehouse, *night, staging), compared))
    return rows.join(pl.concat(days), on=KEYS, how="left", maintain_order="left", validate="1:1")


def _alone(who: str, detector: Detector) -> Compared:
    return Compared(detector, {_column(who): lambda rows: detector.autoencoder.scores([rows])[1]})


def _column(who: str) -> str:
    return f"{who}_score_without_head"


def _clause(rows: pl.DataFrame, who: str, rule: ChallengerSettings, has_entities: bool) -> str:
    with_head = labelled_rows(rows, who, has_entities)
    without = replace(with_head, scores=rows[_column(who)].to_numpy())
    found = paired_difference(without, with_head, metrics()[rule.metric], rule.confidence)
    if found is None:
        return ""
    return (
        f"; without its head the {who} has {found.champion:.3f}, {rule.confidence:g} interval "
        f"{found.low:+.3f}..{found.high:+.3f} of what the head adds"
    )
