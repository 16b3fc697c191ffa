"""The profile of a night: a sample of its rows, by the hash of their id, in the bins of the version that
scored them.
"""

from pathlib import Path

import numpy as np
import polars as pl

from models.detector.detector import Detector, Scores
from models.drift.measures import drifts
from models.drift.profiles import Rows
from models.encoding.samples import MOST_CELLS, MOST_ROWS, Encoded
from models.settings import DriftSettings
from tasks.core.atomic_files import atomic_path

SHARES = 1 << 20
MOVED = 3
ANY_SHIFT = 1e-6  # population stability index, beyond what chance explains
LEAST_SHOWN = 0.005  # with two decimals, more than 0.00


class Profiler:
    """Looks at the batches of one night as they are scored. rows: how many the night has."""

    def __init__(self, detector: Detector, rows: int) -> None:
        most = min(MOST_ROWS, MOST_CELLS // detector.encoder.layout.width)
        self._detector, self._share, self._seen = detector, min(1.0, most / max(1, rows)), 0
        self._sampled: list[Rows] = []

    def see(self, ids: pl.Series, encoded: Encoded, scores: Scores) -> None:
        """Keeps the sampled rows of a batch, as they are encoded. Pixels are not looked at."""
        kept = (ids.hash() % SHARES < self._share * SHARES).to_numpy()
        self._seen += len(ids)
        values = encoded[:, :0] if self._detector.encoder.layout.image else encoded
        self._sampled.append(Rows(values[kept], scores.error[kept], scores.score[kept]))

    def write(self, threshold: float, path: Path) -> Path:
        """Stages the profile of the rows below the threshold; see Scored.profile."""
        with atomic_path(path) as staged:
            self._profile(threshold).write_parquet(staged)
        return path

    def moved(self) -> tuple[str, ...]:
        """Returns the MOVED features whose population stability index is highest, all rows of the night
        against all rows of the reference, whatever their scores, each with that figure; none whose index
        chance explains, or is 0.00.
        """
        any_shift = DriftSettings(psi=ANY_SHIFT)
        shifts = [each for each in drifts(self._profile(np.inf), any_shift) if "psi" in each.over]
        found = [each for each in shifts if each.figures["psi"] >= LEAST_SHOWN]
        highest = sorted(found, key=lambda each: -each.figures["psi"])[:MOVED]
        return tuple(f"{each.feature} (psi {each.figures['psi']:.2f})" for each in highest)

    def _profile(self, threshold: float) -> pl.DataFrame:
        rows = Rows(
            *(
                np.concatenate([getattr(part, name) for part in self._sampled])
                for name in ("encoded", "error", "score")
            )
        )
        weight = self._seen / max(1, len(rows.error))
        return self._detector.reference.profile(rows, threshold, weight)
