"""Sanity checks of a trained detector: `check(detector)` returns the gates that decide whether the version
may flag rows.

Figures are measured on held-out normal rows and known frauds of the training window, none of which any
network was trained on.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from sklearn.metrics import average_precision_score

from models.checks.baselines import BASELINES
from models.detector.detector import Detector

FEWEST_ANOMALIES = 10  # known frauds needed for a meaningful average precision
MOST_ALIKE = 0.5  # largest share of the held-out rows that may have the same score
FAR_OUT = 3.0  # interquartile ranges above the upper quartile (Tukey, 1977)


@dataclass(frozen=True)
class Gate:
    """One check. passed: None where it only reports. finding: one sentence with the figures.

    advisory: a failure is a warning, unless `training.gate` is strict; any other failure keeps the version
    out of service.
    """

    name: str
    passed: bool | None
    finding: str
    advisory: bool = False


def check(detector: Detector) -> tuple[Gate, ...]:
    """Runs every gate, in the order in which they are shown."""
    return tuple(gate(detector) for gate in GATES)


def withholding_reason(gates: Sequence[Gate], strict: bool) -> str | None:
    """Returns why a version is withheld: the findings of the gates that failed; None where it is not."""
    failed = [
        f"{gate.name} failed. {gate.finding}"
        for gate in gates
        if gate.passed is False and (strict or not gate.advisory)
    ]
    return " ".join(failed) or None


def loss(detector: Detector) -> Gate:
    """Whether the validation loss of every network is finite and fell below that of the untrained one (epoch
    0).
    """
    members = [
        [epoch.validation_loss for epoch in detector.history if epoch.member == k]
        for k in range(detector.settings.members)
    ]
    passed = all(np.isfinite(losses).all() and min(losses) < losses[0] for losses in members)
    figures = ", ".join(f"{losses[0]:.4g} to {min(losses):.4g}" for losses in members)
    return Gate("loss", passed, f"Validation loss, untrained to best epoch: {figures}.")


def diversity(detector: Detector) -> Gate:
    """Whether the scores of held-out rows differ: at most half of the rows share one."""
    held_out = detector.calibration.held_out
    values, counts = np.unique(held_out, return_counts=True)
    finding = (
        f"{len(values):,} distinct scores among {len(held_out):,} held-out rows; "
        f"{counts.max() / len(held_out):.3f} of them share one."
    )
    return Gate("score diversity", bool(counts.max() <= MOST_ALIKE * len(held_out)), finding)


def contamination(detector: Detector) -> Gate:
    """How many rows of the training part have extreme scores: they may include unknown frauds, learnt as
    normal unless they had been flagged.
    """
    logs = np.log10(np.maximum(detector.calibration.training, np.finfo(np.float32).tiny))
    low, high = np.quantile(logs, [0.25, 0.75])
    fence = high + FAR_OUT * (high - low)
    extreme = int((logs > fence).sum())
    share = (
        f"{extreme:,} of {len(logs):,} training rows ({extreme / len(logs):.4f}) have extreme scores, "
        f"above {10**fence:.4g}"
    )
    finding = (
        f"{share}: more than {FAR_OUT:g} interquartile ranges above the upper quartile, on a "
        "logarithmic scale."
    )
    return Gate("contamination", None, finding)


def usefulness(detector: Detector) -> Gate:
    """Whether the average precision beats that of no model and of the untrained network, each held-out row
    with its weight; that of the nearest neighbours is only reported.
    """
    held_out, anomalies = detector.samples.held_out, detector.samples.anomalies
    if len(anomalies) < FEWEST_ANOMALIES:
        return Gate(
            "usefulness",
            None,
            f"{len(anomalies)} known frauds in the training window are too few to compare with no model.",
        )
    rows, labels = np.concatenate([held_out, anomalies]), np.repeat([0, 1], [len(held_out), len(anomalies)])
    weights = np.where(
        labels,
        len(detector.calibration.anomalies) / len(anomalies),
        detector.calibration.normals / len(held_out),
    )
    own = "the networks alone" if detector.blend else "the detector"  # a head has learnt from these frauds
    scores = {own: detector.autoencoder.scores([rows])[1]}
    scores |= {title: BASELINES[name](detector)(rows) for name, title in (COMPARED | REPORTED).items()}
    found = {
        who: average_precision_score(labels, values, sample_weight=weights) for who, values in scores.items()
    }
    figures = ", ".join(f"{who} {precision:.3f}" for who, precision in found.items())
    finding = (
        f"Average precision on {len(held_out):,} held-out normal rows and {len(anomalies):,} known "
        f"frauds: {figures}."
    )
    passed = found[own] >= max(found[title] for title in COMPARED.values())
    return Gate("usefulness", passed, finding, advisory=True)


COMPARED = {"no_model": "no model", "untrained_network": "the untrained network"}
REPORTED = {"neighbours": "the nearest neighbours"}
GATES: tuple[Callable[[Detector], Gate], ...] = (loss, diversity, contamination, usefulness)
