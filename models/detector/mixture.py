"""What a combined score is made of: by a rule or, where enough frauds of the training window are known, by
what ranks these best.
"""

import logging
from dataclasses import dataclass, replace
from functools import cache
from itertools import product

import numpy as np
from numpy.typing import NDArray
from sklearn import metrics

from models.detector.calibration import Normality
from models.detector.fit_score import fit_moments, fit_reference
from models.detector.logarithms import find_logarithms
from models.detector.score_kinds import (
    COMBINED,
    MOST_COMPONENTS,
    NEIGHBOURS,
    RESIDUAL_WEIGHT,
    parts_of,
    residual_weight,
)
from models.detector.scorer import Scorer
from models.detector.tails import fit_tail, surprise
from models.device import keras, tf
from models.encoding.layout import Layout
from models.encoding.samples import Encoded, cap
from models.settings import ModelSettings

log = logging.getLogger(__name__)

FEWEST_FRAUDS = 50  # known ones that mixtures are compared by
MOST_NORMAL = 10_000

Surprises = NDArray[np.float32]


@dataclass(frozen=True)
class Mixture:
    """parts: names in SCORES. weight: of the residual, where there are two parts. is_local: whether distances
    count for less where the neighbours lie far apart; see `neighbours`. in_logarithms: whether they are
    measured in the logarithms of heavy tails; see `logarithms`.
    """

    parts: tuple[str, ...]
    weight: float
    is_local: bool = True
    in_logarithms: bool = False

    def __str__(self) -> str:
        """Such as "0.25 whitened + neighbours, local, in logarithms"."""
        residual, *others = self.parts
        distances = ["local"] * self.is_local + ["in logarithms"] * self.in_logarithms
        return ", ".join([" + ".join([f"{self.weight:g} {residual}", *others]), *distances])


def by_rule(model: ModelSettings, layout: Layout) -> Mixture:
    """Returns the mixture where too few frauds are known; a score that is not combined has one part."""
    parts = parts_of(model, layout)
    return Mixture(parts, residual_weight(model, parts))


def choose_mixture(
    networks: tuple[keras.Model, ...],
    layout: Layout,
    model: ModelSettings,
    fit: Encoded,
    validation: Encoded,
    anomalies: Encoded,
    normals: int,
    seed: int,
) -> Mixture:
    """Returns the mixture with the best average precision on known frauds and validation rows, each of which
    stands for its share of the normal rows; the one by rule for fewer than FEWEST_FRAUDS, for images, and for
    a score that is not combined.
    """
    ruled = by_rule(model, layout)
    if model.score != COMBINED or layout.image or len(anomalies) < FEWEST_FRAUDS:
        return ruled
    normal = cap(validation, MOST_NORMAL, seed)
    rows = np.concatenate([normal, anomalies])
    known = _Known(networks, layout, model.draws, fit, normal, rows, seed)
    labels = np.repeat([0, 1], [len(normal), len(anomalies)])
    shares = np.where(labels, 1.0, normals / len(normal))
    found = {
        mixture: metrics.average_precision_score(labels, known.scores(mixture), sample_weight=shares)
        for mixture in _candidates(ruled, layout, fit)
    }
    best = max(found, key=lambda mixture: found[mixture])
    figures = "; ".join(f"{mixture}: {precision:.3f}" for mixture, precision in found.items())
    log.info("combined by %s; average precision on %d known frauds: %s", best, len(anomalies), figures)
    return best


class _Known:
    """The rows that mixtures are compared by: each part is measured once, from the whole reference."""

    def __init__(
        self,
        networks: tuple[keras.Model, ...],
        layout: Layout,
        draws: int,
        fit: Encoded,
        normal: Encoded,
        rows: Encoded,
        seed: int,
    ) -> None:
        """rows: first the `normal` ones, to which tails and moments are fitted."""
        self._scored = networks, layout, draws
        self._fit, self._normal, self._rows, self._seed = fit, normal, rows, seed
        self._of_residual, self._of_distance = cache(self._residual), cache(self._distance)

    def scores(self, mixture: Mixture) -> Surprises:
        """Returns the combined scores, float32 (rows,)."""
        distance = self._of_distance(mixture.is_local, mixture.in_logarithms)
        return mixture.weight * self._of_residual(mixture.parts[0]) + distance

    def _residual(self, part: str) -> Surprises:
        return self._surprises(part, self._moments(part))

    def _distance(self, is_local: bool, in_logarithms: bool) -> Surprises:
        networks, layout, draws = self._scored
        kinds = is_local, in_logarithms
        moments = self._moments(NEIGHBOURS)
        measured = fit_reference(networks, layout, draws, self._fit, moments, self._seed, *kinds)
        return self._surprises(NEIGHBOURS, measured)

    def _moments(self, part: str) -> Normality:
        networks, layout, draws = self._scored
        return fit_moments(networks, layout, part, draws, self._normal)

    def _surprises(self, part: str, against: Normality) -> Surprises:
        networks, layout, draws = self._scored
        scores = Scorer(networks, layout, (part,), draws, against).scores([self._rows])[1]
        tail = fit_tail(scores[: len(self._normal)])
        found: Surprises = surprise(tf.constant(scores), tail).numpy()
        return found


def _candidates(ruled: Mixture, layout: Layout, fit: Encoded) -> list[Mixture]:
    """Returns the one by rule, and a little of the whitened residual; each with local and plain distances,
    and where a tail is heavy, with these in logarithms.
    """
    residuals = [ruled]
    whitened = replace(ruled, parts=("whitened", *ruled.parts[1:]), weight=RESIDUAL_WEIGHT)
    if layout.width <= MOST_COMPONENTS and whitened != ruled:
        residuals.append(whitened)
    in_logarithms = (False, True) if find_logarithms(fit, layout).any() else (False,)
    return [
        replace(each, is_local=is_local, in_logarithms=taken)
        for taken, each, is_local in product(in_logarithms, residuals, (True, False))
    ]
