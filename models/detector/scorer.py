"""The compiled graphs from encoded rows to scores and to their parts, run in batches of a fixed shape.

XLA compiles them on every device, for a single shape: so a row's result is the same to the last bit in any
batch and position, which neither TensorFlow's own matrix product nor graphs of two shapes guarantee.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.detector import far, neighbours
from models.detector.calibration import Normality
from models.detector.score_kinds import NEIGHBOURS, SCORES
from models.detector.tails import TINY, surprise
from models.device import GRAPHS, keras, tf
from models.encoding.layout import Layout, rows_at_once
from models.encoding.samples import Encoded
from models.graph_cache import empty
from models.networks import vae
from models.networks.residuals import residual

# rows of the shape that a graph is compiled for, fewer for wide rows such as images; the last batch is
# padded to it
ROWS = 8_192

Graph = Any  # a tf.function from encoded rows (rows, width) to two tensors of as many rows
Pair = tuple[NDArray[np.float32], NDArray[np.float32]]
Tails = NDArray[np.float32]  # (parts, 22), see `tails`; without rows where the score has one part


@dataclass(frozen=True)
class Scorer:
    """Networks with all that is needed to score rows. Each graph is compiled at its first use.

    parts: names in SCORES; of several, the score is the weighted sum of how surprising each is; see
        `tails`.
    draws: noise draws per row, where a score is sampled.
    without_itself: whether the rows may be rows of the reference; see `neighbours.contributions`.
    """

    networks: tuple[keras.Model, ...]
    layout: Layout
    parts: tuple[str, ...]
    draws: int
    normality: Normality
    without_itself: bool = False

    def scores(self, batches: Iterable[Encoded]) -> Pair:
        """Returns (error, score) of the rows of all batches, each float32 (rows,): the mean over the
        networks.
        """
        return _joined([self._scored(batch) for batch in batches])

    def contributions(self, batches: Iterable[Encoded]) -> Pair:
        """Returns (contributions to the score (rows, width), output (rows, outputs)) of the rows of all
        batches: the mean over the networks. For neighbours, the output is the mean of a row's neighbours; of
        several parts, it is that of the most surprising one.
        """
        return _joined([self._explained(batch) for batch in batches])

    def _scored(self, batch: Encoded) -> Pair:
        error, first = run(self._first_scores, [batch])
        score = first * self.normality.first_scale
        if (refined := first > self.normality.refine_above).any():
            score[refined] = run(self._whole_scores, [batch[refined]], neighbours.ROWS)[1]
        return error, score

    def _explained(self, batch: Encoded) -> Pair:
        first, output = run(self._first_contributions, [batch])
        contributions = first * self.normality.first_scale
        if np.isinf(self.normality.refine_above):
            return contributions, output
        if (refined := run(self._first_scores, [batch])[1] > self.normality.refine_above).any():
            whole = run(self._whole_contributions, [batch[refined]], neighbours.ROWS)
            contributions[refined], output[refined] = whole
        return contributions, output

    @cached_property
    def _first_scores(self) -> Graph:
        return _compiled(lambda encoded: self._sums(encoded, *self._first))

    @cached_property
    def _whole_scores(self) -> Graph:
        return _compiled(lambda encoded: self._sums(encoded, *self._whole))

    @cached_property
    def _first_contributions(self) -> Graph:
        return _compiled(lambda encoded: self._explanation(encoded, *self._first))

    @cached_property
    def _whole_contributions(self) -> Graph:
        return _compiled(lambda encoded: self._explanation(encoded, *self._whole))

    @property
    def _first(self) -> tuple[Encoded, Tails]:
        """The first rows of the reference, and the tails of the parts."""
        return self.normality.reference[: neighbours.FIRST_ROWS], self.normality.tails[:2]

    @property
    def _whole(self) -> tuple[Encoded, Tails]:
        return self.normality.reference, self.normality.tails[::2]

    def _sums(self, encoded: tf.Tensor, reference: Encoded, tails: Tails) -> tuple[tf.Tensor, tf.Tensor]:
        outputs, residuals = self._residuals(encoded)
        errors = [tf.reduce_sum(tf.square(each), axis=-1) / self.layout.features for each in residuals]
        scores = [
            _mean([tf.reduce_sum(contributions, axis=-1) for contributions, _ in part])
            for part in self._parts(encoded, reference, outputs, residuals)
        ]
        score = tf.add_n(_terms(scores, tails))
        if self.normality.far_weight:
            score += tf.reduce_sum(self._far(encoded), axis=-1)
        return _mean(errors), score

    def _explanation(
        self, encoded: tf.Tensor, reference: Encoded, tails: Tails
    ) -> tuple[tf.Tensor, tf.Tensor]:
        parts = self._parts(encoded, reference, *self._residuals(encoded))
        shares = [_mean([contributions for contributions, _ in part]) for part in parts]
        outputs = [_mean([output for _, output in part]) for part in parts]
        scores = [tf.reduce_sum(share, axis=-1) for share in shares]
        terms = _terms(scores, tails)
        found = tf.add_n(
            [
                share * (term / tf.maximum(score, TINY))[:, None]
                for share, term, score in zip(shares, terms, scores, strict=True)
            ]
        )
        if self.normality.far_weight:
            found += self._far(encoded)
        strongest = tf.argmax(tf.stack(terms, axis=1), axis=1)
        return found, tf.gather(tf.stack(outputs, axis=1), strongest, batch_dims=1)

    def _far(self, encoded: tf.Tensor) -> tf.Tensor:
        return far.contributions(encoded, self.normality.ranges, self.normality.far_weight, self.layout)

    def _residuals(self, encoded: tf.Tensor) -> tuple[list[tf.Tensor], list[tf.Tensor]]:
        """Returns the outputs and the residuals of each network."""
        outputs = [network(encoded, training=False) for network in self.networks]
        return outputs, [residual(encoded, output, self.layout) for output in outputs]

    def _parts(
        self, encoded: tf.Tensor, reference: Encoded, outputs: list[tf.Tensor], residuals: list[tf.Tensor]
    ) -> list[list[tuple[tf.Tensor, tf.Tensor]]]:
        """Returns, for each part, contributions (rows, width) and output (rows, outputs) of each network; of
        neighbours, one pair.
        """
        return [
            [neighbours.contributions(encoded, reference, self.layout, without_itself=self.without_itself)]
            if name == NEIGHBOURS
            else [
                (self._of_residual(name, encoded, member, components), output)
                for member, (output, components) in enumerate(zip(outputs, residuals, strict=True))
            ]
            for name in self.parts
        ]

    def _of_residual(self, name: str, encoded: tf.Tensor, member: int, components: tf.Tensor) -> tf.Tensor:
        score, normality = SCORES[name], self.normality
        assert score.contributions is not None
        if score.sampled:
            components = drawn_residual(self.networks[member], self.layout, encoded, self.draws)
        contributions = score.contributions(
            components,
            tf.constant(normality.residual_mean[member]),
            tf.constant(normality.residual_root[member]),
            self.layout.features,
        )
        if not score.sampled:
            return contributions
        return tf.reduce_mean(tf.reshape(contributions, (-1, self.draws, self.layout.width)), axis=1)


def drawn_residual(network: keras.Model, layout: Layout, encoded: tf.Tensor, draws: int) -> tf.Tensor:
    """Returns the residuals of a variational network for every noise draw, float32 (rows x draws, width); the
    draws of a row are adjacent.
    """
    return residual(tf.repeat(encoded, draws, axis=0), vae.reconstruct(network, encoded, draws), layout)


def run(graph: Graph, batches: Iterable[Encoded], most_rows: int = ROWS) -> Pair:
    """Returns the graph's two results for all rows of all batches, in their order.

    most_rows: of the shape that the graph is compiled for; see ROWS.
    """
    found: list[Pair] = []
    for batch in batches:
        shape = rows_at_once(most_rows, batch.shape[1])
        for start in range(0, max(len(batch), 1), shape):
            rows = batch[start : start + shape]
            padded = rows if len(rows) == shape else np.pad(rows, ((0, shape - len(rows)), (0, 0)))
            try:
                first, second = graph(padded)
            except tf.errors.OpError as error:
                graph = _compiled_anew(graph, error)
                first, second = graph(padded)
            found.append((first.numpy()[: len(rows)], second.numpy()[: len(rows)]))
    return _joined(found)


def _joined(found: list[Pair]) -> Pair:
    if not found:
        return np.zeros(0, np.float32), np.zeros(0, np.float32)
    return np.concatenate([first for first, _ in found]), np.concatenate([second for _, second in found])


def _compiled(function: Callable[[tf.Tensor], tuple[tf.Tensor, tf.Tensor]]) -> Graph:
    return tf.function(function, jit_compile=True, autograph=False)


def _compiled_anew(graph: Graph, error: Exception) -> Graph:
    """Returns the graph, compiled without the cache, of which an entry may be damaged. Raises the error where
    that cannot be its cause.
    """
    if GRAPHS is None or isinstance(error, tf.errors.ResourceExhaustedError):
        raise error
    empty(GRAPHS)
    return _compiled(graph.python_function)


def _terms(scores: list[tf.Tensor], tails: Tails) -> list[tf.Tensor]:
    """Returns what each part adds to the score: how surprising it is; the only part, itself."""
    if len(scores) == 1:
        return scores
    return [surprise(score, tail) for score, tail in zip(scores, tails, strict=True)]


def _mean(tensors: list[tf.Tensor]) -> tf.Tensor:
    return tf.add_n(tensors) / len(tensors)
