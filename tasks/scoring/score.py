"""Scoring: the day's features stream through the compiled graphs of the champion and of each challenger; one
staged row per clean row.
"""

import logging
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import polars as pl

from models.detector.detector import Detector
from models.detector.explanation import REASONS
from models.flagging.flags import Flags, unusual_flags
from models.flagging.reserve import flag_night
from models.settings import ThresholdSettings
from tasks.core.dataset import Dataset
from tasks.core.errors import NightError
from tasks.core.references import Features, Scored, ScoringModels, of_unknown_pattern
from tasks.core.step import step
from tasks.features.build import read_clean_ids
from tasks.registry.artifact_store import load
from tasks.scoring.drift_profile import Profiler
from tasks.scoring.row_stream import batches_of, explain_rows, stream_rows
from tasks.scoring.scored_rows import night_scores, write_scores
from tasks.scoring.shadow_scoring import Shadows
from tasks.scoring.spool import Spool, StreamedRows

log = logging.getLogger(__name__)


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
    staging folder. Memory hardly grows with the number of rows: of each, the scores alone stay in it.

    A challenger that cannot be scored is left out with a warning.
    Raises ArtifactError where the champion's files are not the ones that were written, ThresholdError where
    the strategy cannot be applied, NightError where the rows that were read are not the rows that were
    validated.
    """
    version, shadows = scoring_models.champion, Shadows(features.date, scoring_models.challengers)
    detector = load(version.path, version.sha256)
    profiler = Profiler(detector, features.rows)
    with TemporaryDirectory(prefix="spool-", dir=staging) as folder:
        rows = stream_rows(dataset, features, detector, shadows, profiler, Spool(Path(folder)))
        _require_clean_rows(dataset, features, rows)
        flags = _decide(features, detector, rows, threshold)
        likely = _explained_likely(dataset, features, detector, rows, flags)
        path = write_scores(dataset, features, detector, rows, flags, likely, staging / "scores.parquet")
        count = int(np.count_nonzero(flags.flagged))
        unknown = None if flags.unknown is None else int(np.count_nonzero(flags.unknown))
        _log(features, version.name, rows, count, unknown)
        beside = shadows.write(rows.spool, threshold, staging / "shadows.parquet")
    profile = profiler.write(flags.threshold, staging / "profile.parquet")
    return Scored(
        path,
        len(rows.score),
        count,
        flags.threshold,
        unknown=unknown,
        unknown_threshold=flags.unknown_threshold,
        shadows=beside,
        profile=profile,
        notes=tuple(rows.notes),
        moved=profiler.moved(),
    )


def _decide(
    features: Features, detector: Detector, rows: StreamedRows, threshold: ThresholdSettings
) -> Flags:
    night = night_scores(rows.spool, rows.score, detector, threshold)
    flags = flag_night(detector, night, rows.alone, threshold)
    if odd := unusual_flags(rows.score, flags):
        log.warning("%s  score      threshold.strategy %s: %s", features.date, threshold.strategy, odd)
    return flags


def _log(features: Features, version: str, rows: StreamedRows, flagged: int, unknown: int | None) -> None:
    message, those = "%s  score      %s rows with %s, %s flagged%s", of_unknown_pattern(unknown)
    log.info(message, features.date, f"{len(rows.score):,}", version, f"{flagged:,}", those)
    for note in rows.notes:
        log.warning("%s  score      %s", features.date, note)


def _explained_likely(
    dataset: Dataset, features: Features, detector: Detector, rows: StreamedRows, flags: Flags
) -> pl.DataFrame:
    """The reasons of the rows that are flagged although they are too likely to be explained: id, reasons."""
    chosen = flags.flagged.copy()
    chosen[chosen] = detector.p_values(rows.score[chosen]) > detector.settings.explain_below
    ids = pl.Series("id", [], dtype=pl.String)
    if chosen.any():
        found = (ids_of["id"].filter(chosen[part]) for part, ids_of in rows.spool.groups("id"))
        ids = pl.concat([ids, *found])
    batches = list(batches_of(dataset, features, ids))
    ids = pl.concat([ids.clear(), *(batch.keys["id"] for batch in batches)])
    reasons = [explain_rows(dataset, detector, batch.features) for batch in batches if batch.features.height]
    return pl.DataFrame({"id": ids, "reasons": pl.concat([pl.Series([], dtype=REASONS), *reasons])})


def _require_clean_rows(dataset: Dataset, features: Features, rows: StreamedRows) -> None:
    """Raises NightError, naming rows, unless these are the ids of the rows that passed the gate."""
    found, clean = rows.found, features.validated.clean
    if found == clean:
        return
    ids, passed = rows.spool.texts("id"), read_clean_ids(dataset, features.validated)
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
