"""Learns the head of a detector, where it ranks better than the networks alone on dates that it did not learn
from.
"""

import logging
from dataclasses import dataclass, replace
from datetime import date
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from models.detector.blend import Blend, BlendedScorer, NetworkScores
from models.detector.calibration import Calibration
from models.detector.head_inputs import inputs_of
from models.detector.score_kinds import NEIGHBOURS
from models.detector.scorer import Scorer
from models.detector.tails import fit_tail
from models.encoding.samples import Encoded, Samples
from models.errors import HeadUnavailable, TrainingError
from models.evaluation.comparison import Difference, paired_difference
from models.evaluation.labelled_rows import LabelledRows
from models.evaluation.metrics import metrics
from models.head.boosted import Boosted, fit
from models.head.rows import HeadReport, HeadTraining, first_tested

if TYPE_CHECKING:
    from models.detector.detector import Detector

log = logging.getLogger(__name__)
METRIC, CONFIDENCE = "average_precision", 0.95
FEWEST_FRAUDS = 10  # to learn a trial from, and to test it on


@dataclass(frozen=True)
class _Encoded:
    """The rows of a head as it sees them. alone: the networks' score of each."""

    training: HeadTraining
    columns: NDArray[np.float32]
    encoded: Encoded
    alone: NDArray[np.float32]

    @property
    def dates(self) -> NDArray[np.datetime64]:
        return self.training.rows.dates

    @property
    def tested_from(self) -> Any:
        """The first of the dates that a trial is tested on."""
        return np.datetime64(first_tested(self.training.rows.first, self.training.rows.last))

    def fitted(self, chosen: NDArray[np.bool_], frauds: NDArray[np.bool_]) -> Boosted:
        weights = self.training.rows.weights
        return fit(self.columns[chosen], frauds[chosen], weights[chosen], self.training.seed)

    def trial(self) -> Boosted | None:
        """The head as it would have been on the first of the tested dates, by the labels known then; None
        where too few frauds are known.
        """
        frauds, known = self.training.rows.frauds, self.training.rows.known_then
        earlier = self.dates < self.tested_from - np.timedelta64(self.training.label_delay_days, "D")
        tested = self.dates >= self.tested_from
        if min(np.count_nonzero(known[earlier]), np.count_nonzero(frauds[tested])) < FEWEST_FRAUDS:
            return None
        return None if known[earlier].all() or frauds[tested].all() else self.fitted(earlier, known)


def learn_head(
    detector: "Detector", training: HeadTraining, validation: Encoded, rows: Samples
) -> "Detector":
    """Returns the detector with a head, or without one and with a report that says why.

    validation: the normal rows that the networks were validated with; the tail of their scores is fitted to
    them. rows: the rows whose scores are kept; see Calibration. The frauds among these scores are those of
    the tested dates, scored with the head that had not seen them.
    Raises TrainingError where a head must be learnt and no fraud, or no normal row, is known,
    HeadUnavailable where one must be learnt and the library cannot be loaded.
    """
    is_sure = training.settings.kind == "boosted"
    frauds = int(np.count_nonzero(training.rows.frauds))
    least = 1 if is_sure else training.settings.least_frauds
    if frauds < least or frauds == len(training.rows.frauds):
        why = f"{frauds:,} known frauds and {len(training.rows.frauds) - frauds:,} normal rows are too few"
        if is_sure:
            raise TrainingError(
                f'{why} to learn a head from; widen head.window_days, or set head.kind = "auto"'
            )
        return _without(detector, training, f"{why}: at least {least:,} frauds are needed.")
    try:
        return _learnt(detector, training, validation, rows)
    except HeadUnavailable as error:
        if is_sure:
            raise
        log.warning("head.kind auto is off: %s", error)
        return _without(detector, training, f"{error}.")


def _learnt(detector: "Detector", training: HeadTraining, validation: Encoded, rows: Samples) -> "Detector":
    alone, calibration = detector.autoencoder, detector.calibration
    seen = _seen(detector, training)
    tail = fit_tail(alone.scores([validation])[1], training.settings.weight)
    trial, normal = seen.trial(), NetworkScores(calibration.held_out, calibration.training)
    blend = None if trial is None else Blend(trial, tail, calibration.far_weight, normal)
    found = None if blend is None else _difference(seen, BlendedScorer(alone, blend))
    why = _told(seen, found)
    if not _is_used(found, training.settings.kind):
        return _without(detector, training, why)
    head = seen.fitted(np.ones(len(seen.columns), bool), training.rows.frauds)
    own = replace(alone, without_itself=NEIGHBOURS in detector.parts)
    blend = _with_far_weight(own, Blend(head, tail, np.float32(0), normal), rows)
    log.info("head: learnt from %d frauds. %s", np.count_nonzero(training.rows.frauds), why)
    with_head = replace(detector, blend=blend, head_report=_report(training, why, used=True))
    return replace(with_head, calibration=_calibrated(with_head, blend, own, seen, trial, rows))


