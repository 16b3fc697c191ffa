"""Scoring: the day's features stream through the compiled graphs of the champion and of each challenger; one
staged row per clean row.
"""

import logging
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import polars as pl

from models.detector.detector import Detector, Scores
from models.flagging.flags import unusual_flags
from models.flagging.reserve import flag_night, patterns
from models.settings import ThresholdSettings
from tasks.core.atomic_files import atomic_path
from tasks.core.dataset import Dataset
from tasks.core.errors import NightError
from tasks.core.progress import advance
from tasks.core.references import Features, Scored, ScoringModels, of_unknown_pattern
from tasks.core.row_sums import sum_of_ids
from tasks.core.step import step
from tasks.features.build import FeatureBatch, feature_batches, read_clean_ids
from tasks.features.row_details import read_details
from tasks.registry.artifact_store import load
from tasks.scoring.drift_profile import Profiler
from tasks.scoring.masked_reasons import mask_reasons
from tasks.scoring.shadow_scoring import Shadows

log = logging.getLogger(__name__)
BATCH_ROWS = 65_536


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
    profiler = Profiler(detector, features.rows)
    rows, explained, empty = _scored_rows(dataset, features, detector, shadows, profiler)
    scores, entities = _scores(rows), rows["entity"].fill_null(rows["id"])
    flags = flag_night(detector, scores, rows["p_value"].to_numpy(), threshold, entities, rows["id"])
    if odd := unusual_flags(scores.score, flags):
        log.warning("%s  score      threshold.strategy %s: %s", features.date, threshold.strategy, odd)
    flagged = pl.Series("is_flagged", flags.flagged)
    likely = rows["id"].filter(flagged & (rows["p_value"] > detector.settings.explain_below))
    reasons = _reasons(dataset, detector, [*explained, *_batches_of(dataset, features, likely)])
    rank, rank_alone = (
        pl.col(ranked).rank("min", descending=True).cast(pl.Int64).alias(name)
        for ranked, name in (("score", "rank"), ("alone", "rank_alone"))
    )
    path = staging / "scores.parquet"
    with atomic_path(path) as staged:
        ranked = rows.with_columns(rank, rank_alone, flagged, patterns(flags)).drop("alone")
        whole = ranked.join(reasons, on="id", how="left", maintain_order="left")
        _with_details(dataset, features, whole).write_parquet(staged, compression="lz4")
    count = int(np.count_nonzero(flags.flagged))
    unknown = None if flags.unknown is None else int(np.count_nonzero(flags.unknown))
    log.info(
        "%s  score      %s rows with %s, %s flagged%s",
        features.date,
        f"{rows.height:,}",
        version.name,
        f"{count:,}",
        of_unknown_pattern(unknown),
    )
    for note in empty:
        log.warning("%s  score      %s", features.date, note)
    beside = shadows.write(rows.select("id", "entity"), threshold, staging / "shadows.parquet")
    profile = profiler.write(flags.threshold, staging / "profile.parquet")
    return Scored(
        path,
        rows.height,
        count,
        flags.threshold,
        unknown=unknown,
        unknown_threshold=flags.unknown_threshold,
        shadows=beside,
        profile=profile,
        notes=tuple(empty),
        moved=profiler.moved(),
    )


