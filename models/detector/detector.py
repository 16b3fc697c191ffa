"""A Detector: an encoder, its networks, and a calibration on normal rows that they were not trained on."""

import logging
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import polars as pl
from numpy.typing import NDArray

from models.detector.blend import Blend, BlendedScorer
from models.detector.calibrate import calibrate, choose_score, refuse_what_is_too_wide
from models.detector.calibration import Calibration
from models.detector.explanation import Explanation, reasons
from models.detector.far import find_ranges
from models.detector.learn_head import learn_head
from models.detector.mixture import choose_mixture
from models.detector.score_kinds import SCORES, parts_of, score_of
from models.detector.scorer import Scorer
from models.detector.usual import usual_texts
from models.device import describe_device, keras, reproducible
from models.drift.profiles import Reference, Rows
from models.encoding.encoder import Encoder
from models.encoding.layout import rows_at_once
from models.encoding.samples import Encoded, Samples, cap
from models.errors import TrainingError
from models.head.rows import HeadReport, HeadTraining
from models.networks.architectures import LAYERS, architecture_of
from models.networks.fitting import Epoch, OnEpoch, fit_network, split
from models.settings import ImageSettings, ModelSettings, TrainingSettings

log = logging.getLogger(__name__)

BATCH_ROWS = 65_536
TRAINING_SCORES = 200_000


@dataclass(frozen=True)
class Scores:
    """error: float32 (rows,), mean loss per feature, encoded units.

    score: float32 (rows,), by which rows are ranked. Higher is stranger.
    alone: float32 (rows,), the score of the networks alone; None where there is no head beside them.
    """

    error: NDArray[np.float32]
    score: NDArray[np.float32]
    alone: NDArray[np.float32] | None = None


def joined_scores(parts: Sequence[Scores]) -> Scores:
    """Returns the scores of several batches of one detector, laid end to end."""
    alone = [part.alone for part in parts if part.alone is not None]
    return Scores(
        np.concatenate([part.error for part in parts]),
        np.concatenate([part.score for part in parts]),
        np.concatenate(alone) if alone else None,
    )