def _is_used(found: Difference | None, kind: str) -> bool:
    """Returns whether a head is used: for auto, where the whole paired interval of the difference is above 0,
    for chance alone makes half of all heads look better; for boosted, unless it ranked worse, or no better.
    """
    if kind == "boosted":
        return found is None or found.value > 0
    return found is not None and found.low > 0


def _seen(detector: "Detector", training: HeadTraining) -> _Encoded:
    encoded = detector.encoder.encode(training.rows.features)
    inputs = inputs_of(detector.autoencoder, encoded)
    return _Encoded(training, inputs.columns, encoded, inputs.score)


def _difference(seen: _Encoded, blended: BlendedScorer) -> Difference | None:
    """The average precision of the tested dates, with the trial less without it."""
    rows, tested = seen.training.rows, seen.dates >= seen.tested_from
    ranked = seen.alone[tested], blended.scores([seen.encoded[tested]])[1]
    alone, with_head = (
        LabelledRows(
            dates=rows.dates[tested],
            entities=None if rows.entities is None else rows.entities[tested],
            labels=rows.frauds[tested],
            scores=scores.astype(np.float64),
            flagged=np.zeros(len(scores), bool),
            weights=rows.weights[tested],
        )
        for scores in ranked
    )
    return paired_difference(alone, with_head, metrics()[METRIC], CONFIDENCE)


def _told(seen: _Encoded, found: Difference | None) -> str:
    rows, first = seen.training.rows, seen.tested_from.astype(date)
    count = np.count_nonzero(rows.frauds[seen.dates >= seen.tested_from])
    tested = f"on {first}..{rows.last}, with {count:,} frauds"
    if found is None:
        return f"What it would have bought {tested}, cannot be measured: too few frauds were known then."
    return (
        f"Average precision {tested}, by a head that was learnt from the labels known before: "
        f"{found.challenger:.3f} with the head, {found.champion:.3f} without, difference {found.value:+.3f} "
        f"(95% interval {found.low:+.3f} to {found.high:+.3f})."
    )


def _with_far_weight(own: Scorer, blend: Blend, rows: Samples) -> Blend:
    """A value one range outside adds the highest score of the training rows, as it does without a head."""
    if not own.normality.far_weight:
        return blend
    highest = BlendedScorer(own, blend).scores([rows.training])[1].max()
    return replace(blend, far_weight=highest or np.float32(1))


def _calibrated(
    detector: "Detector", blend: Blend, own: Scorer, seen: _Encoded, trial: Boosted | None, rows: Samples
) -> Calibration:
    calibration = detector.calibration
    held_out, training = (
        BlendedScorer(scorer, blend).scores([part])[1]
        for scorer, part in ((detector.autoencoder, rows.held_out), (own, rows.training))
    )
    tested = seen.training.rows.frauds & (seen.dates >= seen.tested_from)
    anomalies, kept = np.zeros(0, np.float32), len(calibration.anomalies)
    if trial is not None:
        unseen = replace(blend, head=replace(trial, least=blend.head.least))
        anomalies = BlendedScorer(detector.autoencoder, unseen).scores([seen.encoded[tested]])[1]
    share = len(anomalies) / kept if kept and len(anomalies) else 1.0
    return replace(
        calibration,
        held_out=np.sort(held_out),
        training=training,
        anomalies=anomalies,
        normals=round(calibration.normals * share),
    )


def _without(detector: "Detector", training: HeadTraining, why: str) -> "Detector":
    log.info("head: none. %s", why)
    return replace(detector, head_report=_report(training, why, used=False))


def _report(training: HeadTraining, why: str, *, used: bool) -> HeadReport:
    rows = training.rows
    frauds = int(np.count_nonzero(rows.frauds))
    return HeadReport(
        used=used,
        why=why,
        first=rows.first,
        last=rows.last,
        frauds=frauds,
        normals=len(rows.frauds) - frauds,
        unconfirmed=rows.unconfirmed,
        compromised=rows.compromised,
    )
