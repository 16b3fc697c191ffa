"""Training by steps: how long, on which rows, and by which figure the weights are kept."""

import numpy as np
import pytest

from models.device import reproducible
from models.encoding.layout import Layout
from models.networks import schedule
from models.networks.dense import layers
from models.networks.fitting import PATIENCE, STEPS_AT_ONCE, fit_network
from models.networks.schedule import Schedule
from models.settings import ModelSettings, TrainingSettings

LAYOUT = Layout(numeric=4, indicators=0, categories=(), owners=(0, 1, 2, 3))
ROWS = np.random.default_rng(0).normal(size=(500, 4)).astype(np.float32)


def test_epochs_decide_where_they_are_set_and_else_the_steps_do_not_depend_on_the_rows() -> None:
    by_epochs, by_steps = Schedule.of(TrainingSettings(epochs=3)), Schedule.of(TrainingSettings())
    assert (by_epochs.batch_size, by_epochs.most_steps(1_000), by_epochs.most_steps(10_000)) == (512, 6, 60)
    assert {by_steps.most_steps(rows) for rows in (100, 1_000_000)} == {4_000}
    assert by_steps.steps is not None
    assert by_steps.steps % STEPS_AT_ONCE == 0  # else Keras makes a round longer, and runs out of rows
    assert str(by_steps) == "at most 4,000 steps of 256 rows, an epoch being 100 of them"


def test_the_steps_pass_all_rows_again_and_again_in_an_order_drawn_by_the_seed() -> None:
    batches = Schedule(rounds=3, batch_size=40, steps=5).batches(100, seed=1)
    assert batches.shape == (15, 40)
    for rows in batches.reshape(6, 100):
        assert sorted(rows) == list(range(100))
    assert (Schedule(3, 40, 5).batches(100, seed=1) == batches).all()
    assert (Schedule(3, 40, 5).batches(100, seed=2) != batches).any()


def test_layers_follow_the_number_of_features_unless_they_are_set() -> None:
    wide = Layout(numeric=784, indicators=0, categories=(), owners=tuple(range(784)))
    assert layers(LAYOUT, ModelSettings()) == (128, 2, 128)
    assert layers(wide, ModelSettings()) == (128, 64, 128)
    assert layers(wide, ModelSettings(hidden=(9, 3))) == (9, 3)


@pytest.mark.slow
def test_training_by_steps_follows_from_its_seed_and_stops_by_the_score(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(schedule, "MOST_STEPS", 200)
    monkeypatch.setattr(schedule, "STEPS_PER_ROUND", 10)
    found = []
    for _ in range(2):
        reproducible(1)
        model, training = ModelSettings(hidden=(8, 2, 8)), TrainingSettings(batch_size=32)
        measured = iter([5.0, 4.0, *range(6, 30)])  # best in the second round
        found.append(
            fit_network(
                ROWS[:400],
                ROWS[400:],
                LAYOUT,
                model,
                training,
                0,
                None,
                lambda *_, of=measured: float(next(of)),
            )
        )
    (network, history), (again, _) = found
    assert (network(ROWS).numpy() == again(ROWS).numpy()).all()
    assert len(history) == 1 + 2 + PATIENCE
    assert min(history[1:], key=lambda epoch: epoch.kept_by).epoch == 2
