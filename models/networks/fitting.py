"""Fitting one network to encoded normal rows."""

import logging
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.device import has_gpu, keras, strategy, tf
from models.encoding.layout import Layout
from models.errors import TrainingError
from models.networks.architectures import ARCHITECTURES
from models.networks.residuals import loss
from models.settings import ModelSettings, TrainingSettings

log = logging.getLogger(__name__)

PATIENCE = 5  # epochs without a lower validation loss after which training stops
MIN_ROWS = 100
LEAST_FIT, LEAST_VALIDATION = 80, 5  # rows of each part once unconfirmed rows are excluded
# batches per call into TensorFlow: half the time of one at a time; TensorFlow can do so on one device only
STEPS_AT_ONCE = 16
MANY_BATCHES = 1_000  # of a whole training; with fewer, compiling takes longer than it saves

OnEpoch = Callable[[int, float, float], None]


@dataclass(frozen=True)
class Epoch:
    """member: which network of the ensemble, from 0. Losses: mean squared residual per feature, encoded
    units.

    epoch: from 1; 0 is the untrained network, with its validation loss as both.
    """

    member: int
    epoch: int
    loss: float
    validation_loss: float


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
) -> tuple[keras.Model, tuple[Epoch, ...]]:
    """Fits a network to encoded rows (rows, width); returns it with the weights of its best epoch, and its
    history.

    Raises TrainingError where the loss is not finite, or never falls below that of the untrained network.
    """
    history: list[Epoch] = []

    def record(epoch: int, logs: dict[str, float]) -> None:
        history.append(Epoch(member, epoch + 1, float(logs["loss"]), float(logs["val_loss"])))
        if on_epoch is not None:
            on_epoch(epoch + 1, history[-1].loss, history[-1].validation_loss)

    seed = training.seed + member
    with strategy():
        alone = tf.distribute.get_strategy().num_replicas_in_sync == 1
        many = training.epochs * len(fit) >= MANY_BATCHES * training.batch_size
        network = ARCHITECTURES[model.architecture](layout, model, seed)
        network.compile(
            keras.optimizers.Adam(training.learning_rate),
            loss=loss(layout),
            jit_compile=has_gpu(),
            steps_per_execution=STEPS_AT_ONCE if alone and many else 1,
        )
        network.optimizer.build(network.trainable_variables)  # else the training step is traced twice
        before = float(network.evaluate(validation, validation, batch_size=8192, verbose=0))
        history.append(Epoch(member, 0, before, before))
        network.fit(
            fit,
            fit,
            batch_size=training.batch_size,
            epochs=training.epochs,
            validation_data=(validation, validation),
            validation_batch_size=8192,
            callbacks=[
                keras.callbacks.LambdaCallback(on_epoch_end=record),
                keras.callbacks.TerminateOnNaN(),
                keras.callbacks.EarlyStopping("val_loss", patience=PATIENCE, restore_best_weights=True),
            ],
            verbose=0,
        )
    _refuse_failure(history, training)
    best = min(history, key=lambda epoch: epoch.validation_loss)
    log.info(
        "network %d: validation loss %.4g at epoch %d of %d, %.4g untrained",
        member + 1,
        best.validation_loss,
        best.epoch,
        history[-1].epoch,
        before,
    )
    return for_scoring(network, layout, model, seed), tuple(history)


def for_scoring(network: keras.Model, layout: Layout, model: ModelSettings, seed: int) -> keras.Model:
    """Returns a float32 copy of the network on one device, without optimiser."""
    copy = ARCHITECTURES[model.architecture](layout, model, seed)
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
            f"lower training.learning_rate ({training.learning_rate:g}) or raise training.epochs "
            f"({training.epochs})"
        )
