"""The laws of the denoiser beside those of every architecture: its noise, its units, and what it learns."""

import numpy as np
import pytest

from models.device import keras, reproducible
from models.encoding.layout import Layout
from models.errors import TrainingError
from models.networks import noise, schedule
from models.networks.architectures import ARCHITECTURES
from models.networks.fitting import fit_network
from models.networks.noise import find_deviations, find_noise, validation_rows
from models.networks.residuals import residual
from models.settings import ModelSettings, TrainingSettings

TABLE = Layout(numeric=2, indicators=0, categories=(3,), owners=(0, 1, 2))
MODEL = ModelSettings(architecture="denoiser", hidden=(16, 8))
RANDOM = np.random.default_rng(0)


def rows(count: int, seed: int = 0) -> np.ndarray:
    """Two independent values of a standard normal distribution, and codes of which one is rare."""
    random = np.random.default_rng(seed)
    return np.column_stack(
        [random.normal(size=(count, 2)), random.choice(3, count, p=[0.6, 0.39, 0.01])]
    ).astype(np.float32)


def denoiser() -> keras.Model:
    network = ARCHITECTURES["denoiser"](TABLE, MODEL, 1)
    find_noise(network).adapt(rows(1_000))
    return network


@pytest.mark.parametrize(
    ("column", "low", "high"),
    [
        (RANDOM.normal(size=5_000), 0.4, 0.6),
        (RANDOM.uniform(size=5_000), 0.28, 0.34),  # its kurtosis is 1.8
        (RANDOM.standard_t(2, 5_000), 1.5, 3.0),
        (np.append(np.zeros(5_000), RANDOM.normal(size=1)), 0.45, 0.45),
        (np.zeros(100), 0.45, 0.45),
        (np.append(RANDOM.normal(0, 1e-3, 5_000), 1e6), 3.0, 3.0),
    ],
)
def test_the_noise_follows_the_tail_of_a_column(column: np.ndarray, low: float, high: float) -> None:
    (found,) = find_deviations(column[:, None].astype(np.float32))
    assert np.float32(low) <= found <= np.float32(high)


def test_peaks_that_are_apart_count_as_one() -> None:
    one, two = RANDOM.normal(size=20_000), RANDOM.normal(size=20_000) + RANDOM.choice([0, 12], 20_000)
    apart, together = find_deviations(np.column_stack([two, one]).astype(np.float32))
    assert apart == pytest.approx(together, abs=0.1)


def test_noise_acts_in_training_alone() -> None:
    network, same = denoiser(), np.tile(rows(1), (4_000, 1))
    assert np.ptp(network(same, training=False).numpy(), axis=0) == pytest.approx(0, abs=1e-6)
    layer, sample = find_noise(network), rows(4_000)
    seen, deviations = layer(sample, training=True)
    np.testing.assert_array_equal(deviations, np.tile(layer.deviations.numpy(), (4_000, 1)))
    np.testing.assert_allclose((seen.numpy() - sample)[:, :2].std(axis=0), deviations[0], rtol=0.05)
    changed = np.mean(seen.numpy()[:, 2] != sample[:, 2])
    others = np.mean(np.roll(sample[:, 2], 1) != sample[:, 2])
    assert changed == pytest.approx(noise.EXCHANGED * others, abs=0.02)


def test_few_validation_rows_are_seen_with_several_draws_that_the_seed_repeats() -> None:
    network, sample = denoiser(), rows(50)
    seen, wanted = validation_rows(network, sample, seed=3)
    assert (wanted == np.tile(sample, (noise.MOST_COPIES, 1))).all()
    assert (seen == validation_rows(network, sample, seed=3)[0]).all()
    assert (seen != validation_rows(network, sample, seed=4)[0]).any()
    assert len(validation_rows(network, rows(10_000), seed=3)[0]) == 10_000


def test_a_residual_is_the_answer_and_the_reconstruction_a_step_along_it() -> None:
    network, sample = denoiser(), rows(20)
    answer = keras.Model(network.input, network.get_layer("answer").output)(sample).numpy()[:, :2]
    output, deviations = network(sample), find_noise(network).deviations.numpy()
    np.testing.assert_allclose(residual(sample, output, TABLE, network)[:, :2], -answer, atol=1e-5)
    np.testing.assert_allclose(output[:, :2], sample[:, :2] + deviations * answer, atol=1e-5)


@pytest.mark.slow
def test_it_learns_the_gradient_of_the_log_density_and_follows_from_its_seed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """That of a standard normal distribution with noise s is -x / (1 + s^2)."""
    monkeypatch.setattr(schedule, "MOST_STEPS", 300)
    fit, validation, new = rows(2_000, 1), rows(200, 2), rows(500, 3)
    found = []
    for _ in range(2):
        reproducible(1)
        network, history = fit_network(
            fit, validation, TABLE, MODEL, TrainingSettings(learning_rate=1e-2), 0, None, lambda *_: 1.0
        )
        found.append(network)
    first, again = (network(new).numpy() for network in found)
    assert (first == again).all()
    deviation = find_noise(found[0]).deviations.numpy()
    step = -(deviation**2) * new[:, :2] / (1 + deviation**2)
    found_step = first[:, :2] - new[:, :2]
    assert np.corrcoef(found_step.ravel(), step.ravel())[0, 1] > 0.9
    assert {epoch.criterion for epoch in history} == {None}


def test_images_are_refused() -> None:
    image = Layout(numeric=6, indicators=0, categories=(), owners=tuple(range(6)), image=(2, 3, 1))
    with pytest.raises(TrainingError, match=r'not for images; set model.architecture = "conv" or "dense"'):
        ARCHITECTURES["denoiser"](image, MODEL, 1)
