"""Fitting one network to encoded normal rows."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.device import keras, strategy, tf
from models.encoding.layout import Layout, rows_at_once
from models.encoding.samples import cap
from models.errors import TrainingError
from models.networks import architectures
from models.networks.noise import find_noise, validation_rows
from models.networks.residuals import residual
from models.networks.reuse import Form, keep, take
from models.networks.schedule import Schedule
from models.settings import ModelSettings, TrainingSettings

log = logging.getLogger(__name__)

PATIENCE = 5  # epochs without a lower validation loss after which training stops
MIN_ROWS = 100
LEAST_FIT, LEAST_VALIDATION = 80, 5  # rows of each part once unconfirmed rows are excluded
# Batches per call into TensorFlow: half the time of one at a time; TensorFlow can do so on one device only.
# They divide a round of the schedule, which Keras would exceed else.
STEPS_AT_ONCE = 20
MANY_BATCHES = 1_000  # of a whole training; with fewer, compiling takes longer than it saves

OnEpoch = Callable[[int, float, float], None]
Residuals = NDArray[np.float32]
# From the residuals (rows, width) of rows that were trained on, and of validation rows, to how strange the
# latter are by the score that will rank rows; lower is better.
Criterion = Callable[[Residuals, Residuals], float]
CRITERION, CRITERION_ROWS = "val_criterion", 10_000


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
    Raises TrainingError where the loss is not finite, or never falls below that of the untrained network.
    """
    history: list[Epoch] = []

    def record(epoch: int, logs: dict[str, float]) -> None:
        history.append(
            Epoch(member, epoch + 1, float(logs["loss"]), float(logs["val_loss"]), logs.get(CRITERION))
        )
        if on_epoch is not None:
            on_epoch(epoch + 1, history[-1].loss, history[-1].validation_loss)

    seed, schedule = training.seed + member, Schedule.of(training)
    with strategy():
        alone = tf.distribute.get_strategy().num_replicas_in_sync == 1
        many = schedule.most_steps(len(fit)) >= MANY_BATCHES
        form = Form(layout, model, training.learning_rate, STEPS_AT_ONCE if alone and many else 1)
        network = take(form, seed)
        if (noise := find_noise(network)) is not None:
            noise.adapt(fit)
            criterion = None  # without noise, a network that has learnt nothing has the smallest residuals
        seen, wanted = validation_rows(network, validation, seed)
        before = float(network.evaluate(seen, wanted, batch_size=8192, verbose=0))
        history.append(Epoch(member, 0, before, before))
        network.fit(
            **_rows_of_steps(fit, schedule, seed),
            epochs=schedule.rounds,
            validation_data=(seen, wanted),
            validation_batch_size=8192,
            callbacks=[
                *_measuring(
                    network,
                    criterion,
                    cap(fit, CRITERION_ROWS, seed),
                    cap(validation, CRITERION_ROWS, seed),
                    layout,
                ),
                keras.callbacks.LambdaCallback(on_epoch_end=record),
                keras.callbacks.TerminateOnNaN(),
                keras.callbacks.EarlyStopping(
                    "val_loss" if criterion is None else CRITERION,
                    mode="min",
                    # the loss of a denoiser may rest for many rounds before it falls further
                    patience=PATIENCE if noise is None else schedule.rounds,
                    restore_best_weights=True,
                ),
            ],
            verbose=0,
        )
    _refuse_failure(history, training)
    best = min(history[1:], key=lambda epoch: epoch.kept_by)
    log.info(
        "network %d: validation loss %.4g at epoch %d of %d, %.4g untrained",
        member + 1,
        best.validation_loss,
        best.epoch,
        history[-1].epoch,
        before,
    )
    copy = for_scoring(network, layout, model, seed)
    keep(form, network)
    return copy, tuple(history)


def _measuring(
    network: keras.Model,
    criterion: Criterion | None,
    fit: NDArray[np.float32],
    validation: NDArray[np.float32],
    layout: Layout,
) -> list[keras.callbacks.Callback]:
    """Returns a callback that adds the criterion to the figures of an epoch; none without a criterion."""
    if criterion is None:
        return []
    parts = fit, validation

    def measure(epoch: int, logs: dict[str, float]) -> None:
        outputs = [_outputs(network, part) for part in parts]
        logs[CRITERION] = np.inf
        if all(np.isfinite(output).all() for output in outputs):
            own, other = (
                residual(tf.constant(part), tf.constant(output), layout, network).numpy()
                for part, output in zip(parts, outputs, strict=True)
            )
            logs[CRITERION] = criterion(own, other)

    return [keras.callbacks.LambdaCallback(on_epoch_end=measure)]


def _outputs(network: keras.Model, rows: NDArray[np.float32]) -> NDArray[np.float32]:
    """Returns the outputs of encoded rows; for so few, `predict` takes longer to begin than to calculate."""
    most = rows_at_once(8_192, rows.shape[1])
    batches = [rows[start : start + most] for start in range(0, len(rows), most)]
    return np.concatenate([network(batch, training=False).numpy() for batch in batches])


def _rows_of_steps(fit: NDArray[np.float32], schedule: Schedule, seed: int) -> dict[str, Any]:
    """Returns what Keras reads the training rows from."""
    if schedule.steps is None:
        return {"x": fit, "y": fit, "batch_size": schedule.batch_size}
    rows = tf.constant(fit)

    def read(numbers: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        batch = tf.gather(rows, numbers)
        return batch, batch

    batches = tf.data.Dataset.from_tensor_slices(schedule.batches(len(fit), seed)).map(read)
    return {"x": batches.prefetch(STEPS_AT_ONCE), "steps_per_epoch": schedule.steps, "shuffle": False}


def for_scoring(network: keras.Model, layout: Layout, model: ModelSettings, seed: int) -> keras.Model:
    """Returns a float32 copy of the network on one device, without optimiser."""
    copy = architectures.build(layout, model, seed)
    copy.set_weights(network.get_weights())
    return copy


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