@dataclass(frozen=True)
class Detector:
    """settings: with the architecture and the score that were used, also where none was set or `auto` chose
        the score.
    parts: names in SCORES of what the score is made of; see `Mixture`.
    history: every epoch of every network. device: the device of the training.
    samples: rows of each part, capped, for baselines and the model card.
    blend: the head, and how its log odds are added to the networks' score; None without one.
    head_report: what came of the training of a head; None where none was asked for.
    """

    encoder: Encoder
    networks: tuple[keras.Model, ...]
    calibration: Calibration
    settings: ModelSettings
    parts: tuple[str, ...]
    training: TrainingSettings
    history: tuple[Epoch, ...]
    device: str
    samples: Samples
    blend: Blend | None = None
    head_report: HeadReport | None = None

    @property
    def architecture(self) -> str:
        """Returns the name of the networks in ARCHITECTURES."""
        return architecture_of(self.settings, self.encoder.layout)

    @cached_property
    def scorer(self) -> Scorer | BlendedScorer:
        """What scores encoded rows: the networks, and the head where there is one."""
        return BlendedScorer(self.autoencoder, self.blend) if self.blend else self.autoencoder

    @cached_property
    def autoencoder(self) -> Scorer:
        """The compiled graphs of the networks, without a head."""
        return Scorer(self.networks, self.encoder.layout, self.parts, self.settings.draws, self.calibration)

    @property
    def calibration_alone(self) -> Calibration:
        """The calibration of the networks without a head; known frauds are not in it."""
        if self.blend is None:
            return self.calibration
        alone = self.blend.alone
        return replace(
            self.calibration,
            held_out=alone.held_out,
            training=alone.training,
            anomalies=np.zeros(0, np.float32),
        )

    @cached_property
    def reference(self) -> Reference:
        """The normal rows of `samples`, scored, for comparison with later rows."""
        held_out = self._scored(self.samples.held_out)
        learnt = (
            None
            if self.encoder.layout.image
            else self._scored(np.concatenate([self.samples.training, self.samples.held_out]))
        )
        return Reference(self.encoder.features, self.encoder.layout, learnt or held_out, held_out)

    @cached_property
    def _usual(self) -> tuple[pl.Expr, ...]:
        return usual_texts(self.encoder, self.samples.training)

    def score(self, frame: pl.DataFrame) -> Scores:
        """Returns the scores of the rows of a frame.

        Raises ModelError where a feature column is missing or has the wrong type.
        """
        return self.score_batches([frame])

    def score_encoded(self, encoded: Encoded) -> Scores:
        """Returns the scores of rows that the encoder has encoded."""
        return self._scores_of([encoded])

    def score_batches(self, batches: Iterable[pl.DataFrame], batch_rows: int = BATCH_ROWS) -> Scores:
        """Returns the scores of the rows of all frames, in their order; apart from the result, memory does
        not grow with their number.

        batch_rows: the number of rows encoded at once. A row's scores depend neither on it nor on other
        rows.
        """
        return self._scores_of(self._encoded(batches, batch_rows))

    def p_values(self, score: NDArray[np.floating]) -> NDArray[np.float64]:
        """Returns the conformal p-values of scores, float64 (rows,); see Calibration."""
        return self.calibration.p_values(score)

    def explain(self, frame: pl.DataFrame) -> Explanation:
        """Returns each feature's contribution to the score of each row, with observed, expected and usual
        values.
        """
        components, output = self.scorer.contributions(self._encoded([frame], BATCH_ROWS))
        return Explanation(
            features=self.encoder.features,
            contributions=components.astype(np.float64) @ self.encoder.layout.membership,
            observed=self.encoder.observed(frame),
            expected=self.encoder.decode(output),
            usual=self._usual,
        )

    def reasons(self, frame: pl.DataFrame, top: int = 3) -> pl.Series:
        """Returns the `top` features that contribute most to each row's score; see `explanation.reasons`."""
        parts = list(frame.iter_slices(rows_at_once(BATCH_ROWS, self.encoder.layout.width))) or [frame]
        return pl.concat([reasons(self.explain(part), top) for part in parts])

    def _scores_of(self, batches: Iterable[Encoded]) -> Scores:
        scorer = self.scorer
        if isinstance(scorer, BlendedScorer):
            return Scores(*scorer.scores_beside(batches))
        return Scores(*scorer.scores(batches))

    def _scored(self, encoded: Encoded) -> Rows:
        return Rows(encoded, *self.scorer.scores([encoded]))

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
    *,
    image: ImageSettings | None = None,
    anomalies: pl.DataFrame | None = None,
    unconfirmed: NDArray[np.bool_] | None = None,
    head: HeadTraining | None = None,
) -> Detector:
    """Trains a detector on normal rows; the same rows, in the same order, with the same settings and device
    give the same scores.

    on_epoch: called with (epoch from 1, loss, validation loss) after every epoch of every network, one
    network after the other.
    image: the column of images, where there is one.
    anomalies: known frauds of the training window; used by score `auto` and by thresholds that need labels,
    never by a network.
    unconfirmed: bool (rows,), suspect rows without a confirming label: neither encoder nor networks nor the
        moments of the residuals are fitted to them, but their scores count in quantiles and p-values.
    head: what a head is learnt with; see `learn_head`.
    Raises TrainingError with the reason where the rows, or the networks trained on them, are unusable.
    """
    parts = split(len(frame), training.seed)
    learnt = parts if unconfirmed is None else parts.without(unconfirmed)
    reproducible(training.seed)
    encoder = Encoder.fit(frame[learnt.fit], numeric, categorical, image)
    layout = encoder.layout
    architecture = architecture_of(model, layout)
    model = model.model_copy(update={"architecture": architecture, "score": score_of(model, layout)})
    refuse_what_is_too_wide(layout, model)
    if find_layers := LAYERS.get(architecture):
        model = model.model_copy(update={"hidden": find_layers(layout, model)})
    encoded = encoder.encode(frame)
    if not np.ptp(encoded[learnt.fit], axis=0).any():
        raise TrainingError(
            f"no feature varies in the {len(learnt.fit):,} rows to learn from; name features that vary, or "
            "widen training.window_days"
        )
    fit, validation, held_out = encoded[learnt.fit], encoded[learnt.validation], encoded[parts.p_value]
    log.info(
        "training on %d normal rows, %d features, on %s", len(fit), len(encoder.features), describe_device()
    )
    criterion = None if model.score == "auto" else SCORES[parts_of(model, layout)[0]].criterion
    fitted = [
        fit_network(fit, validation, layout, model, training, member, on_epoch, criterion)
        for member in range(model.members)
    ]
    networks = tuple(network for network, _ in fitted)
    known = np.zeros((0, layout.width), np.float32) if anomalies is None else encoder.encode(anomalies)
    if model.score == "auto":
        chosen = choose_score(networks, layout, model, fit, validation, known, training.seed)
        model = model.model_copy(update={"score": chosen})
    mixture = choose_mixture(networks, layout, model, fit, validation, known, len(frame), training.seed)
    scored = Samples(encoded[cap(parts.fit, TRAINING_SCORES, training.seed)], held_out, known)
    learnt_alone = Detector(
        encoder=encoder,
        networks=networks,
        calibration=calibrate(
            networks,
            layout,
            model,
            mixture,
            fit,
            validation,
            scored,
            normals=len(frame),
            seed=training.seed,
            ranges=None if layout.image else find_ranges(encoder.numeric, fit),
        ),
        settings=model,
        parts=mixture.parts,
        training=training,
        history=tuple(epoch for _, history in fitted for epoch in history),
        device=describe_device(),
        samples=Samples(cap(fit, TRAINING_SCORES, training.seed), held_out, known).capped(training.seed),
    )
    return learnt_alone if head is None else learn_head(learnt_alone, head, validation, scored)
