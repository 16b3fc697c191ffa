"""Runs compiled graphs over batches of encoded rows, in a fixed shape."""

from collections.abc import Callable, Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from models.encoding.layout import rows_at_once
from models.encoding.samples import Encoded
from models.graphs import Tensors

# rows of the shape that a graph is compiled for, fewer for wide rows such as images; the last batch is
# padded to it
ROWS = 8_192

Pair = tuple[NDArray[np.float32], NDArray[np.float32]]
Arrays = tuple[NDArray[np.float32], ...]


def run(graph: Callable[[Encoded], Tensors], batches: Iterable[Encoded], most_rows: int = ROWS) -> Arrays:
    """Returns the graph's results for all rows of all batches, in their order.

    most_rows: of the shape that the graph is compiled for; see ROWS.
    """
    found: list[Arrays] = []
    for batch in batches:
        shape = rows_at_once(most_rows, batch.shape[1])
        for start in range(0, max(len(batch), 1), shape):
            rows = batch[start : start + shape]
            padded = rows if len(rows) == shape else np.pad(rows, ((0, shape - len(rows)), (0, 0)))
            found.append(tuple(result.numpy()[: len(rows)] for result in graph(padded)))
    return tuple(np.concatenate(each) for each in zip(*found, strict=True))


def joined(found: Sequence[Pair]) -> Pair:
    """Returns the results of all batches, each laid end to end; without a batch, of no rows."""
    if not found:
        return np.zeros(0, np.float32), np.zeros(0, np.float32)
    return np.concatenate([first for first, _ in found]), np.concatenate([second for _, second in found])
