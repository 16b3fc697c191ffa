"""The score of a detector with a head: the head's log odds plus how surprising the networks find the row.

The parts are added in a compiled graph of one shape, as the networks' own score is: so a row's score is the
same to the last bit in any batch.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from models.detector import far
from models.detector.batches import Arrays, Pair, run
from models.detector.head_inputs import inputs_of
from models.detector.scorer import Scorer
from models.detector.tails import TINY, surprise
from models.device import tf
from models.encoding.layout import Layout
from models.encoding.samples import Encoded
from models.graphs import Graph
from models.head.boosted import Boosted

Triple = tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]


@dataclass(frozen=True)
class NetworkScores:
    """The scores that the networks alone give to normal rows; see Calibration."""

    held_out: NDArray[np.float32]
    training: NDArray[np.float32]


@dataclass(frozen=True)
class Blend:
    """tail: float32 (22,), of the networks' scores of normal rows, with their weight; see `fit_tail`.

    far_weight: what a value adds that is one training range beyond those that add nothing; see `far`.
    alone: against which the networks alone are measured.
    """

    head: Boosted
    tail: NDArray[np.float32]
    far_weight: np.float32
    alone: NetworkScores


@dataclass(frozen=True)
class BlendedScorer:
    """A Scorer with a head beside it; it has the same two methods."""

    scorer: Scorer
    blend: Blend

    def scores(self, batches: Iterable[Encoded]) -> Pair:
        """Returns (error, score) of the rows of all batches, each float32 (rows,)."""
        error, score, _ = self.scores_beside(batches)
        return error, score

    def scores_beside(self, batches: Iterable[Encoded]) -> Triple:
        """Returns (error, score, score of the networks alone) of the rows of all batches, each float32
        (rows,).
        """
        nothing = np.zeros(0, np.float32)
        found: list[Triple] = [(nothing, nothing, nothing)]
        for batch in batches:
            inputs = inputs_of(self.scorer, batch)
            log_odds = self.blend.head.log_odds(inputs.columns)
            found.append((inputs.error, self._run(batch, inputs.score, log_odds)[0], inputs.score))
        error, score, alone = (np.concatenate(each) for each in zip(*found, strict=True))
        return error, score, alone

    def contributions(self, batches: Iterable[Encoded]) -> Pair:
        """Returns (contributions to the score (rows, width), output of the networks (rows, outputs)).

        A contribution is less than 0 where the head takes the value for a sign of a normal row.
        """
        explained = [self._explained(batch) for batch in batches]
        shares, outputs = zip(*explained, strict=True)
        return np.concatenate(shares), np.concatenate(outputs)

    def _explained(self, batch: Encoded) -> Pair:
        inputs = inputs_of(self.scorer, batch)
        found, output = self.scorer.contributions([batch])
        total: NDArray[np.float32] = np.maximum(inputs.score, np.float32(TINY))[:, None]
        shares = found / total
        of_head = inputs.by_column(self.blend.head.contributions(inputs.columns), shares)
        _, surprising = self._run(batch, inputs.score, np.zeros(len(batch)))
        whole = of_head + shares * surprising[:, None] + self._far(batch)
        return whole.astype(np.float32), output

    def _run(self, batch: Encoded, score: NDArray[np.float32], log_odds: NDArray[np.float64]) -> Arrays:
        """Returns the score of the rows and how surprising the networks find them, times the weight."""
        graph, ranges, tail = _graph(self.scorer.layout), self.scorer.normality.ranges, self.blend.tail
        joined = np.column_stack([batch, score, log_odds.astype(np.float32)]).astype(np.float32)
        arguments = tf.constant(ranges), tf.constant(tail), tf.constant(self.blend.far_weight)
        return run(lambda rows: graph(rows, *arguments), [joined])

    def _far(self, batch: Encoded) -> NDArray[np.float32]:
        ranges, layout = self.scorer.normality.ranges, self.scorer.layout
        found: NDArray[np.float32] = far.contributions(
            tf.constant(batch), ranges, self.blend.far_weight, layout
        ).numpy()
        return found


@lru_cache(8)
def _graph(layout: Layout) -> Graph:
    """Returns the graph from encoded rows with two more columns, the networks' score and the log odds."""

    def calculate(
        joined: tf.Tensor, ranges: tf.Tensor, tail: tf.Tensor, far_weight: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        encoded, score, log_odds = joined[:, :-2], joined[:, -2], joined[:, -1]
        surprising = surprise(score, tail)
        outside = tf.reduce_sum(far.contributions(encoded, ranges, far_weight, layout), axis=-1)
        return log_odds + surprising + outside, surprising

    return Graph(calculate)
