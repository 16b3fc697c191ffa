"""Challengers, scored beside the champion on the batches that it reads: one that cannot be scored drops out,
and the night goes on.
"""

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from models.detector.detector import Detector, Scores, joined_scores
from models.errors import ModelError
from models.flagging.reserve import flag_night
from models.settings import ThresholdSettings
from tasks.core.references import Version
from tasks.registry.artifact_store import load
from tasks.scoring.scored_rows import SHADOWED, Ranks, night_scores, staged_rows
from tasks.scoring.spool import Spool

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

    def write(self, spool: Spool, threshold: ThresholdSettings, path: Path) -> Path | None:
        """Stages the scores of all batches, see Scored.shadows; None where there is no challenger.

        spool: of the champion, with the keys of every row.
        """
        found = []
        for shadow in tuple(self._shadows):
            with self._left_out(shadow.version):
                found.append(shadow.decided(spool, threshold))
                flagged = f"{int(np.count_nonzero(found[-1].flagged)):,}"
                log.info(
                    "%s  score      challenger %s would have flagged %s",
                    self._day,
                    shadow.version.name,
                    flagged,
                )
        if not found:
            return None
        with staged_rows(path, SHADOWED) as staged:
            for part, ids in spool.groups("id"):
                for each in found:
                    staged.write(each.rows(ids, part))
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

    def decided(self, spool: Spool, threshold: ThresholdSettings) -> "_Decided":
        scores = joined_scores(self.scores)
        night = night_scores(spool, scores.score, self.detector, threshold)
        flags = flag_night(self.detector, night, scores.alone, threshold)
        return _Decided(self.version, self.detector, scores, Ranks(scores.score), flags.flagged)


@dataclass(frozen=True)
class _Decided:
    """One challenger, when all rows are scored. flagged: bool (rows,)."""

    version: Version
    detector: Detector
    scores: Scores
    ranks: Ranks
    flagged: NDArray[np.bool_]

    def rows(self, ids: pl.DataFrame, part: slice) -> pl.DataFrame:
        return ids.with_columns(
            pl.Series("error", self.scores.error[part]),
            pl.Series("score", self.scores.score[part]),
            pl.Series("p_value", self.detector.p_values(self.scores.score[part])),
            self.ranks.of(self.scores.score[part]),
            pl.Series("is_flagged", self.flagged[part]),
            pl.lit(self.version.name).alias("model_version"),
        )
