"""The compiled graphs from encoded rows to scores and to their parts, run in batches of a fixed shape.

They are compiled for a single shape: so a row's result is the same to the last bit in any batch and
position, which graphs of two shapes do not guarantee. What they measure rows against is an argument, as
weights are: detectors of the same form share their graphs.
"""

from collections.abc import Iterable
from dataclasses import dataclass, fields, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from models.detector import far, neighbours
from models.detector.batches import ROWS, Arrays, Pair, joined, run
from models.detector.calibration import Normality
from models.detector.score_kinds import NEIGHBOURS, SCORES
from models.detector.scorer_graphs import Form, Part, graph_of
from models.detector.tails import TINY, surprise
from models.device import keras, tf
from models.encoding.layout import Layout
from models.encoding.samples import Encoded
from models.graphs import Tensors, form, weights
from models.networks import vae
from models.networks.residuals import residual

NOTHING = Normality(*np.zeros((2, 0, 0), np.float32))


@dataclass(frozen=True)
class Details:
    """The scores of rows, and what they are made of.

    error, score: float32 (rows,). residual: float32 (rows, width), the mean over the networks. part: float32
    (rows,), the part of the score that depends on the residual; the error where none does.
    """

    error: NDArray[np.float32]
    score: NDArray[np.float32]
    residual: NDArray[np.float32]
    part: NDArray[np.float32]


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
        return joined([self._scored(batch) for batch in batches])

    def contributions(self, batches: Iterable[Encoded]) -> Pair:
        """Returns (contributions to the score (rows, width), output (rows, outputs)) of the rows of all
        batches: the mean over the networks. For neighbours, the output is the mean of a row's neighbours; of
        several parts, it is that of the most surprising one.
        """
        return joined([self._explained(batch) for batch in batches])

    def details(self, batch: Encoded) -> Details:
        """Returns the scores of the rows of a batch with what they are made of, by one pass of the
        networks.
        """
        error, first, residual, part = self._run(Scorer._first_details, batch)
        return Details(error, self._refined(batch, first), residual, part)

    def _scored(self, batch: Encoded) -> Pair:
        error, first = self._run(Scorer._first_sums, batch)
        return error, self._refined(batch, first)

    def _refined(self, batch: Encoded, first: NDArray[np.float32]) -> NDArray[np.float32]:
        """Returns the score from that by the first rows of the reference."""
        score = first * self.normality.first_scale
        if (refined := first > self.normality.refine_above).any():
            score[refined] = self._run(Scorer._whole_sums, batch[refined], neighbours.ROWS)[1]
        return score

    def _explained(self, batch: Encoded) -> Pair:
        if np.isinf(self.normality.refine_above):
            return self._explained_by_first_rows(batch)
        refined = self._run(Scorer._first_sums, batch)[1] > self.normality.refine_above
        contributions, output = self._run(Scorer._whole_explanation, batch[refined], neighbours.ROWS)
        if refined.all():  # what is flagged mostly is: no second graph is traced
            return contributions, output
        others = self._explained_by_first_rows(batch[~refined])
        return _interleaved(refined, contributions, others[0]), _interleaved(refined, output, others[1])

    def _explained_by_first_rows(self, batch: Encoded) -> Pair:
        first, output = self._run(Scorer._first_explanation, batch)
        return first * self.normality.first_scale, output

    def _run(self, part: Part, batch: Encoded, most_rows: int = ROWS) -> Arrays:
        bare = replace(self, normality=NOTHING, without_itself=False)
        graph = graph_of(Form(bare, part, self._forms, self.layout, self.parts, self.draws))
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
        return self._by_first_rows()._sums(encoded, *self._residuals(encoded))

    def _first_details(self, encoded: tf.Tensor) -> Tensors:
        outputs, residuals = self._residuals(encoded)
        sums = self._by_first_rows()._sums(encoded, outputs, residuals)
        kind = "error" if self.parts[0] == NEIGHBOURS else self.parts[0]
        parts = [
            tf.reduce_sum(self._of_residual(kind, encoded, member, each), axis=-1)
            for member, each in enumerate(residuals)
        ]
        return *sums, _mean(residuals), _mean(parts)

    def _whole_sums(self, encoded: tf.Tensor) -> Tensors:
        return self._by_all_rows()._sums(encoded, *self._residuals(encoded))

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

    def _sums(self, encoded: tf.Tensor, outputs: list[tf.Tensor], residuals: list[tf.Tensor]) -> Tensors:
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
    ) -> list[list[tuple[tf.Tensor, tf.Tensor]]]:
        """Returns, for each part, contributions (rows, width) and output (rows, outputs) of each network; of
        neighbours, one pair.
        """
        normal, without_itself = self.normality, self.without_itself
        reference, spacing, logarithms = normal.reference, normal.spacing, normal.logarithms
        among = reference, self.layout, without_itself, spacing, logarithms
        return [
            [neighbours.contributions(encoded, *among)]
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


def drawn_residual(network: keras.Model, layout: Layout, encoded: tf.Tensor, draws: int) -> tf.Tensor:
    """Returns the residuals of a variational network for every noise draw, float32 (rows x draws, width); the
    draws of a row are adjacent.
    """
    drawn = vae.reconstruct(network, encoded, draws)
    return residual(tf.repeat(encoded, draws, axis=0), drawn, layout, network)


def _interleaved(
    chosen: NDArray[np.bool_], those: NDArray[np.float32], others: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Returns the rows of both where `chosen` has them, in the order of the batch."""
    rows = np.empty((len(chosen), those.shape[1]), np.float32)
    rows[chosen], rows[~chosen] = those, others
    return rows


def _mean(tensors: list[tf.Tensor]) -> tf.Tensor:
    return tf.add_n(tensors) / len(tensors)
