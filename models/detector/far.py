"""The term of every score for values outside the range of the training rows.

Networks may reconstruct a far row well, a linear one does so along its plane; with this term it is strange
nevertheless. A value that is d training ranges outside adds (d - 1) squared times the highest score of the
training rows: nothing up to one range outside, where normal rows of heavy tails lie, and more than any normal
row has from some ranges on. For a feature that never varied, it is d squared.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from models.device import tf
from models.encoding.encoder import NumericFeature
from models.encoding.layout import Layout
from models.encoding.samples import Encoded

LEAST_RANGE = 1.0  # encoded units: what varies has a wider range, and a constant feature has this one
LEAST_SHARE = 1e-4  # of the largest value, for a logarithm: float32 rounds source values by a hundredth of it
FARTHEST = 1e6  # training ranges; beyond, squares would overflow
LARGEST_LOG = 80.0  # of a source value, so that its exponential is finite in float32

Ranges = NDArray[np.float32]


def find_ranges(features: Sequence[NumericFeature], fit: Encoded) -> Ranges:
    """Returns, for each numeric feature, the lowest and the highest value that add nothing, the range of the
    rows, and center and scale of its logarithm: float32 (5, features).

    Values are those of `_values`. A scale of 0 says that there is no logarithm.
    """
    logs = np.array([[f.center, f.scale] if f.signed_log else [0, 0] for f in features], np.float32)
    center, scale = logs.reshape(-1, 2).T
    encoded = np.stack([fit[:, : len(features)].min(axis=0), fit[:, : len(features)].max(axis=0)])
    lowest, highest = _values(tf.constant(encoded), center, scale).numpy()
    least = np.where(scale > 0, LEAST_SHARE * np.maximum(np.abs(lowest), np.abs(highest)), LEAST_RANGE)
    margin = highest - lowest
    found = [lowest - margin, highest + margin, np.maximum(margin, least), center, scale]
    return np.stack(found).astype(np.float32)


def contributions(encoded: tf.Tensor, ranges: Ranges, weight: np.float32, layout: Layout) -> tf.Tensor:
    """Returns each column's share of the term, float32 (rows, width), at least 0 and finite.

    weight: what a value adds that is one training range beyond the lowest or the highest of `ranges`.
    """
    lowest, highest, difference, center, scale = tf.unstack(ranges)
    values = _values(encoded[:, : layout.numeric], center, scale)
    outside = tf.maximum(tf.maximum(lowest - values, values - highest), 0.0) / difference
    squares = weight * tf.square(tf.minimum(outside, FARTHEST))
    return tf.pad(squares, ((0, 0), (0, layout.width - layout.numeric)))


def _values(encoded: tf.Tensor, center: Ranges, scale: Ranges) -> tf.Tensor:
    """Returns encoded values, but those of a logarithm in source units: ten times its range is near in
    logarithms.
    """
    logs = encoded * scale + center
    source = tf.sign(logs) * tf.math.expm1(tf.minimum(tf.abs(logs), LARGEST_LOG))
    return tf.where(scale > 0, source, encoded)
