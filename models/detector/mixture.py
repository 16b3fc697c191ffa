"""What a combined score is made of: by a rule or, where enough frauds of the training window are known, by
what ranks these best.
"""

import logging
from dataclasses import dataclass, replace

import numpy as np
from sklearn import metrics

from models.detector.fit_score import fit_score
from models.detector.score_kinds import (
    COMBINED,
    MOST_COMPONENTS,
    RESIDUAL_WEIGHT,
    parts_of,
    residual_weight,
)
from models.detector.scorer import Scorer
from models.device import keras
from models.encoding.layout import Layout
from models.encoding.samples import Encoded, cap
from models.settings import ModelSettings

log = logging.getLogger(__name__)

FEWEST_FRAUDS = 50  # known ones that mixtures are compared by
MOST_NORMAL = 10_000


@dataclass(frozen=True)
class Mixture:
    """parts: names in SCORES. weight: of the residual, where there are two parts. is_local: whether distances
    count for less where the neighbours lie far apart; see `neighbours`.
    """

    parts: tuple[str, ...]
    weight: float
    is_local: bool = True


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
    rows, labels = np.concatenate([normal, anomalies]), np.repeat([0, 1], [len(normal), len(anomalies)])
    shares = np.where(labels, 1.0, normals / len(normal))
    found = {}
    for mixture in _candidates(ruled, layout):
        parts, weight = mixture.parts, mixture.weight
        normality = fit_score(
            networks, layout, parts, model.draws, fit, normal, seed, weight, is_local=mixture.is_local
        )
        scores = Scorer(networks, layout, parts, model.draws, normality).scores([rows])[1]
        found[mixture] = metrics.average_precision_score(labels, scores, sample_weight=shares)
    best = max(found, key=lambda mixture: found[mixture])
    figures = ", ".join(f"{mixture} {precision:.3f}" for mixture, precision in found.items())
    log.info("combined by %s; average precision on %d known frauds: %s", best, len(anomalies), figures)
    return best


def _candidates(ruled: Mixture, layout: Layout) -> list[Mixture]:
    """Returns the one by rule, and a little of the whitened residual; each with local and plain distances."""
    residuals = [ruled]
    whitened = replace(ruled, parts=("whitened", *ruled.parts[1:]), weight=RESIDUAL_WEIGHT)
    if layout.width <= MOST_COMPONENTS and whitened != ruled:
        residuals.append(whitened)
    return [replace(each, is_local=is_local) for each in residuals for is_local in (True, False)]
