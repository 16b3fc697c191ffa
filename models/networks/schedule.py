"""How long a network is trained: by epochs where the settings have them, else by steps.

Steps are enough for a thousand rows, which an epoch passes in four of them, and no more than needed for a
million.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.settings import TrainingSettings

MOST_STEPS, STEPS_PER_ROUND = 4_000, 100
BATCH_BY_STEPS, BATCH_BY_EPOCHS = 256, 512


@dataclass(frozen=True)
class Schedule:
    """rounds: at most so many; after each, the validation loss decides whether the training goes on.

    batch_size: rows per step. steps: of a round; None for as many as it takes to see every row.
    """

    rounds: int
    batch_size: int
    steps: int | None

    @staticmethod
    def of(training: TrainingSettings) -> "Schedule":
        """Returns the schedule of the settings."""
        if training.epochs is not None:
            return Schedule(training.epochs, training.batch_size or BATCH_BY_EPOCHS, None)
        return Schedule(MOST_STEPS // STEPS_PER_ROUND, training.batch_size or BATCH_BY_STEPS, STEPS_PER_ROUND)

    def batches(self, rows: int, seed: int) -> Iterator[NDArray[np.int32]]:
        """Yields the row numbers of every step of each round, int32 (steps, batch_size): one order of all
        rows after the other, each drawn by the seed. A round goes on where the last one ended.
        """
        random, left = np.random.default_rng(seed), np.zeros(0, np.int32)
        needed = (self.steps or -(-rows // self.batch_size)) * self.batch_size
        for _ in range(self.rounds):
            orders = [left]
            while sum(map(len, orders)) < needed:
                orders.append(random.permutation(rows).astype(np.int32))
            numbers = np.concatenate(orders)
            left = numbers[needed:]
            yield numbers[:needed].reshape(-1, self.batch_size)

    def __str__(self) -> str:
        if self.steps is None:
            return f"at most {self.rounds} epochs, batches of {self.batch_size}"
        steps = self.rounds * self.steps
        return f"at most {steps:,} steps of {self.batch_size} rows, an epoch being {self.steps} of them"
