"""The logarithms in which distances may be measured: of every feature with a heavy tail, on both sides of its
median, in units of its own interquartile range.

In standard deviations of a heavy tail, the differences of most rows count next to nothing, and those of its
few far values for everything.
"""

import numpy as np
from numpy.typing import NDArray

from models.device import tf
from models.encoding.encoder import NORMAL_IQR
from models.encoding.layout import Layout
from models.encoding.samples import Encoded

# a tail is heavy where the standard deviation exceeds this many times that of the middle half
HEAVY_TAIL = 1.5
LEAST_UNIT = 1e-3  # encoded units: half of the rows have almost one value, whose rounding would be magnified

Logarithms = NDArray[np.float32]
NO_LOGARITHMS = np.zeros((0, 0), np.float32)  # distances are in encoded units


def find_logarithms(fit: Encoded, layout: Layout) -> Logarithms:
    """Returns, for each numeric feature, its median, its interquartile range, and by what its logarithm is
    divided, so that its standard deviation is 1: float32 (3, numeric).

    A range of 0 says that the feature stays as it is: its tail is not heavy, or its range below LEAST_UNIT.
    """
    found = np.zeros((3, layout.numeric), np.float32)
    for feature in range(layout.numeric):
        values = fit[:, feature].astype(np.float64)
        low, median, high = np.quantile(values, [0.25, 0.5, 0.75])
        unit = high - low
        if unit >= LEAST_UNIT and values.std() > HEAVY_TAIL * unit / NORMAL_IQR:
            parts = (values - median) / unit
            found[:, feature] = median, unit, (np.sign(parts) * np.log1p(np.abs(parts))).std()
    return found


def of_heavy_tails(encoded: tf.Tensor, logarithms: Logarithms, layout: Layout) -> tf.Tensor:
    """Returns encoded rows (..., width) with the logarithms in place of the features that have one."""
    median, unit, deviation = tf.unstack(logarithms)
    values, others = encoded[..., : layout.numeric], encoded[..., layout.numeric :]
    heavy = unit > 0
    parts = (values - median) / tf.where(heavy, unit, 1.0)
    taken = tf.sign(parts) * tf.math.log1p(tf.abs(parts)) / tf.where(heavy, deviation, 1.0)
    return tf.concat([tf.where(heavy, taken, values), others], axis=-1)
