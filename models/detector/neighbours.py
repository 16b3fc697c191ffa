"""The rows of a reference sample that are nearest to a row: its distances from them, column by column.

A distance counts for less where the neighbours themselves lie far apart, as in the local outlier factor
(Breunig et al., 2000). Distances are Euclidean, in encoded units, where a category is a 0/1 column per code:
two different codes are the square root of 2 apart.
"""

import numpy as np
from numpy.typing import NDArray

from models.detector.logarithms import NO_LOGARITHMS, Logarithms, of_heavy_tails
from models.device import tf
from models.encoding.layout import Layout
from models.encoding.samples import MOST_CELLS, Encoded
from models.networks.dense import expand

# the latter in logarithms, from more rows than the first: docs/figures.md
NEIGHBOURS, OF_LOGARITHMS = 10, 20
# more rows gain nothing on public sets, and half as many lose a point of average precision: docs/figures.md
REFERENCE_ROWS = 4_096
# rows scored at once: their distances from the whole reference stay in the processor's cache
ROWS = 512
# Every row is measured from the first FIRST_ROWS of the reference, which are never nearer than the whole; the
# whole is searched for the rows beyond this quantile of normal rows alone.
FIRST_ROWS = 512
REFINED_ABOVE = 0.9
# A row's distance is divided by this power of how far apart its neighbours are: with 0, rows between dense
# groups are missed, with 1, as in the local outlier factor, any row beside close ones is strange.
LOCALITY = 0.5
LEAST_SPACING = 0.01  # copies of one row have none
GROUP = 16
FEW = 1_024  # reference rows, of which the nearest are found without groups

Spacing = NDArray[np.float32]  # see `find_spacing`
NO_SPACING = np.zeros(0, np.float32)


def draw_reference(rows: Encoded, seed: int) -> Encoded:
    """Returns at most REFERENCE_ROWS rows and MOST_CELLS numbers, drawn by the seed, in random order."""
    return rows[np.random.default_rng(seed).permutation(len(rows))[: _most_rows(rows.shape[1])]]


def _most_rows(width: int) -> int:
    return min(REFERENCE_ROWS, MOST_CELLS // width)


def padded(reference: Encoded) -> Encoded:
    """Returns the reference with rows of NaN, which stand for none, up to a power of two or its largest size:
    a graph is compiled for one size, and small references differ in it with every training.
    """
    rows, width = reference.shape
    if not rows:
        return reference
    size = max(rows, min(1 << (rows - 1).bit_length(), _most_rows(width)))
    return np.pad(reference, ((0, size - rows), (0, 0)), constant_values=np.nan)


def find_spacing(distances: NDArray[np.float32]) -> Spacing:
    """Returns the spacing around each row of the reference, float32 (rows,), at least LEAST_SPACING: its mean
    distance from its own neighbours, float32 (rows,), in the reference, as a share of their mean.
    """
    mean = distances.mean(dtype=np.float64)
    shares = distances / mean if mean > 0 else np.ones_like(distances)
    return np.maximum(shares, LEAST_SPACING).astype(np.float32)


def contributions(
    encoded: tf.Tensor,
    reference: Encoded,
    layout: Layout,
    without_itself: bool | tf.Tensor = False,
    spacing: Spacing = NO_SPACING,
    logarithms: Logarithms = NO_LOGARITHMS,
) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns each column's share of the mean distance of rows (rows, width) from their nearest rows of the
    reference, float32 (rows, width), at least 0; and the mean of those neighbours, in the form of a network's
    output (rows, outputs).

    reference: float32, more rows than there are neighbours; see `padded`.
    without_itself: whether one reference row that equals the row is left out, for rows of the reference.
    spacing: of the reference; the distance is divided by its mean over the neighbours to the power of
        LOCALITY.
    logarithms: in which the OF_LOGARITHMS nearest rows are found and measured; without them, and of at most
        FIRST_ROWS, it is the NEIGHBOURS nearest ones.
    """
    measured, count = tf.convert_to_tensor(reference), NEIGHBOURS
    if logarithms.shape[1]:
        encoded, measured = (of_heavy_tails(rows, logarithms, layout) for rows in (encoded, measured))
        count = OF_LOGARITHMS if reference.shape[0] > FIRST_ROWS else NEIGHBOURS
    chosen = _nearest(encoded, measured, layout, count + 1)
    near = tf.gather(measured, chosen)
    squares = _squares(encoded[:, None, :], near, layout)
    distances = tf.sqrt(tf.reduce_sum(squares, axis=-1))
    shares = squares / tf.maximum(distances, np.finfo(np.float32).tiny)[:, :, None]  # 0 for the row itself
    in_reference = without_itself & (tf.reduce_min(distances, axis=1) == 0)
    shares = tf.concat([shares[:, :-1], tf.where(in_reference[:, None, None], shares[:, -1:], 0.0)], 1)
    among = expand(tf.convert_to_tensor(reference), layout)
    # sliced after the gather: before it, XLA searches the neighbours once more for every column
    expected = tf.reduce_mean(tf.gather(among, chosen)[:, :-1], axis=1)
    distance = tf.reduce_sum(shares, axis=1) / count
    if not spacing.shape[0]:
        return distance, expected
    around = tf.reduce_mean(tf.gather(tf.convert_to_tensor(spacing), chosen)[:, :-1], axis=1)
    return distance / tf.pow(around, LOCALITY)[:, None], expected


def _squares(rows: tf.Tensor, near: tf.Tensor, layout: Layout) -> tf.Tensor:
    """Returns the squared differences by encoded column; of two different codes, both columns differ."""
    values = tf.square(rows[..., : layout.continuous] - near[..., : layout.continuous])
    codes = tf.cast(rows[..., layout.continuous :] != near[..., layout.continuous :], tf.float32)
    return tf.concat([values, 2 * codes], axis=-1)


def _nearest(encoded: tf.Tensor, reference: tf.Tensor, layout: Layout, count: int) -> tf.Tensor:
    """Returns the positions of the nearest rows of the reference, nearest first, int32 (rows, count)."""
    rows, among = expand(encoded, layout), expand(reference, layout)
    # |x - r|^2 = |x|^2 - closeness, and the first term is the same for every r
    closeness = 2 * tf.matmul(rows, among, transpose_b=True) - tf.reduce_sum(tf.square(among), axis=-1)
    closeness = tf.where(tf.math.is_nan(reference[:, 0]), -np.inf, closeness)
    return (_highest if reference.shape[0] <= FEW else _highest_in_groups)(closeness, count)


def _highest(values: tf.Tensor, count: int) -> tf.Tensor:
    return tf.math.top_k(values, count).indices


def _highest_in_groups(values: tf.Tensor, count: int) -> tf.Tensor:
    """The same in half of the time for many columns: the highest values lie in the groups with the highest
    maxima.
    """
    groups = -(-values.shape[1] // GROUP)
    padded = tf.pad(values, ((0, 0), (0, groups * GROUP - values.shape[1])), constant_values=-np.inf)
    maxima = tf.reduce_max(tf.reshape(padded, (-1, GROUP, groups)), axis=1)
    # a group's members are `groups` columns apart
    members = _highest(maxima, count)[:, :, None] + groups * tf.range(GROUP)
    members = tf.reshape(members, (-1, count * GROUP))
    return tf.gather(members, _highest(tf.gather(padded, members, batch_dims=1), count), batch_dims=1)
