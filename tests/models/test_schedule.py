"""Training by steps: how long, on which rows, and by which figure the weights are kept."""

import numpy as np
import pytest

from models.device import reproducible
from models.encoding.layout import Layout
from models.networks import schedule
from models.networks.dense import layers
from models.networks.fitting import PATIENCE, Epoch, epochs_without_progress, fit_network
from models.networks.schedule import Schedule
from models.settings import ModelSettings, TrainingSettings

LAYOUT = Layout(numeric=4, indicators=0, categories=(), owners=(0, 1, 2, 3))
ROWS = np.random.default_rng(0).normal(size=(500, 4)).astype(np.float32)


def test_epochs_decide_where_they_are_set_and_else_the_steps_do_not_depend_on_the_rows() -> None:
    by_epochs, by_steps = Schedule.of(TrainingSettings(epochs=3)), Schedule.of(TrainingSettings())
    assert steps_of(by_epochs, 1_000) == (3, 2, 512)
    assert steps_of(by_epochs, 10_000) == (3, 20, 512)
    assert steps_of(by_steps, 100) == steps_of(by_steps, 100_000) == (40, 100, 256)
    assert str(by_steps) == "at most 4,000 steps of 256 rows, an epoch being 100 of them"


@pytest.mark.parametrize("steps", [5, None])
def test_rounds_pass_all_rows_again_and_again_in_an_order_drawn_by_the_seed(steps: int | None) -> None:
    first, again, other = (
        np.concatenate(list(Schedule(6, 40, steps).batches(100, seed))) for seed in (1, 1, 2)
    )
    assert first.shape == ((5 if steps else 3) * 6, 40)
    passes = first.reshape(-1)[: first.size // 100 * 100].reshape(-1, 100)
    assert (np.sort(passes) == np.arange(100)).all()
    assert (first == again).all()
    assert (first != other).any()


def steps_of(schedule: Schedule, rows: int) -> tuple[int, ...]:
    return schedule.rounds, *next(schedule.batches(rows, seed=1)).shape


def test_layers_follow_the_number_of_features_unless_they_are_set() -> None:
    wide = Layout(numeric=784, indicators=0, categories=(), owners=tuple(range(784)))
    assert layers(LAYOUT, ModelSettings()) == (128, 2, 128)
    assert layers(wide, ModelSettings()) == (128, 64, 128)
    assert layers(wide, ModelSettings(hidden=(9, 3))) == (9, 3)


@pytest.mark.parametrize(("least", "rested"), [(0.0, 1), (0.02, 2), (0.2, 4)])
def test_progress_is_a_loss_that_is_lower_by_a_share(least: float, rested: int) -> None:
    losses = [2.0, 1.0, 1.01, 0.9, 0.89, 0.895]  # that of the untrained network first
    history = [Epoch(0, epoch, loss, loss) for epoch, loss in enumerate(losses)]
    assert epochs_without_progress(history, least) == rested


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
