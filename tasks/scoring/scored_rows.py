"""From spooled rows to the staged file: the ranks and flags of the whole night, then its rows, a group at a
time.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow.parquet as pq
from numpy.typing import NDArray

from models.detector.detector import Detector
from models.detector.explanation import REASONS
from models.flagging.flags import Flags, NightScores
from models.flagging.reserve import patterns
from models.flagging.thresholds import OF_ENTITIES, OF_P_VALUES
from models.settings import ThresholdSettings
from tasks.core.atomic_files import atomic_path
from tasks.core.dataset import Dataset
from tasks.core.overlap import Behind
from tasks.core.references import Features
from tasks.features.row_details import read_details
from tasks.scoring.spool import Spool, StreamedRows

Schema = dict[str, Any]
OWN: Schema = {"error": pl.Float32, "score": pl.Float32, "p_value": pl.Float64}
RANKED: Schema = {"rank": pl.Int64, "is_flagged": pl.Boolean}
BESIDE: Schema = {"rank_alone": pl.Int64, "flagged_by": pl.String}  # null without a head, or a reserve
STAGED: Schema = {
    "id": pl.String,
    "entity": pl.String,
    "event_time": pl.Datetime("us"),
    **OWN,
    **RANKED,
    **BESIDE,
    "reasons": REASONS,
    "details": pl.String,
}
SHADOWED: Schema = {"id": pl.String, **OWN, **RANKED, "model_version": pl.String}


def night_scores(
    spool: Spool, score: NDArray[np.float32], detector: Detector, threshold: ThresholdSettings
) -> NightScores:
    """Returns what the strategy of the threshold needs to know of the rows."""
    p_values = detector.p_values(score) if threshold.strategy in OF_P_VALUES else None
    if threshold.strategy not in OF_ENTITIES:
        return NightScores(score, p_values)
    ids = spool.texts("id")
    return NightScores(score, p_values, spool.texts("entity").fill_null(ids), ids)


class Ranks:
    """The ranks of scores in a night, from 1 for the highest; equal ones share the lowest of theirs.

    They are found when a group of rows needs them: those of all rows would take several times the memory of
    the scores.
    """

    def __init__(self, score: NDArray[np.float32]) -> None:
        self._ascending = np.sort(score)

    def of(self, score: NDArray[np.float32], name: str = "rank") -> pl.Series:
        """Returns the ranks of some of the scores, int64 (rows,)."""
        not_above = np.searchsorted(self._ascending, score, side="right")
        return pl.Series(name, len(self._ascending) - not_above + 1, pl.Int64)


@contextmanager
def staged_rows(path: Path, schema: Schema) -> Iterator["StagedRows"]:
    """Yields what writes rows into a Parquet file, which is there once the block ends."""
    with (
        atomic_path(path) as staged,
        pq.ParquetWriter(
            staged,
            _arrow(pl.DataFrame(schema=schema)).schema,
            compression="lz4",
            use_dictionary=False,
            write_statistics=False,
        ) as writer,
        Behind() as behind,
    ):
        yield StagedRows(writer, behind, schema)


class StagedRows:
    """Rows are written in a thread of their own."""

    def __init__(self, writer: pq.ParquetWriter, behind: Behind, schema: Schema) -> None:
        self._writer, self._behind, self._schema = writer, behind, schema

    def write(self, rows: pl.DataFrame) -> None:
        """Adds rows."""
        self._behind(self._writer.write_table, _arrow(rows.select(*self._schema)))


def write_scores(
    dataset: Dataset,
    features: Features,
    detector: Detector,
    rows: StreamedRows,
    flags: Flags,
    likely: pl.DataFrame,
    path: Path,
) -> Path:
    """Stages all rows, see Scored.path. likely: the reasons of flagged rows that the spool has none of."""
    below = detector.settings.explain_below
    decided = _Decided(rows, flags)
    details = _details(dataset, features, rows.spool)
    with staged_rows(path, STAGED) as staged:
        for (part, group), reasons in zip(rows.spool.groups(), rows.spool.reasons(), strict=True):
            is_explained = group["p_value"] <= below
            place = pl.when(is_explained).then(is_explained.cast(pl.UInt32).cum_sum() - 1)
            found = reasons.gather(pl.select(place).to_series())
            whole = pl.concat([group, decided.of(part)], how="horizontal").with_columns(reasons=found)
            if len(likely):
                others = whole.select("id").join(likely, on="id", how="left", maintain_order="left")
                whole = whole.with_columns(pl.coalesce("reasons", others["reasons"]))
            own = pl.lit(None, pl.String) if details is None else details[part]
            staged.write(whole.with_columns(own.alias("details")))
    return path


def _details(dataset: Dataset, features: Features, spool: Spool) -> pl.Series | None:
    """The `details` of all rows; None where none are asked for."""
    if not dataset.columns.details:
        return None
    found = read_details(dataset, features)
    ids = spool.texts("id").to_frame()
    return ids.join(found, on="id", how="left", maintain_order="left", validate="1:1")["details"]


class _Decided:
    """What is decided on the rows once all scores are known: their ranks and flags."""

    def __init__(self, rows: StreamedRows, flags: Flags) -> None:
        self._rows, self._flags, self._ranks = rows, flags, Ranks(rows.score)
        self._ranks_alone = None if rows.alone is None else Ranks(rows.alone)

    def of(self, part: slice) -> pl.DataFrame:
        """Returns rank, is_flagged, rank_alone and flagged_by of some rows."""
        flags = self._flags.of(part)
        return pl.DataFrame(
            [
                self._ranks.of(self._rows.score[part]),
                pl.Series("is_flagged", flags.flagged),
                self._alone(part),
                patterns(flags),
            ]
        )

    def _alone(self, part: slice) -> pl.Series:
        if self._ranks_alone is None or self._rows.alone is None:
            return pl.Series("rank_alone", [None], pl.Int64).new_from_index(0, part.stop - part.start)
        return self._ranks_alone.of(self._rows.alone[part], "rank_alone")


def _arrow(rows: pl.DataFrame) -> Any:
    return rows.to_arrow(compat_level=pl.CompatLevel.oldest())
