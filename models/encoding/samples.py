"""Encoded rows by their role for a detector; it keeps a capped sample for baselines and its model card."""

from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

Encoded = NDArray[np.float32]
Number = TypeVar("Number", np.float32, np.int64)

MOST_ROWS = 20_000
MOST_CELLS = 8_000_000  # images are wide


@dataclass(frozen=True)
class Samples:
    """Each float32 (rows, width).

    training: rows that the networks were trained on.
    held_out: normal rows that were used for nothing else; the p-values come from these.
    anomalies: known frauds of the training window, none of which was trained on; may be empty.
    """

    training: Encoded
    held_out: Encoded
    anomalies: Encoded

    def capped(self, seed: int) -> "Samples":
        """Returns at most MOST_ROWS rows and MOST_CELLS numbers of each part, drawn by the seed."""
        return Samples(
            *(
                cap(part, min(MOST_ROWS, MOST_CELLS // part.shape[1]), seed)
                for part in (self.training, self.held_out, self.anomalies)
            )
        )


def cap(rows: NDArray[Number], count: int, seed: int) -> NDArray[Number]:
    """Returns at most `count` of the rows, drawn by the seed, in their order."""
    if len(rows) <= count:
        return rows
    return rows[np.sort(np.random.default_rng(seed).choice(len(rows), count, replace=False))]
