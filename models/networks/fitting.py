"""Fitting one network to encoded normal rows."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.device import keras, strategy, tf
from models.encoding.layout import Layout
from models.encoding.samples import cap
from models.errors import TrainingError
from models.networks import architectures
from models.networks.noise import find_noise, validation_rows
from models.networks.passes import Passes
from models.networks.residuals import residual
from models.networks.reuse import Form, keep, take
from models.networks.schedule import Schedule
from models.settings import ModelSettings, TrainingSettings

log = logging.getLogger(__name__)

PATIENCE = 5  # epochs without progress after which training stops
# Any lower validation loss is progress, but of a denoiser by steps one that is lower by this share: it falls
# a little for as long as one waits, and ranks rows no better. See docs/figures.md.
LEAST_PROGRESS = 0.02
MIN_ROWS = 100
LEAST_FIT, LEAST_VALIDATION = 80, 5  # rows of each part once unconfirmed rows are excluded

OnEpoch = Callable[[int, float, float], None]
Residuals = NDArray[np.float32]
# From the residuals (rows, width) of rows that were trained on, and of validation rows, to how strange the
# latter are by the score that will rank rows; lower is better.
Criterion = Callable[[Residuals, Residuals], float]
CRITERION_ROWS = 10_000


@dataclass(frozen=True)
class Epoch:
    """member: which network of the ensemble, from 0. Losses: mean squared residual per feature, encoded
    units.

    epoch: from 1, a round of the Schedule; 0 is the untrained network, with its validation loss as both.
    criterion: by which the weights of an epoch were kept; None where that is the validation loss.
    """

    member: int
    epoch: int
    loss: float
    validation_loss: float
    criterion: float | None = None

    @property
    def kept_by(self) -> float:
        """The lower, the better are the weights of the epoch."""
        return self.validation_loss if self.criterion is None else self.criterion


@dataclass(frozen=True)
class Split:
    """Row numbers: fit trains the network, validation stops the training and gives the residual covariance,
    p_value gives the p-values.
    """

    fit: NDArray[np.int64]
    validation: NDArray[np.int64]
    p_value: NDArray[np.int64]

    def without(self, left_out: NDArray[np.bool_]) -> "Split":
        """Returns the same parts without the rows in `left_out`, bool (rows,); only `p_value` keeps them.

        Raises TrainingError where too few rows are left to fit.
        """
        fit, validation = self.fit[~left_out[self.fit]], self.validation[~left_out[self.validation]]
        if len(fit) < LEAST_FIT or len(validation) < LEAST_VALIDATION:
            raise TrainingError(
                f"{len(fit)} rows for training and {len(validation)} for validation are left without the "
                f"{np.count_nonzero(left_out):,} flagged rows that no label explains, at least {LEAST_FIT} "
                f"and {LEAST_VALIDATION} are needed; label those rows with `nightscore labels`, widen "
                'training.window_days, or set training.rows = "all"'
            )
        return Split(fit, validation, self.p_value)


def split(rows: int, seed: int) -> Split:
    """Splits the rows into 80, 10 and 10 per cent, drawn by the seed.

    Raises TrainingError for fewer than MIN_ROWS rows.
    """
    if rows < MIN_ROWS:
        raise TrainingError(
            f"{rows} normal rows to learn from, at least {MIN_ROWS} are needed; widen "
            "training.window_days or choose a later date"
        )
    order = np.random.default_rng(seed).permutation(rows)
    tenth = rows // 10
    return Split(
        fit=np.sort(order[2 * tenth :]),
        validation=np.sort(order[:tenth]),
        p_value=np.sort(order[tenth : 2 * tenth]),
    )


def fit_network(
    fit: NDArray[np.float32],
    validation: NDArray[np.float32],
    layout: Layout,
    model: ModelSettings,
    training: TrainingSettings,
    member: int,
    on_epoch: OnEpoch | None,
    criterion: Criterion | None = None,
) -> tuple[keras.Model, tuple[Epoch, ...]]:
    """Fits a network to encoded rows (rows, width); returns it with the weights of its best epoch, and its
    history.

    criterion: by which the best epoch is chosen; None, and for a denoiser: by the validation loss.
    Raises TrainingError where a batch has fewer rows than there are devices, and where the loss is not
    finite, or never falls below that of the untrained network.
    """
    seed, schedule = training.seed + member, Schedule.of(training)
    with strategy():
        _refuse_empty_parts(schedule.batch_size)
        form = Form.of(layout, model, training.learning_rate, schedule.batch_size)
        passes = take(form, seed)
        patience, least = PATIENCE, 0.0
        if (noise := find_noise(passes.network)) is not None:
            noise.adapt(fit)
            criterion = None  # without noise, a network that has learnt nothing has the smallest residuals
            patience, least = (PATIENCE, LEAST_PROGRESS) if schedule.steps else (schedule.rounds, 0.0)
        seen, wanted = validation_rows(passes.network, validation, seed)
        measure = _measuring(passes, criterion, fit, validation, layout, seed)
        before = passes.validate(seen, wanted)
        history, best, weights = [Epoch(member, 0, before, before)], 0, passes.network.get_weights()
        rows = tf.constant(fit)
        for epoch, numbers in enumerate(schedule.batches(len(fit), seed), 1):
            losses = passes.train(rows, numbers), passes.validate(seen, wanted)
            history.append(Epoch(member, epoch, *losses, measure()))
            if on_epoch is not None:
                on_epoch(epoch, *losses)
            if best == 0 or history[epoch].kept_by < history[best].kept_by:
                best, weights = epoch, passes.network.get_weights()
            if not np.isfinite(losses).all() or epochs_without_progress(history, least) >= patience:
                break
        keep(form, passes)
    _refuse_failure(history, training)
    log.info(
        "network %d: validation loss %.4g at epoch %d of %d, %.4g untrained",
        member + 1,
        history[best].validation_loss,
        best,
        history[-1].epoch,
        before,
    )
    return _for_scoring(weights, layout, model, seed), tuple(history)


def epochs_without_progress(history: Sequence[Epoch], least: float) -> int:
    """Returns how many epochs ago the criterion was last below that of the progress before, by the share
    `least` of it.
    """
    last = history[1]
    for epoch in history[2:]:
        if epoch.kept_by < last.kept_by * (1 - least):
            last = epoch
    return history[-1].epoch - last.epoch


def _measuring(
    passes: Passes,
    criterion: Criterion | None,
    fit: NDArray[np.float32],
    validation: NDArray[np.float32],
    layout: Layout,
    seed: int,
) -> Callable[[], float | None]:
    """Returns a function that gives the criterion of the network as it is; None without a criterion."""
    if criterion is None:
        return lambda: None
    parts = [cap(rows, CRITERION_ROWS, seed) for rows in (fit, validation)]

    def measure() -> float:
        outputs = [passes.outputs(part) for part in parts]
        if not all(np.isfinite(output).all() for output in outputs):
            return np.inf
        own, other = (
            residual(tf.constant(part), tf.constant(output), layout, passes.network).numpy()
            for part, output in zip(parts, outputs, strict=True)
        )
        return criterion(own, other)

    return measure


def _for_scoring(
    weights: list[NDArray[np.float32]], layout: Layout, model: ModelSettings, seed: int
) -> keras.Model:
    """Returns a float32 network with these weights on one device, without optimiser."""
    network = architectures.build(layout, model, seed)
    network.set_weights(weights)
    return network


def _refuse_empty_parts(batch_size: int) -> None:
    """Raises TrainingError where some device would have no row of a batch, and so no loss."""
    if batch_size < (devices := tf.distribute.get_strategy().num_replicas_in_sync):
        raise TrainingError(
            f"a batch of {batch_size} rows leaves some of the {devices} devices without a row; set "
            f"training.batch_size to {devices} or more"
        )


def _refuse_failure(history: list[Epoch], training: TrainingSettings) -> None:
    losses = [value for epoch in history for value in (epoch.loss, epoch.validation_loss)]
    if not np.isfinite(losses).all():
        raise TrainingError(
            f"the loss became infinite in epoch {history[-1].epoch}; lower training.learning_rate "
            f"({training.learning_rate:g})"
        )
    before, best = history[0].validation_loss, min(epoch.validation_loss for epoch in history[1:])
    if not best < before:
        raise TrainingError(
            f"the network learnt nothing: loss {before:.4g} untrained, {best:.4g} at best in "
            f"{history[-1].epoch} epochs; "
            f"lower training.learning_rate ({training.learning_rate:g}) or set training.epochs higher"
        )