def _scored_rows(
    dataset: Dataset, features: Features, detector: Detector, shadows: Shadows, profiler: Profiler
) -> tuple[pl.DataFrame, list[FeatureBatch], list[str]]:
    """The keys, error, score, score of the networks alone (null without a head) and p-value of every clean
    row; the batches of the rows that are unlikely enough to be explained; and which features are null in all
    rows, in words.

    Raises NightError where the rows are not the ones that were validated.
    """
    scored: list[pl.DataFrame] = []
    unlikely: list[FeatureBatch] = []
    null_counts: list[pl.DataFrame] = []
    done = 0
    for batch in _read_ahead(feature_batches(dataset, features, BATCH_ROWS)):
        scores = detector.score(batch.features)
        p_values = pl.Series("p_value", detector.p_values(scores.score))
        keys = batch.keys[np.arange(len(batch.keys))]  # copied: a column would keep its whole batch in memory
        scored.append(
            keys.with_columns(
                pl.Series("error", scores.error),
                pl.Series("score", scores.score),
                pl.lit(None, pl.Float32).alias("alone")
                if scores.alone is None
                else pl.Series("alone", scores.alone),
                p_values,
            )
        )
        unlikely.append(batch.filter(p_values <= detector.settings.explain_below))
        null_counts.append(batch.features.null_count())
        shadows.see(batch.features)
        profiler.see(batch, scores)
        done += batch.features.height
        advance(f"{features.date}  score", done, features.rows)
    rows = pl.concat(scored)
    _require_clean_rows(dataset, features, rows["id"])
    absent = pl.concat(null_counts).sum().row(0, named=True)
    notes = [
        f"feature {name} is null in all {rows.height:,} rows"
        for name, count in absent.items()
        if count == rows.height
    ]
    return rows, unlikely, notes


def _scores(rows: pl.DataFrame) -> Scores:
    alone = rows["alone"]
    return Scores(
        rows["error"].to_numpy(),
        rows["score"].to_numpy(),
        None if alone.null_count() == len(alone) else alone.to_numpy(),
    )


def _require_clean_rows(dataset: Dataset, features: Features, ids: pl.Series) -> None:
    """Raises NightError, naming rows, unless these are the ids of the rows that passed the gate."""
    found, clean = sum_of_ids(ids), features.validated.clean
    if found == clean:
        return
    passed = read_clean_ids(dataset, features.validated)
    problems = {
        "were read more than once": ids.filter(ids.is_duplicated()).unique(),
        "did not pass the gate": ids.filter(~ids.is_in(passed.implode())).unique(),
        "were not read": passed.filter(~passed.is_in(ids.implode())),
    }
    is_private = dataset.columns.id in dataset.columns.private
    named = [
        f"{len(some):,} {problem}" + ("" if is_private else f", such as {some.sort()[0]}")
        for problem, some in problems.items()
        if len(some)
    ]
    raise NightError(
        f"{features.date}: the {found.rows:,} rows that were read are not the {clean.rows:,} that passed the "
        f"gate ({'; '.join(named) or 'the source has changed since'}); run the night again"
    )


def _reasons(dataset: Dataset, detector: Detector, explained: Sequence[FeatureBatch]) -> pl.DataFrame:
    """The reasons of these rows: id, reasons. Values of private features are masked."""
    ids = pl.concat([batch.keys["id"] for batch in explained])
    rows = pl.concat([batch.features for batch in explained])
    reasons = mask_reasons(detector.reasons(rows), dataset.columns.private, dataset.features.image)
    return pl.DataFrame({"id": ids, "reasons": reasons})


def _with_details(dataset: Dataset, features: Features, rows: pl.DataFrame) -> pl.DataFrame:
    """The rows with their `details`, null where none are asked for."""
    if not dataset.columns.details:
        return rows.with_columns(details=pl.lit(None, pl.String))
    return rows.join(
        read_details(dataset, features), on="id", how="left", maintain_order="left", validate="1:1"
    )


def _read_ahead(batches: Iterator[FeatureBatch]) -> Iterator[FeatureBatch]:
    """The next batch is read while this one is scored."""
    with ThreadPoolExecutor(1) as reader:
        ahead = reader.submit(next, batches, None)
        while (batch := ahead.result()) is not None:
            ahead = reader.submit(next, batches, None)
            yield batch


def _batches_of(dataset: Dataset, features: Features, ids: pl.Series) -> Iterator[FeatureBatch]:
    """The features of some rows alone, read once more; nothing is read where there are none."""
    for batch in feature_batches(dataset, features, BATCH_ROWS) if len(ids) else ():
        yield batch.filter(batch.keys["id"].is_in(ids.implode()))
