"""Calibrates networks on rows that they were not trained on, and chooses the score that ranks known frauds
best.
"""

import logging
from dataclasses import replace

import numpy as np
from sklearn import metrics

from models.detector.calibration import Calibration
from models.detector.far import Ranges
from models.detector.fit_score import fit_score
from models.detector.mixture import Mixture, by_rule
from models.detector.score_kinds import (
    COMBINED,
    MOST_COMPONENTS,
    NEIGHBOURS,
    SCORES,
    score_of,
)
from models.detector.scorer import Scorer
from models.device import keras
from models.encoding.layout import Layout
from models.encoding.samples import Encoded, Samples
from models.errors import TrainingError
from models.settings import ModelSettings

log = logging.getLogger(__name__)

FEWEST_ANOMALIES = 10  # known frauds that `auto` needs to choose a score by them


def calibrate(
    networks: tuple[keras.Model, ...],
    layout: Layout,
    model: ModelSettings,
    mixture: Mixture,
    fit: Encoded,
    validation: Encoded,
    rows: Samples,
    normals: int,
    seed: int,
    ranges: Ranges | None,
) -> Calibration:
    """Returns what the score is fitted to on the rows that the networks learnt, and the scores of `rows` that
    follow.

    fit, validation: see `fit_score`. rows: the rows whose scores are kept; see Calibration.
    normals: the number of normal rows in the training window. ranges: of the rows that were learnt, None for
    images. Raises TrainingError where the scores are not
    finite, or all the same.
    """
    parts = mixture.parts
    normality = fit_score(
        networks,
        layout,
        parts,
        model.draws,
        fit,
        validation,
        seed,
        mixture.weight,
        is_local=mixture.is_local,
        in_logarithms=mixture.in_logarithms,
    )
    if ranges is not None:
        normality = replace(normality, ranges=ranges)
    scorer = Scorer(networks, layout, parts, model.draws, normality)
    own = replace(scorer, without_itself=NEIGHBOURS in parts)
    if ranges is not None:
        highest = own.scores([rows.training])[1].max()
        normality = replace(normality, far_weight=highest or np.float32(1))
        scorer, own = replace(scorer, normality=normality), replace(own, normality=normality)
    training = own.scores([rows.training])[1]
    held_out, anomalies = (scorer.scores([part])[1] for part in (rows.held_out, rows.anomalies))
    if not all(np.isfinite(scores).all() for scores in (held_out, training, anomalies)):
        raise TrainingError(
            f"scores by {model.score} are not finite; check the features for values beyond float32"
        )
    if not np.ptp(held_out) > 0:
        raise TrainingError(
            f"all {len(held_out)} held-out rows have the same score {held_out[0]:.4g}; check that the "
            "features vary"
        )
    return Calibration(
        **vars(normality),
        held_out=np.sort(held_out),
        training=training,
        anomalies=anomalies,
        normals=normals,
    )


def refuse_what_is_too_wide(layout: Layout, model: ModelSettings) -> None:
    """Raises TrainingError where the score needs a covariance of more than MOST_COMPONENTS components."""
    if model.score == "whitened" and layout.width > MOST_COMPONENTS:
        raise TrainingError(
            f'score whitened needs the covariance of {layout.width:,} components; set model.score = "error"'
        )


def choose_score(
    networks: tuple[keras.Model, ...],
    layout: Layout,
    model: ModelSettings,
    fit: Encoded,
    validation: Encoded,
    anomalies: Encoded,
    seed: int,
) -> str:
    """Resolves `auto`: returns the score with the best average precision on known frauds, where there are
    enough; else the default, or `error` for rows too wide for a covariance.

    The scores are fitted with one half of the validation rows, the average precision comes from the other
    half and the anomalies.
    """
    kinds = [kind for kind, score in SCORES.items() if not score.sampled or model.architecture == "vae"]
    kinds.append(COMBINED)
    if too_wide := layout.width > MOST_COMPONENTS:
        kinds.remove("whitened")
    if len(anomalies) < FEWEST_ANOMALIES:
        unset = model.model_copy(update={"score": None})
        chosen = "error" if too_wide else score_of(unset, layout)
        log.info("score auto: uses %s; %d known frauds are too few to choose by", chosen, len(anomalies))
        return chosen
    rows, labels = (
        np.concatenate([validation[1::2], anomalies]),
        np.repeat([0, 1], [len(validation[1::2]), len(anomalies)]),
    )
    found = {}
    for kind in kinds:
        ruled = by_rule(model.model_copy(update={"score": kind}), layout)
        parts, weight = ruled.parts, ruled.weight
        normality = fit_score(networks, layout, parts, model.draws, fit, validation[::2], seed, weight)
        scores = Scorer(networks, layout, parts, model.draws, normality).scores([rows])[1]
        found[kind] = metrics.average_precision_score(labels, scores)
    best = max(found, key=lambda kind: found[kind])
    figures = ", ".join(f"{kind} {precision:.3f}" for kind, precision in found.items())
    log.info(
        "score auto: uses %s; average precision on %d held-out rows and %d known frauds: %s",
        best,
        sum(labels == 0),
        sum(labels),
        figures,
    )
    return best
