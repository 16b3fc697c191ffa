"""The scored rows of a night, in files, until all of its scores are known: ranks and flags are of the whole
night.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from tasks.core.references import RowSum

GROUP = 4  # batches whose rows are explained, and written, together


class Spool:
    """Rows in the order in which they were read, a file per batch, and their reasons, a file per GROUP.

    The rows have id, entity, event_time, error, score and p_value.
    """

    def __init__(self, folder: Path) -> None:
        self._folder, self._batches, self._groups = folder, 0, 0

    def write_rows(self, rows: pl.DataFrame) -> None:
        """Adds the rows of one batch."""
        rows.write_ipc(self._rows(self._batches), compression="lz4")
        self._batches += 1

    def write_reasons(self, reasons: pl.Series) -> None:
        """Adds the reasons of the rows of one GROUP that are explained, in their order."""
        reasons.to_frame().write_ipc(self._reasons(self._groups), compression="lz4")
        self._groups += 1

    def groups(self, *columns: str) -> Iterator[tuple[slice, pl.DataFrame]]:
        """Yields the rows of each GROUP, all their columns or some, and their positions in the night."""
        start = 0
        for first in range(0, self._batches, GROUP):
            numbers = range(first, min(first + GROUP, self._batches))
            rows = pl.concat([_read(self._rows(number), *columns) for number in numbers])
            yield slice(start, start + rows.height), rows
            start += rows.height

    def texts(self, name: str) -> pl.Series:
        """Returns the column id or entity of all rows."""
        return pl.concat(
            [pl.Series(name, [], dtype=pl.String), *(rows[name] for _, rows in self.groups(name))]
        )

    def reasons(self) -> Iterator[pl.Series]:
        """Yields the reasons of each GROUP."""
        return (_read(self._reasons(number)).to_series() for number in range(self._groups))

    def _rows(self, number: int) -> Path:
        return self._folder / f"rows-{number}.arrow"

    def _reasons(self, number: int) -> Path:
        return self._folder / f"reasons-{number}.arrow"


@dataclass
class StreamedRows:
    """What stays in memory of the rows of a night. spool: their other values.

    score, alone: see Scores. found: the identities of the rows.
    null_counts: of each feature, how many rows lack it.
    """

    spool: Spool
    score: NDArray[np.float32]
    alone: NDArray[np.float32] | None
    found: RowSum
    null_counts: dict[str, int]

    @property
    def notes(self) -> list[str]:
        """Which features are null in all rows, in words."""
        rows = len(self.score)
        return [
            f"feature {name} is null in all {rows:,} rows"
            for name, count in self.null_counts.items()
            if rows and count == rows
        ]


def _read(path: Path, *columns: str) -> pl.DataFrame:
    with path.open("rb") as file:  # a path may have the characters of patterns
        return pl.read_ipc(file, columns=list(columns) or None)
