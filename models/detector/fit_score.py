"""Fits a score to normal rows: the moments of their residuals, and the reference sample of neighbours."""

from dataclasses import replace

import numpy as np

from models.detector import neighbours
from models.detector.calibration import Normality
from models.detector.score_kinds import SCORES, Moments
from models.detector.scorer import Scorer, drawn_residual
from models.device import keras, tf
from models.encoding.layout import Layout
from models.encoding.samples import Encoded
from models.networks.residuals import residual

DRAWN = 5_000


def fit_score(
    networks: tuple[keras.Model, ...],
    layout: Layout,
    kind: str,
    draws: int,
    fit: Encoded,
    validation: Encoded,
    seed: int,
) -> Normality:
    """Returns what a Scorer of this kind measures rows against.

    fit: rows that the networks were trained on, of which the reference is a sample, drawn by the seed.
    validation: normal rows that they were not trained on, for everything else.
    """
    normality = Normality(*_moments(networks, layout, kind, draws, validation))
    if SCORES[kind].contributions is not None:
        return normality
    reference = neighbours.draw_reference(fit, seed)
    whole = replace(normality, reference=reference)
    if len(reference) <= neighbours.FIRST_ROWS:
        return whole
    first = replace(normality, reference=reference[: neighbours.FIRST_ROWS])
    from_first, from_whole = (
        Scorer(networks, layout, kind, draws, each).scores([validation])[1]
        for each in (first, replace(whole, refine_above=np.float32(-1)))
    )
    apart = from_first > 0
    return replace(
        whole,
        refine_above=np.quantile(from_first, neighbours.REFINED_ABOVE).astype(np.float32),
        first_scale=np.median(from_whole[apart] / from_first[apart]) if apart.any() else np.float32(1),
    )


def _moments(
    networks: tuple[keras.Model, ...], layout: Layout, kind: str, draws: int, encoded: Encoded
) -> Moments:
    """Returns means (members, width) and roots (members, width, width) of the residuals of encoded normal
    rows.

    For a sampled score at most DRAWN rows are used, since each has `draws` residuals.
    """
    found = []
    for network in networks:
        if SCORES[kind].sampled:
            residuals = drawn_residual(network, layout, tf.constant(encoded[:DRAWN]), draws)
        else:
            output = network(encoded, training=False)
            residuals = residual(tf.constant(encoded), output, layout, network)
        found.append(SCORES[kind].moments(residuals.numpy(), layout))
    return np.stack([mean for mean, _ in found]), np.stack([root for _, root in found])
