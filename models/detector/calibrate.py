"""Calibrates networks on rows that they were not trained on, and chooses the score that ranks known frauds
best.
"""

import logging

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score

from models.detector.calibration import Calibration
from models.detector.score_kinds import SCORES
from models.detector.scorer import Scorer, moments, run
from models.device import keras
from models.encoding.layout import Layout
from models.encoding.samples import Encoded, Samples
from models.errors import TrainingError
from models.settings import ModelSettings

log = logging.getLogger(__name__)

FEWEST_ANOMALIES = 10  # known frauds that `auto` needs to choose a score by them
MOST_COMPONENTS = 4_096  # of a covariance; for larger images it is not computed


def calibrate(
    networks: tuple[keras.Model, ...],
    layout: Layout,
    model: ModelSettings,
    validation: Encoded,
    rows: Samples,
    normals: int,
) -> Calibration:
    """Returns the moments of the residuals of the `validation` rows, and the scores of `rows` that follow.

    rows: the rows whose scores are kept; see Calibration.
    normals: the number of normal rows in the training window. Raises TrainingError where the scores are not
    finite, or all the same.
    """
    kind = model.score
    means, roots = moments(networks, layout, kind, model.draws, validation)
    graph = Scorer(networks, layout, kind, model.draws, means, roots).scores
    held_out, training, anomalies = (
        run(graph, [part])[1] for part in (rows.held_out, rows.training, rows.anomalies)
    )
    if not all(np.isfinite(scores).all() for scores in (held_out, training, anomalies)):
        raise TrainingError(f"scores by {kind} are not finite; check the features for values beyond float32")
    if not np.ptp(held_out) > 0:
        raise TrainingError(
            f"all {len(held_out)} held-out rows have the same score {held_out[0]:.4g}; check that the "
            "features vary"
        )
    return Calibration(means, roots, np.sort(held_out), training, anomalies, normals)


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
    validation: Encoded,
    anomalies: Encoded,
) -> str:
    """Resolves `auto`: returns the score with the best average precision on known frauds, where there are
    enough; else `whitened`, or `error` for rows too wide for a covariance.

    The moments come from one half of the validation rows, the average precision from the other half and the
    anomalies.
    """
    kinds = [kind for kind, score in SCORES.items() if not score.sampled or model.architecture == "vae"]
    if too_wide := layout.width > MOST_COMPONENTS:
        kinds.remove("whitened")
    if len(anomalies) < FEWEST_ANOMALIES:
        chosen = "error" if too_wide else "whitened"
        log.info("score auto: uses %s; %d known frauds are too few to choose by", chosen, len(anomalies))
        return chosen
    rows, labels = (
        np.concatenate([validation[1::2], anomalies]),
        np.repeat([0, 1], [len(validation[1::2]), len(anomalies)]),
    )
    found = {
        kind: average_precision_score(labels, _scores(networks, layout, model, kind, validation[::2], rows))
        for kind in kinds
    }
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


def _scores(
    networks: tuple[keras.Model, ...],
    layout: Layout,
    model: ModelSettings,
    kind: str,
    normal: Encoded,
    rows: Encoded,
) -> NDArray[np.float32]:
    scorer = Scorer(
        networks, layout, kind, model.draws, *moments(networks, layout, kind, model.draws, normal)
    )
    return run(scorer.scores, [rows])[1]
