"""The rows of a day on their way through the champion and its challengers: the next batch is read and encoded
while one is in the graph, and the one before it is explained and spooled.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import polars as pl
from numpy.typing import NDArray

from models.detector.detector import Detector, Scores
from models.encoding.samples import Encoded
from tasks.core.dataset import Dataset
from tasks.core.overlap import Behind, ahead
from tasks.core.progress import advance
from tasks.core.references import Features, RowSum
from tasks.core.row_sums import sum_of_ids
from tasks.features.build import FeatureBatch, feature_batches
from tasks.scoring.drift_profile import Profiler
from tasks.scoring.masked_reasons import mask_reasons
from tasks.scoring.shadow_scoring import Shadows
from tasks.scoring.spool import GROUP, Spool, StreamedRows

BATCH_ROWS = 65_536


def stream_rows(
    dataset: Dataset,
    features: Features,
    detector: Detector,
    shadows: Shadows,
    profiler: Profiler,
    spool: Spool,
) -> StreamedRows:
    """Scores every clean row, and spools its keys, error, score and p-value, and the reasons of the rows that
    are unlikely enough to be explained.
    """
    score, alone, null_counts = [np.zeros(0, np.float32)], list[NDArray[np.float32]](), list[pl.DataFrame]()
    spooled, done = _Spooled(dataset, detector, spool), 0
    with Behind() as behind:
        for batch, encoded in ahead(_encoded_batches(dataset, features, detector)):
            found = detector.score_encoded(encoded)
            behind(spooled.add, batch, found)
            score.append(found.score)
            if found.alone is not None:
                alone.append(found.alone)
            null_counts.append(batch.features.null_count())
            shadows.see(batch.features)
            profiler.see(batch.keys["id"], encoded, found)
            done += len(encoded)
            advance(f"{features.date}  score", done, features.rows)
        behind(spooled.explain)
    absent = pl.concat(null_counts).sum().row(0, named=True) if null_counts else {}
    beside = np.concatenate(alone) if alone else None
    return StreamedRows(spool, np.concatenate(score), beside, RowSum(done, str(spooled.total)), absent)


def batches_of(dataset: Dataset, features: Features, ids: pl.Series) -> Iterator[FeatureBatch]:
    """Yields the features of some rows alone, read once more; nothing is read where there are none."""
    for batch in feature_batches(dataset, features, BATCH_ROWS) if len(ids) else ():
        yield batch.filter(batch.keys["id"].is_in(ids.implode()))


def explain_rows(dataset: Dataset, detector: Detector, rows: pl.DataFrame) -> pl.Series:
    """Returns the reasons of rows. Values of private features are masked."""
    return mask_reasons(detector.reasons(rows), dataset.columns.private, dataset.features.image)


def _encoded_batches(
    dataset: Dataset, features: Features, detector: Detector
) -> Iterator[tuple[FeatureBatch, Encoded]]:
    for batch in feature_batches(dataset, features, BATCH_ROWS):
        yield batch, detector.encoder.encode(batch.features)


@dataclass
class _Spooled:
    """What a thread does behind the graph. total: sum of the hashes of the ids."""

    dataset: Dataset
    detector: Detector
    spool: Spool
    total: int = 0
    unlikely: list[pl.DataFrame] = field(default_factory=list)

    def add(self, batch: FeatureBatch, scores: Scores) -> None:
        p_values = pl.Series("p_value", self.detector.p_values(scores.score))
        own = pl.Series("error", scores.error), pl.Series("score", scores.score), p_values
        self.spool.write_rows(batch.keys.with_columns(*own))
        self.total += int(sum_of_ids(batch.keys["id"]).total)
        self.unlikely.append(batch.features.filter(p_values <= self.detector.settings.explain_below))
        if len(self.unlikely) == GROUP:
            self.explain()

    def explain(self) -> None:
        """Explains the unlikely rows of the batches since the last time."""
        if self.unlikely:
            rows = pl.concat(self.unlikely)
            self.spool.write_reasons(explain_rows(self.dataset, self.detector, rows))
            self.unlikely.clear()
