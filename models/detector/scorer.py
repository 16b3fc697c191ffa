"""The compiled graphs from encoded rows to scores and to their parts, run in batches of a fixed shape.

XLA compiles them on every device, for a single shape: so a row's result is the same to the last bit in any
batch and position, which neither TensorFlow's own matrix product nor graphs of two shapes guarantee.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.detector.score_kinds import SCORES, Moments
from models.device import keras, tf
from models.encoding.layout import Layout, rows_at_once
from models.encoding.samples import Encoded
from models.networks import vae
from models.networks.residuals import residual

# rows of the shape that a graph is compiled for, fewer for wide rows such as images; the last batch is
# padded to it
ROWS = 8_192
DRAWN = 5_000

Graph = Any  # a tf.function from encoded rows (rows, width) to two tensors of as many rows


@dataclass(frozen=True)
class Scorer:
    """Networks with all that is needed to score rows. Each graph is compiled at its first use.

    kind: a name in SCORES. draws: noise draws per row, where the score is sampled.
    means: float32 (members, width) and roots: float32 (members, width, width), see ScoreKind.moments.
    """

    networks: tuple[keras.Model, ...]
    layout: Layout
    kind: str
    draws: int
    means: NDArray[np.float32]
    roots: NDArray[np.float32]

    @cached_property
    def scores(self) -> Graph:
        """Maps encoded rows to (error, score), each float32 (rows,): the mean over the networks."""

        def scores(encoded: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            parts = self._parts(encoded)
            errors = [
                tf.reduce_sum(tf.square(components), axis=-1) / self.layout.features
                for components, _, _ in parts
            ]
            return _mean(errors), _mean(
                [tf.reduce_sum(contributions, axis=-1) for _, contributions, _ in parts]
            )

        return tf.function(scores, jit_compile=True, autograph=False)

    @cached_property
    def contributions(self) -> Graph:
        """Maps encoded rows to (contributions to the score (rows, width), output (rows, outputs)): the mean
        over the networks.
        """

        def contributions(encoded: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            parts = self._parts(encoded)
            return _mean([contributions for _, contributions, _ in parts]), _mean(
                [output for _, _, output in parts]
            )

        return tf.function(contributions, jit_compile=True, autograph=False)

    def _parts(self, encoded: tf.Tensor) -> list[tuple[tf.Tensor, tf.Tensor, tf.Tensor]]:
        """Per network: residual, contributions, output."""
        parts, score = [], SCORES[self.kind]
        for network, mean, root in zip(self.networks, self.means, self.roots, strict=True):
            output = network(encoded, training=False)
            components = residual(encoded, output, self.layout)
            scored = (
                drawn_residual(network, self.layout, encoded, self.draws) if score.sampled else components
            )
            contributions = score.contributions(
                scored, tf.constant(mean), tf.constant(root), self.layout.features
            )
            if score.sampled:
                contributions = tf.reduce_mean(
                    tf.reshape(contributions, (-1, self.draws, self.layout.width)), axis=1
                )
            parts.append((components, contributions, output))
        return parts


def drawn_residual(network: keras.Model, layout: Layout, encoded: tf.Tensor, draws: int) -> tf.Tensor:
    """Returns the residuals of a variational network for every noise draw, float32 (rows x draws, width); the
    draws of a row are adjacent.
    """
    return residual(tf.repeat(encoded, draws, axis=0), vae.reconstruct(network, encoded, draws), layout)


def moments(
    networks: tuple[keras.Model, ...], layout: Layout, kind: str, draws: int, encoded: Encoded
) -> Moments:
    """Returns means (members, width) and roots (members, width, width) of the residuals of encoded normal
    rows, for a Scorer of this kind.

    For a sampled score at most DRAWN rows are used, since each has `draws` residuals.
    """
    found = []
    for network in networks:
        if SCORES[kind].sampled:
            residuals = drawn_residual(network, layout, tf.constant(encoded[:DRAWN]), draws)
        else:
            residuals = residual(tf.constant(encoded), network(encoded, training=False), layout)
        found.append(SCORES[kind].moments(residuals.numpy(), layout))
    return np.stack([mean for mean, _ in found]), np.stack([root for _, root in found])


def run(
    graph: Graph, batches: Iterable[Encoded], most_rows: int = ROWS
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Returns the graph's two results for all rows of all batches, in their order.

    most_rows: of the shape that the graph is compiled for; see ROWS.
    """
    first: list[NDArray[np.float32]] = []
    second: list[NDArray[np.float32]] = []
    for batch in batches:
        shape = rows_at_once(most_rows, batch.shape[1])
        compiled = graph.get_concrete_function(tf.TensorSpec((shape, batch.shape[1]), tf.float32))
        for start in range(0, max(len(batch), 1), shape):
            rows = batch[start : start + shape]
            padded = rows if len(rows) == shape else np.pad(rows, ((0, shape - len(rows)), (0, 0)))
            results = compiled(tf.convert_to_tensor(padded))
            first.append(results[0].numpy()[: len(rows)])
            second.append(results[1].numpy()[: len(rows)])
    if not first:
        return np.zeros(0, np.float32), np.zeros(0, np.float32)
    return np.concatenate(first), np.concatenate(second)


def _mean(tensors: list[tf.Tensor]) -> tf.Tensor:
    return tf.add_n(tensors) / len(tensors)
