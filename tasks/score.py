"""Scoring: the day's features stream through one compiled graph; the staged result has one row per clean row."""

import logging
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

import numpy as np
import polars as pl
from prefect import task
from prefect.cache_policies import NO_CACHE

from models import artifacts
from models.detector import Detector
from models.settings import ThresholdSettings
from models.thresholds import THRESHOLDS, NightScores
from tasks.dataset import Dataset
from tasks.errors import NightError
from tasks.features import feature_batches
from tasks.references import Features, Scored, Version

log = logging.getLogger(__name__)
BATCH_ROWS = 65_536
KEYS = ["row", "id", "entity", "event_time"]
load = lru_cache(maxsize=2)(artifacts.load)  # a compiled graph is worth keeping for the next night of the same process


@task(cache_policy=NO_CACHE)
def score(dataset: Dataset, features: Features, version: Version, threshold: ThresholdSettings, staging: Path) -> Scored:
    """Error, score, p-value, rank, flag and reasons of every clean row; see `score_day`."""
    return score_day(dataset, features, version, threshold, staging)


def score_day(dataset: Dataset, features: Features, version: Version, threshold: ThresholdSettings, staging: Path) -> Scored:
    """Writes `scores.parquet` into the staging folder.

    Raises ArtifactError where the version's files are not the ones that were written, ThresholdError where the strategy cannot be
    applied, NightError where the rows that were read are not the rows that were validated.
    """
    detector = load(version.path, version.sha256)
    keys: list[pl.DataFrame] = []
    scores = detector.score_batches(_remembering(keys, feature_batches(dataset, features, BATCH_ROWS)), BATCH_ROWS)
    rows = pl.concat(keys)
    if rows.height != features.rows:
        read = f"{rows.height} rows were read where {features.rows} were validated"
        raise NightError(f"{features.date}: {read}; the source changed meanwhile, run the night again")
    p_values = detector.p_values(scores.score)
    entities = rows["entity"].fill_null(rows["id"])
    verdict = THRESHOLDS[threshold.strategy](NightScores(scores.score, p_values, entities), detector.calibration, threshold.value)
    explained = verdict.flagged | (p_values <= detector.settings.explain_below)
    staged = rows.with_columns(
        error=pl.Series(scores.error, dtype=pl.Float32),
        score=pl.Series(scores.score, dtype=pl.Float32),
        p_value=pl.Series(p_values),
        rank=pl.Series(scores.score).rank("min", descending=True).cast(pl.Int64),
        is_flagged=pl.Series(verdict.flagged),
    ).join(_reasons(dataset, features, detector, rows["row"].filter(pl.Series(explained))), on="row", how="left", maintain_order="left")
    path = staging / "scores.parquet"
    staged.write_parquet(path)
    flagged = int(np.count_nonzero(verdict.flagged))
    log.info("%s  score      %s rows with %s, %s flagged", features.date, f"{rows.height:,}", version.name, f"{flagged:,}")
    return Scored(path=path, rows=rows.height, flagged=flagged, threshold=verdict.threshold)


def _remembering(keys: list[pl.DataFrame], batches: Iterator[pl.DataFrame]) -> Iterator[pl.DataFrame]:
    for batch in batches:
        keys.append(batch.select(KEYS))
        yield batch


def _reasons(dataset: Dataset, features: Features, detector: Detector, chosen: pl.Series) -> pl.DataFrame:
    """Row number and reasons of the chosen rows, in a second pass that reads them alone."""
    found = [batch.filter(pl.col("row").is_in(chosen.implode())) for batch in feature_batches(dataset, features, BATCH_ROWS)]
    rows = pl.concat(found)
    return rows.select("row").with_columns(detector.reasons(rows).alias("reasons"))
