"""The compiled graphs from encoded rows to scores and to their parts, run in batches of a fixed shape.

They are compiled for a single shape: so a row's result is the same to the last bit in any batch and
position, which graphs of two shapes do not guarantee. What they measure rows against is an argument, as
weights are: detectors of the same form share their graphs.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, fields, replace
from functools import cached_property, lru_cache

import numpy as np
from numpy.typing import NDArray

from models.detector import far, neighbours
from models.detector.calibration import Normality
from models.detector.score_kinds import NEIGHBOURS, SCORES
from models.detector.tails import TINY, surprise
from models.device import keras, tf
from models.encoding.layout import Layout, rows_at_once
from models.encoding.samples import Encoded
from models.graphs import Graph, form, weighing, weights
from models.networks import vae
from models.networks.residuals import residual

# rows of the shape that a graph is compiled for, fewer for wide rows such as images; the last batch is
# padded to it
ROWS = 8_192
MOST_FORMS = 32  # graphs kept in memory
NOTHING = Normality(*np.zeros((2, 0, 0), np.float32))

Pair = tuple[NDArray[np.float32], NDArray[np.float32]]
Tensors = tuple[tf.Tensor, tf.Tensor]


@dataclass(frozen=True)
class Scorer:
    """Networks with all that is needed to score rows. Each graph is compiled at the first use of its form.

    parts: names in SCORES; of several, the score is the weighted sum of how surprising each is; see
        `tails`.
    draws: noise draws per row, where a score is sampled.
    without_itself: whether the rows may be rows of the reference; see `neighbours.contributions`. A tensor
        while a graph is traced.
    """

    networks: tuple[keras.Model, ...]
    layout: Layout
    parts: tuple[str, ...]
    draws: int
    normality: Normality
    without_itself: bool | tf.Tensor = False

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
        error, first = self._run(Scorer._first_sums, batch)
        score = first * self.normality.first_scale
        if (refined := first > self.normality.refine_above).any():
            score[refined] = self._run(Scorer._whole_sums, batch[refined], neighbours.ROWS)[1]
        return error, score

    def _explained(self, batch: Encoded) -> Pair:
        first, output = self._run(Scorer._first_explanation, batch)
        contributions = first * self.normality.first_scale
        if np.isinf(self.normality.refine_above):
            return contributions, output
        if (refined := self._run(Scorer._first_sums, batch)[1] > self.normality.refine_above).any():
            whole = self._run(Scorer._whole_explanation, batch[refined], neighbours.ROWS)
            contributions[refined], output[refined] = whole
        return contributions, output

    def _run(self, part: "Part", batch: Encoded, most_rows: int = ROWS) -> Pair:
        bare = replace(self, normality=NOTHING, without_itself=False)
        graph = _graph(_Form(bare, part, self._forms, self.layout, self.parts, self.draws))
        return run(lambda encoded: graph(encoded, *self._arguments), [batch], most_rows)

    @cached_property
    def _forms(self) -> tuple[str, ...]:
        return tuple(map(form, self.networks))

    @cached_property
    def _arguments(self) -> tuple[list[list[tf.Tensor]], dict[str, tf.Tensor], tf.Tensor]:
        reference, spacing = neighbours.padded(self.normality.reference), self.normality.spacing
        if len(spacing):
            spacing = np.pad(spacing, (0, len(reference) - len(spacing)))
        normality = replace(self.normality, reference=reference, spacing=spacing)
        measured = {each.name: tf.constant(getattr(normality, each.name)) for each in fields(Normality)}
        return weights(self.networks), measured, tf.constant(self.without_itself)

    def _first_sums(self, encoded: tf.Tensor) -> Tensors:
        return self._by_first_rows()._sums(encoded)

    def _whole_sums(self, encoded: tf.Tensor) -> Tensors:
        return self._by_all_rows()._sums(encoded)

    def _first_explanation(self, encoded: tf.Tensor) -> Tensors:
        return self._by_first_rows()._explanation(encoded)

    def _whole_explanation(self, encoded: tf.Tensor) -> Tensors:
        return self._by_all_rows()._explanation(encoded)

    def _by_first_rows(self) -> "Scorer":
        """The same scorer with the first rows of the reference alone, and the tail of distances from them."""
        measured, count = self.normality, neighbours.FIRST_ROWS
        reference, spacing = measured.reference[:count], measured.spacing[:count]
        first = replace(measured, reference=reference, spacing=spacing, tails=measured.tails[:2])
        return replace(self, normality=first)

    def _by_all_rows(self) -> "Scorer":
        return replace(self, normality=replace(self.normality, tails=self.normality.tails[::2]))

    def _sums(self, encoded: tf.Tensor) -> Tensors:
        outputs, residuals = self._residuals(encoded)
        errors = [tf.reduce_sum(tf.square(each), axis=-1) / self.layout.features for each in residuals]
        scores = [
            _mean([tf.reduce_sum(contributions, axis=-1) for contributions, _ in part])
            for part in self._parts(encoded, outputs, residuals)
        ]
        score = tf.add_n(self._terms(scores))
        if self._has_ranges:
            score += tf.reduce_sum(self._far(encoded), axis=-1)
        return _mean(errors), score

    def _explanation(self, encoded: tf.Tensor) -> Tensors:
        parts = self._parts(encoded, *self._residuals(encoded))
        shares = [_mean([contributions for contributions, _ in part]) for part in parts]
        outputs = [_mean([output for _, output in part]) for part in parts]
        scores = [tf.reduce_sum(share, axis=-1) for share in shares]
        terms = self._terms(scores)
        found = tf.add_n(
            [
                share * (term / tf.maximum(score, TINY))[:, None]
                for share, term, score in zip(shares, terms, scores, strict=True)
            ]
        )
        if self._has_ranges:
            found += self._far(encoded)
        strongest = tf.argmax(tf.stack(terms, axis=1), axis=1)
        return found, tf.gather(tf.stack(outputs, axis=1), strongest, batch_dims=1)

    @property
    def _has_ranges(self) -> bool:
        return bool(self.normality.ranges.shape[1])

    def _far(self, encoded: tf.Tensor) -> tf.Tensor:
        return far.contributions(encoded, self.normality.ranges, self.normality.far_weight, self.layout)

    def _residuals(self, encoded: tf.Tensor) -> tuple[list[tf.Tensor], list[tf.Tensor]]:
        """Returns the outputs and the residuals of each network."""
        outputs = [network(encoded, training=False) for network in self.networks]
        residuals = [
            residual(encoded, output, self.layout, network)
            for network, output in zip(self.networks, outputs, strict=True)
        ]
        return outputs, residuals

    def _terms(self, scores: list[tf.Tensor]) -> list[tf.Tensor]:
        """Returns what each part adds to the score: how surprising it is; the only part, itself."""
        if len(scores) == 1:
            return scores
        return [surprise(score, self.normality.tails[part]) for part, score in enumerate(scores)]

    def _parts(
        self, encoded: tf.Tensor, outputs: list[tf.Tensor], residuals: list[tf.Tensor]
    ) -> list[list[Tensors]]:
        """Returns, for each part, contributions (rows, width) and output (rows, outputs) of each network; of
        neighbours, one pair.
        """
        reference, spacing = self.normality.reference, self.normality.spacing
        return [
            [neighbours.contributions(encoded, reference, self.layout, self.without_itself, spacing)]
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
            normality.residual_mean[member],
            normality.residual_root[member],
            self.layout.features,
        )
        if not score.sampled:
            return contributions
        return tf.reduce_mean(tf.reshape(contributions, (-1, self.draws, self.layout.width)), axis=1)


Part = Callable[
    [Scorer, tf.Tensor], Tensors
]  # from encoded rows (rows, width) to two tensors of as many rows


@dataclass(frozen=True)
class _Form:
    """What scorers have in common that share a graph. scorer: the first of them, which is traced."""

    scorer: Scorer = field(compare=False)
    part: Part
    networks: tuple[str, ...]
    layout: Layout
    parts: tuple[str, ...]
    draws: int


@lru_cache(MOST_FORMS)
def _graph(found_by: _Form) -> Graph:
    """Returns the graph of one part of a scorer: from encoded rows, weights of its networks and normality."""
    scorer = found_by.scorer

    def calculate(
        encoded: tf.Tensor,
        given: list[list[tf.Tensor]],
        measured: dict[str, tf.Tensor],
        without_itself: tf.Tensor,
    ) -> Tensors:
        traced = replace(scorer, normality=Normality(**measured), without_itself=without_itself)
        with weighing(scorer.networks, given):
            return found_by.part(traced, encoded)

    return Graph(calculate)


def drawn_residual(network: keras.Model, layout: Layout, encoded: tf.Tensor, draws: int) -> tf.Tensor:
    """Returns the residuals of a variational network for every noise draw, float32 (rows x draws, width); the
    draws of a row are adjacent.
    """
    drawn = vae.reconstruct(network, encoded, draws)
    return residual(tf.repeat(encoded, draws, axis=0), drawn, layout, network)


def run(graph: Callable[[Encoded], Tensors], batches: Iterable[Encoded], most_rows: int = ROWS) -> Pair:
    """Returns the graph's two results for all rows of all batches, in their order.

    most_rows: of the shape that the graph is compiled for; see ROWS.
    """
    found: list[Pair] = []
    for batch in batches:
        shape = rows_at_once(most_rows, batch.shape[1])
        for start in range(0, max(len(batch), 1), shape):
            rows = batch[start : start + shape]
            padded = rows if len(rows) == shape else np.pad(rows, ((0, shape - len(rows)), (0, 0)))
            first, second = graph(padded)
            found.append((first.numpy()[: len(rows)], second.numpy()[: len(rows)]))
    return _joined(found)


def _joined(found: list[Pair]) -> Pair:
    if not found:
        return np.zeros(0, np.float32), np.zeros(0, np.float32)
    return np.concatenate([first for first, _ in found]), np.concatenate([second for _, second in found])


def _mean(tensors: list[tf.Tensor]) -> tf.Tensor:
    return tf.add_n(tensors) / len(tensors)
