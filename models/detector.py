"""A Detector: an encoder, its networks, and a calibration on normal rows that they were not trained on."""

import logging
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import polars as pl
from numpy.typing import NDArray

from models.architectures import ARCHITECTURES
from models.calibration import Calibration, whitening
from models.device import describe_device, keras, reproducible
from models.encoding import Encoder
from models.errors import TrainingError
from models.explanation import Explanation, reasons
from models.layout import Layout
from models.scoring import Encoded, Scorer, residuals, run
from models.settings import ModelSettings, TrainingSettings
from models.training import Epoch, OnEpoch, fit_network, split

log = logging.getLogger(__name__)

BATCH_ROWS = 65_536
SAMPLE_ROWS = 20_000
TRAINING_SCORES = 200_000


@dataclass(frozen=True)
class Scores:
    """error: float32 (rows,), mean loss per feature, encoded units. score: float32 (rows,), what rows are ranked by. Higher is stranger."""

    error: NDArray[np.float32]
    score: NDArray[np.float32]


@dataclass(frozen=True)
class Detector:
    """history: every epoch of every network. device: what it was trained on. sample: float32 (at most 20,000, width), encoded
    rows that it was trained on, for baselines.
    """

    encoder: Encoder
    networks: tuple[keras.Model, ...]
    calibration: Calibration
    settings: ModelSettings
    training: TrainingSettings
    history: tuple[Epoch, ...]
    device: str
    sample: NDArray[np.float32]

    @cached_property
    def _scorer(self) -> Scorer:
        calibration = self.calibration
        return Scorer(self.networks, self.encoder.layout, self.settings.score, calibration.residual_mean, calibration.residual_root)

    def score(self, frame: pl.DataFrame) -> Scores:
        """The scores of the rows of a frame. Raises ModelError where a feature column is missing or of the wrong kind."""
        return self.score_batches([frame])

    def score_batches(self, batches: Iterable[pl.DataFrame], batch_rows: int = BATCH_ROWS) -> Scores:
        """The scores of the rows of all frames, in their order; memory does not grow with their number, but for the result.

        batch_rows: how many rows are encoded at once. A row's scores do not depend on it, nor on the rows beside it.
        """
        return Scores(*run(self._scorer.scores, self._encoded(batches, batch_rows)))

    def p_values(self, score: NDArray[np.floating]) -> NDArray[np.float64]:
        """Conformal p-values of scores, float64 (rows,); see Calibration."""
        return self.calibration.p_values(score)

    def explain(self, frame: pl.DataFrame) -> Explanation:
        """Each feature's contribution to the score of each row, and the values observed and expected."""
        components, output = run(self._scorer.contributions, self._encoded([frame], BATCH_ROWS))
        return Explanation(
            features=self.encoder.features,
            contributions=components.astype(np.float64) @ self.encoder.layout.membership,
            observed=self.encoder.observed(frame),
            expected=self.encoder.decode(output),
        )

    def reasons(self, frame: pl.DataFrame, top: int = 3) -> pl.Series:
        """The `top` features that contribute most to each row's score; see `explanation.reasons`."""
        return reasons(self.explain(frame), top)

    def untrained(self) -> "Detector":
        """The same encoder with networks that were never trained, calibrated on the sample: what training must improve on."""
        layout = self.encoder.layout
        seeds = [self.training.seed + member for member in range(self.settings.members)]
        networks = tuple(ARCHITECTURES[self.settings.architecture](layout, self.settings, seed) for seed in seeds)
        validation, p_value = self.sample[::2], self.sample[1::2]
        calibration = calibrate(networks, layout, self.settings, validation, p_value, self.sample)
        return replace(self, networks=networks, calibration=calibration, history=())

    def _encoded(self, batches: Iterable[pl.DataFrame], batch_rows: int) -> Iterator[Encoded]:
        for batch in batches:
            for part in batch.iter_slices(batch_rows) if len(batch) else [batch]:
                yield self.encoder.encode(part)


def train(
    frame: pl.DataFrame,
    numeric: Sequence[str],
    categorical: Sequence[str],
    model: ModelSettings,
    training: TrainingSettings,
    on_epoch: OnEpoch | None = None,
) -> Detector:
    """A detector from normal rows in a fixed order; the same rows, order, settings and device give the same scores.

    on_epoch: called with (epoch from 1, loss, validation loss) after every epoch of every network, one network after the other.
    Raises TrainingError with the reason where the rows or what was learnt from them make no detector.
    """
    parts = split(len(frame), training.seed)
    reproducible(training.seed)
    encoder = Encoder.fit(frame[parts.fit], numeric, categorical)
    encoded = encoder.encode(frame)
    if not np.ptp(encoded[parts.fit], axis=0).any():
        raise TrainingError(f"none of the features varies in the {len(parts.fit)} rows to learn from; there is nothing to learn")
    fit, validation, p_value = encoded[parts.fit], encoded[parts.validation], encoded[parts.p_value]
    log.info("training on %d normal rows, %d features, on %s", len(fit), len(encoder.features), describe_device())
    fitted = [fit_network(fit, validation, encoder.layout, model, training, member, on_epoch) for member in range(model.members)]
    networks = tuple(network for network, _ in fitted)
    return Detector(
        encoder=encoder,
        networks=networks,
        calibration=calibrate(networks, encoder.layout, model, validation, p_value, _capped(fit, TRAINING_SCORES, training.seed)),
        settings=model,
        training=training,
        history=tuple(epoch for _, history in fitted for epoch in history),
        device=describe_device(),
        sample=_capped(fit, SAMPLE_ROWS, training.seed),
    )


def calibrate(
    networks: tuple[keras.Model, ...],
    layout: Layout,
    model: ModelSettings,
    validation: Encoded,
    p_value: Encoded,
    training: Encoded,
) -> Calibration:
    """The covariance of the residuals of the `validation` rows, and the scores of the other two by it.

    Raises TrainingError where the scores are not finite, or all the same.
    """
    moments = [whitening(residuals(network, layout, validation)) for network in networks]
    means, roots = np.stack([mean for mean, _ in moments]), np.stack([root for _, root in moments])
    graph = Scorer(networks, layout, model.score, means, roots).scores
    _, held_out = run(graph, [p_value])
    _, training_scores = run(graph, [training])
    if not (np.isfinite(held_out).all() and np.isfinite(training_scores).all()):
        raise TrainingError(f"scores by {model.score} are not finite; check the features for values beyond float32")
    if not np.ptp(held_out) > 0:
        raise TrainingError(f"all {len(held_out)} held-out rows have the same score {held_out[0]:.4g}; check that the features vary")
    return Calibration(means, roots, np.sort(held_out), training_scores)


def _capped(rows: Encoded, count: int, seed: int) -> Encoded:
    """At most `count` of the rows, drawn by the seed, in their order."""
    if len(rows) <= count:
        return rows
    return rows[np.sort(np.random.default_rng(seed).choice(len(rows), count, replace=False))]
