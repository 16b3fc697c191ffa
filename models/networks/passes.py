"""Compiled passes of encoded rows through a network: training steps, validation losses, outputs."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.device import keras, tf
from models.encoding.layout import Layout, rows_at_once
from models.encoding.samples import Encoded

STEPS_AT_ONCE = 1_000  # steps per call into TensorFlow, which no signal interrupts
ROWS_AT_ONCE = 8_192  # of a validation

Counted = Callable[[tf.Tensor, tf.Tensor], None]


class Passes:
    """The passes of one network, each traced once, whatever the number of rows.

    network: compiled with its optimiser and its loss. batch_size: rows per training step.
    On several devices each replica calculates with its part of every batch.
    """

    def __init__(self, network: keras.Model, layout: Layout, batch_size: int) -> None:
        self.network = network
        self.replicas: int = network.distribute_strategy.num_replicas_in_sync
        self._at_once = rows_at_once(ROWS_AT_ONCE, layout.width)
        rows = tf.TensorSpec([None, layout.width], tf.float32)
        numbers = tf.TensorSpec([None, batch_size], tf.int32)
        self._train = _compiled(self._steps, rows, numbers)
        self._validate = _compiled(self._validation, rows, rows)
        self._output = _compiled(lambda rows: network(rows, training=False), rows)

    def train(self, rows: tf.Tensor, numbers: NDArray[np.int32]) -> float:
        """Trains on the rows with these numbers, int32 (steps, batch_size); returns the mean loss."""
        parts = range(0, len(numbers), STEPS_AT_ONCE)
        return self._loss(self._train, ((rows, numbers[start : start + STEPS_AT_ONCE]) for start in parts))

    def validate(self, seen: Encoded, wanted: Encoded) -> float:
        """Returns the mean loss of rows that the network sees and of those that it should give."""
        return self._loss(self._validate, zip(self._parts(seen), self._parts(wanted), strict=True))

    def outputs(self, rows: Encoded) -> Encoded:
        """Returns the outputs of encoded rows, float32 (rows, outputs)."""
        return np.concatenate([self._output(part).numpy() for part in self._parts(rows)])

    def _parts(self, rows: Encoded) -> Iterator[Encoded]:
        return (rows[start : start + self._at_once] for start in range(0, len(rows), self._at_once))

    def _loss(self, counted: Counted, calls: Iterator[tuple[Any, Any]]) -> float:
        self.network.reset_metrics()
        for arguments in calls:
            counted(*arguments)
        return float(self.network.get_metrics_result()["loss"])

    def _steps(self, rows: tf.Tensor, numbers: tf.Tensor) -> None:
        step = tf.function(self._step, jit_compile=self.network.jit_compile, autograph=False)

        def take_step(number: tf.Tensor) -> tf.Tensor:
            step(tf.gather(rows, numbers[number]))
            return number + 1

        tf.while_loop(lambda number: number < tf.shape(numbers)[0], take_step, [tf.constant(0)])

    def _step(self, batch: tf.Tensor) -> None:
        def of_replica() -> None:
            replica = tf.distribute.get_replica_context().replica_id_in_sync_group
            part = batch if self.replicas == 1 else batch[replica :: self.replicas]
            self.network.train_step((part, part))

        self.network.distribute_strategy.run(of_replica)

    def _validation(self, seen: tf.Tensor, wanted: tf.Tensor) -> None:
        self.network.distribute_strategy.run(self.network.test_step, args=((seen, wanted),))


def _compiled(function: Callable[..., Any], *signature: tf.TensorSpec) -> Any:
    return tf.function(function, input_signature=signature, autograph=False)
