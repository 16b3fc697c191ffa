"""The columns of an encoded row, and those of the network output."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.sparse import csr_array

CELLS = 1 << 22  # most numbers in a batch; only images are wide enough to reach it


@dataclass(frozen=True)
class Layout:
    """An encoded row has `numeric` values, then `indicators` of missing ones, then one code per category
    feature.

    A network reconstructs the values and indicators, and gives as many logits per category as it has codes. A
    residual has the shape of the encoded row: one component per column.

    numeric, indicators: numbers of columns.
    categories: how many codes each category feature has; the last code is for all rare, null and unseen
    values.
    owners: for each column, the feature it belongs to (its position among all features: numeric ones, then
    categories).
    image: height, width and channels, where the numeric values are the pixels of an image, row by row,
    channels last.
    """

    numeric: int
    indicators: int
    categories: tuple[int, ...]
    owners: tuple[int, ...]
    image: tuple[int, int, int] | None = None

    @property
    def features(self) -> int:
        return self.numeric + len(self.categories)

    @property
    def continuous(self) -> int:
        return self.numeric + self.indicators

    @property
    def width(self) -> int:
        return self.continuous + len(self.categories)

    @property
    def outputs(self) -> int:
        return self.continuous + sum(self.categories)

    @property
    def blocks(self) -> tuple[tuple[int, int, int], ...]:
        """For each category: its column in an encoded row, and where its logits start and stop in the
        network's output.
        """
        stops = self.continuous + np.cumsum(self.categories, dtype=int)
        return tuple(
            (self.continuous + k, int(stops[k]) - size, int(stops[k]))
            for k, size in enumerate(self.categories)
        )

    @cached_property
    def membership(self) -> csr_array:
        """(width, features), 1 where the column belongs to the feature: components @ membership sums them by
        feature.
        """
        return csr_array(
            (np.ones(self.width), (range(self.width), self.owners)), shape=(self.width, self.features)
        )


def rows_at_once(most: int, width: int) -> int:
    """Returns how many rows of this width a batch may have: `most`, or as many as CELLS allows, but at least
    one.
    """
    return max(1, min(most, CELLS // width))
