"""Challengers, scored beside the champion on the batches that it reads: one that cannot be scored drops out,
and the night goes on.
"""

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

import polars as pl

from models.detector.detector import Detector, Scores, joined_scores
from models.errors import ModelError
from models.flagging.reserve import flag_night
from models.settings import ThresholdSettings
from tasks.core.atomic_files import atomic_path
from tasks.core.references import Version
from tasks.registry.artifact_store import load

log = logging.getLogger(__name__)


class Shadows:
    """The challengers of one night."""

    def __init__(self, day: date, challengers: Sequence[Version]) -> None:
        self._day = day
        self._shadows: list[_Shadow] = []
        for version in challengers:
            with self._left_out(version):
                self._shadows.append(_Shadow(version, load(version.path, version.sha256)))

    def see(self, batch: pl.DataFrame) -> None:
        """Scores the rows of a batch by every challenger."""
        for shadow in tuple(self._shadows):
            with self._left_out(shadow.version):
                shadow.see(batch)

    def write(self, keys: pl.DataFrame, threshold: ThresholdSettings, path: Path) -> Path | None:
        """Stages the scores of all batches, see Scored.shadows; None where there is no challenger.

        keys: id and entity of every row.
        """
        found = []
        for shadow in tuple(self._shadows):
            with self._left_out(shadow.version):
                rows = shadow.rows(keys, threshold)
                found.append(rows)
                flagged = f"{int(rows['is_flagged'].sum()):,}"
                log.info(
                    "%s  score      challenger %s would have flagged %s",
                    self._day,
                    shadow.version.name,
                    flagged,
                )
        if not found:
            return None
        with atomic_path(path) as staged:
            pl.concat(found).write_parquet(staged, compression="lz4")
        return path

    @contextmanager
    def _left_out(self, version: Version) -> Iterator[None]:
        """A challenger that fails inside is no longer scored tonight."""
        try:
            yield
        except ModelError as error:
            log.warning(
                "%s  score      challenger %s is left out tonight: %s", self._day, version.name, error
            )
            self._shadows = [shadow for shadow in self._shadows if shadow.version != version]


@dataclass
class _Shadow:
    """One challenger on its way through the batches. scores: of each batch."""

    version: Version
    detector: Detector
    scores: list[Scores] = field(default_factory=list)

    def see(self, batch: pl.DataFrame) -> None:
        self.scores.append(self.detector.score(batch))

    def rows(self, keys: pl.DataFrame, threshold: ThresholdSettings) -> pl.DataFrame:
        scores = joined_scores(self.scores)
        p_values, entities = self.detector.p_values(scores.score), keys["entity"].fill_null(keys["id"])
        flags = flag_night(self.detector, scores, p_values, threshold, entities, keys["id"])
        return keys.select("id").with_columns(
            pl.Series("error", scores.error),
            pl.Series("score", scores.score),
            pl.Series("p_value", p_values),
            pl.Series("rank", scores.score).rank("min", descending=True).cast(pl.Int64),
            pl.Series("is_flagged", flags.flagged),
            pl.lit(self.version.name).alias("model_version"),
        )
