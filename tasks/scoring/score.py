"""Scoring: the day's features stream through the compiled graphs of the champion and of each challenger; one
staged row per clean row.
"""

import logging
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import polars as pl

from models.flagging.flags import NightScores, unusual_flags
from models.flagging.thresholds import decide
from models.settings import ThresholdSettings
from tasks.core.atomic_files import atomic_path
from tasks.core.dataset import Dataset
from tasks.core.errors import NightError
from tasks.core.references import Features, Scored, ScoringModels
from tasks.core.step import step
from tasks.features.build import feature_batches
from tasks.features.row_details import read_details
from tasks.registry.artifact_store import load
from tasks.scoring.drift_profile import Profiler
from tasks.scoring.shadow_scoring import Shadows

log = logging.getLogger(__name__)
BATCH_ROWS = 65_536
KEYS = ["row", "id", "entity", "event_time"]


@step
def score(
    dataset: Dataset,
    features: Features,
    scoring_models: ScoringModels,
    threshold: ThresholdSettings,
    staging: Path,
) -> Scored:
    """Error, score, p-value, rank, flag and reasons of every clean row, and what the challengers say of it;
    see `score_day`.
    """
    return score_day(dataset, features, scoring_models, threshold, staging)


def score_day(
    dataset: Dataset,
    features: Features,
    scoring_models: ScoringModels,
    threshold: ThresholdSettings,
    staging: Path,
) -> Scored:
    """Writes `scores.parquet`, `profile.parquet`, and where there are challengers `shadows.parquet`, into the
    staging folder.

    A challenger that cannot be scored is left out with a warning.
    Raises ArtifactError where the champion's files are not the ones that were written, ThresholdError where
    the strategy cannot be applied, NightError where the rows that were read are not the rows that were
    validated.
    """
    version, shadows = scoring_models.champion, Shadows(features.date, scoring_models.challengers)
    detector = load(version.path, version.sha256)
    explain_below, profiler = detector.settings.explain_below, Profiler(detector, features.rows)
    scored: list[pl.DataFrame] = []
    unlikely: list[pl.DataFrame] = []
    for batch in _read_ahead(feature_batches(dataset, features, BATCH_ROWS)):
        scores = detector.score(batch)
        p_values = pl.Series("p_value", detector.p_values(scores.score))
        keys = batch.select(KEYS)[
            np.arange(len(batch))
        ]  # copied: a column would keep its whole batch in memory
        scored.append(
            keys.with_columns(pl.Series("error", scores.error), pl.Series("score", scores.score), p_values)
        )
        unlikely.append(batch.filter(p_values <= explain_below))
        shadows.see(batch)
        profiler.see(batch, scores)
    rows, explained = _with_details(dataset, features, pl.concat(scored)), pl.concat(unlikely)
    if rows.height != features.rows:
        read = f"{rows.height} rows were read where {features.rows} were validated"
        raise NightError(f"{features.date}: {read}; the source changed meanwhile, run the night again")
    night = NightScores(
        rows["score"].to_numpy(), rows["p_value"].to_numpy(), rows["entity"].fill_null(rows["id"])
    )
    verdict = decide(night, detector.calibration, threshold)
    if odd := unusual_flags(night, verdict):
        log.warning("%s  score      threshold.strategy %s: %s", features.date, threshold.strategy, odd)
    flagged = pl.Series("is_flagged", verdict.flagged)
    likely_but_flagged = rows["row"].filter(flagged & (rows["p_value"] > explain_below))
    explained = pl.concat([explained, *_rows_of(dataset, features, likely_but_flagged)])
    reasons = explained.select("row", detector.reasons(explained).alias("reasons"))
    rank = pl.col("score").rank("min", descending=True).cast(pl.Int64).alias("rank")
    path = staging / "scores.parquet"
    with atomic_path(path) as staged:
        whole = rows.with_columns(rank, flagged).join(reasons, on="row", how="left", maintain_order="left")
        whole.write_parquet(staged, compression="lz4")
    count = int(np.count_nonzero(verdict.flagged))
    log.info(
        "%s  score      %s rows with %s, %s flagged",
        features.date,
        f"{rows.height:,}",
        version.name,
        f"{count:,}",
    )
    beside = shadows.write(rows.select("id", "entity"), threshold, staging / "shadows.parquet")
    profile = profiler.write(verdict.threshold, staging / "profile.parquet")
    return Scored(path, rows.height, count, verdict.threshold, shadows=beside, profile=profile)


def _with_details(dataset: Dataset, features: Features, rows: pl.DataFrame) -> pl.DataFrame:
    """The rows with their `details`, null where none are asked for; a row that is no longer the same in the
    source is left out.
    """
    if not dataset.columns.details:
        return rows.with_columns(details=pl.lit(None, pl.String))
    return rows.join(read_details(dataset, features), on=["row", "id"], maintain_order="left")


def _read_ahead(batches: Iterator[pl.DataFrame]) -> Iterator[pl.DataFrame]:
    """The next batch is read while this one is scored."""
    with ThreadPoolExecutor(1) as reader:
        ahead = reader.submit(next, batches, None)
        while (batch := ahead.result()) is not None:
            ahead = reader.submit(next, batches, None)
            yield batch


def _rows_of(dataset: Dataset, features: Features, numbers: pl.Series) -> Iterator[pl.DataFrame]:
    """The features of some rows alone, read once more; nothing is read where there are none."""
    for batch in feature_batches(dataset, features, BATCH_ROWS) if len(numbers) else ():
        yield batch.filter(pl.col("row").is_in(numbers.implode()))
