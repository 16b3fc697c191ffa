"""What a head sees of a row: its encoded values, the residual of the networks, and the parts of their
score.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.detector.scorer import Scorer
from models.encoding.samples import Encoded

SCORES = 2  # the last columns: the residual's part of the score, and the score


@dataclass(frozen=True)
class Inputs:
    """columns: float32 (rows, 2 x width + SCORES): encoded values, residuals, scores. error, score: of the
    networks, float32 (rows,).
    """

    columns: NDArray[np.float32]
    error: NDArray[np.float32]
    score: NDArray[np.float32]

    def by_column(
        self, contributions: NDArray[np.float64], shares: NDArray[np.floating]
    ) -> NDArray[np.float64]:
        """Returns contributions of the inputs as those of encoded columns, float64 (rows, width): that of a
        residual belongs to its column, those of the scores are divided by the columns' `shares` in the score.
        """
        values, residuals = np.split(contributions[:, :-SCORES], 2, axis=1)
        of_scores = contributions[:, -SCORES:].sum(axis=1, keepdims=True)
        return np.asarray(values + residuals + of_scores * shares, np.float64)


def inputs_of(scorer: Scorer, encoded: Encoded) -> Inputs:
    """Returns what a head sees of encoded rows (rows, width)."""
    found = scorer.details(encoded)
    columns = np.column_stack([encoded, found.residual, found.part, found.score])
    return Inputs(columns.astype(np.float32), found.error, found.score)
