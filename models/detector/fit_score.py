"""Fits a score to normal rows: the moments of their residuals, the reference sample of neighbours, and the
tails of the parts of a combined score.
"""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from models.detector import neighbours
from models.detector.calibration import Normality
from models.detector.logarithms import find_logarithms
from models.detector.score_kinds import NEIGHBOURS, SCORES, Moments
from models.detector.scorer import Scorer, drawn_residual
from models.detector.tails import fit_tail, surprise
from models.device import keras, tf
from models.encoding.layout import Layout
from models.encoding.samples import Encoded
from models.networks.residuals import residual

DRAWN = 5_000


def fit_score(
    networks: tuple[keras.Model, ...],
    layout: Layout,
    parts: tuple[str, ...],
    draws: int,
    fit: Encoded,
    validation: Encoded,
    seed: int,
    weight: float = 1.0,
    *,
    is_local: bool = True,
    in_logarithms: bool = False,
) -> Normality:
    """Returns what a Scorer of these parts measures rows against.

    weight, is_local, in_logarithms: see Mixture.
    fit: rows that the networks were trained on, of which the reference is a sample, drawn by the seed.
    validation: normal rows that they were not trained on, for everything else.
    """
    normality = fit_moments(networks, layout, parts[0], draws, validation)
    if NEIGHBOURS not in parts:
        return normality
    by_all = fit_reference(networks, layout, draws, fit, normality, seed, is_local, in_logarithms)
    reference, few = by_all.reference, len(by_all.reference) <= neighbours.FIRST_ROWS

    def measured(part: str, against: Normality) -> NDArray[np.float32]:
        return Scorer(networks, layout, (part,), draws, against).scores([validation])[1]

    whole = replace(by_all, refine_above=np.float32(np.inf))
    if few and len(parts) == 1:
        return whole
    count = neighbours.FIRST_ROWS
    first = replace(whole, reference=reference[:count], spacing=whole.spacing[:count])
    from_first = measured(NEIGHBOURS, first)
    from_whole = from_first if few else measured(NEIGHBOURS, by_all)
    if len(parts) == 1:
        apart = from_first > 0
        return replace(
            whole,
            refine_above=np.quantile(from_first, neighbours.REFINED_ABOVE).astype(np.float32),
            first_scale=np.median(from_whole[apart] / from_first[apart]) if apart.any() else np.float32(1),
        )
    of_residual = measured(parts[0], normality)
    tails = np.stack(
        [fit_tail(of_residual, weight), fit_tail(from_first), fit_tail(from_whole)],
    )
    sums = surprise(tf.constant(of_residual), tails[0]) + surprise(tf.constant(from_first), tails[1])
    above = np.inf if few else np.quantile(sums.numpy(), neighbours.REFINED_ABOVE)
    return replace(whole, tails=tails, refine_above=np.float32(above))


def fit_reference(
    networks: tuple[keras.Model, ...],
    layout: Layout,
    draws: int,
    fit: Encoded,
    normality: Normality,
    seed: int,
    is_local: bool,
    in_logarithms: bool,
) -> Normality:
    """Returns the same moments with the reference of neighbours, from all rows of which every row is
    measured.
    """
    reference = neighbours.draw_reference(fit, seed)
    few = len(reference) <= neighbours.FIRST_ROWS
    by_all = replace(normality, reference=reference, refine_above=np.float32(np.inf if few else -1))
    by_all = replace(by_all, spacing=np.ones(len(reference), np.float32))
    if in_logarithms:
        by_all = replace(by_all, logarithms=find_logarithms(fit, layout))
    if is_local:
        among = Scorer(networks, layout, (NEIGHBOURS,), draws, by_all, without_itself=True)
        by_all = replace(by_all, spacing=neighbours.find_spacing(among.scores([reference])[1]))
    return by_all


def fit_moments(
    networks: tuple[keras.Model, ...], layout: Layout, kind: str, draws: int, encoded: Encoded
) -> Normality:
    """Returns means (members, width) and roots (members, width, width) of the residuals of encoded normal
    rows.

    For a sampled score at most DRAWN rows are used, since each has `draws` residuals.
    """
    found: list[Moments] = []
    for network in networks:
        if SCORES[kind].sampled:
            residuals = drawn_residual(network, layout, tf.constant(encoded[:DRAWN]), draws)
        else:
            output = network(encoded, training=False)
            residuals = residual(tf.constant(encoded), output, layout, network)
        found.append(SCORES[kind].moments(residuals.numpy(), layout))
    return Normality(np.stack([mean for mean, _ in found]), np.stack([root for _, root in found]))
