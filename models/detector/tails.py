"""How surprising a score is: -log of the share of normal rows with a higher one, so that scores of different
kinds can be added.

Up to the 90th percentile of normal rows it is linear between their deciles, beyond a generalised Pareto tail:
without one, every score beyond those of the normal rows would be equally surprising.
"""

import numpy as np
from numpy.typing import NDArray

from models.device import tf

SHARES = np.arange(10) / 10  # of the normal rows below each knot; below the first, no score is lower than 0
FEWEST_BEYOND = 10  # rows beyond the last knot that a shape is fitted to
# A negative shape would end the tail; this one is exponential but for scores that no normal row is near.
LEAST_SHAPE = 1e-3
LARGEST, TINY = float(np.finfo(np.float32).max), float(np.finfo(np.float32).tiny)

Tail = NDArray[np.float32]


def fit_tail(scores: NDArray[np.floating]) -> Tail:
    """Returns knots, the slope after each knot, and the shape beyond the last: float32 (21,).

    scores: of normal rows, at least 0. The slope is 0 between knots that are one value. Beyond the last knot,
    shape and scale are those of the probability-weighted moments (Hosking & Wallis, 1987); of fewer than
    FEWEST_BEYOND rows there, it is the exponential tail with their mean.
    """
    values = np.sort(scores.astype(np.float64))
    knots = np.concatenate([[0.0], np.quantile(values, SHARES[1:])]).astype(np.float32).astype(np.float64)
    widths, rises = np.diff(knots), np.diff(-np.log1p(-SHARES))
    slopes = np.divide(rises, widths, out=np.zeros_like(rises), where=widths > TINY)
    beyond = values[values > knots[-1]] - knots[-1]
    shape = LEAST_SHAPE
    if len(beyond) >= FEWEST_BEYOND:
        above = 1 - (np.arange(1, len(beyond) + 1) - 0.35) / len(beyond)
        first, second = beyond.mean(), (above * beyond).mean()
        shape = max(2 - first / (first - 2 * second), LEAST_SHAPE)
    scale = (1 - shape) * (beyond.mean() if len(beyond) else knots[-1] / rises.sum())
    if scale <= TINY:
        scale = 1.0
    return np.concatenate([knots, slopes, [1 / scale, shape]]).astype(np.float32)


def surprise(scores: tf.Tensor, tail: tf.Tensor | Tail) -> tf.Tensor:
    """Returns -log p of scores (rows,), float32 (rows,): 0 for 0, increasing, and finite for every score."""
    count = len(SHARES)
    knots, slopes, shape = tail[:count], tail[count:-1], tail[-1]
    within = tf.clip_by_value(scores[:, None] - knots[:-1], 0.0, knots[1:] - knots[:-1]) * slopes[:-1]
    beyond = tf.maximum(scores - knots[-1], 0.0) * (shape * slopes[-1])
    return tf.reduce_sum(within, axis=-1) + tf.math.log1p(tf.minimum(beyond, LARGEST)) / shape
