"""The laws of every architecture. The convolutional network is tested on small images."""

import re
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from sklearn.metrics import roc_auc_score

from models.detector.artifacts import load, save
from models.detector.calibrate import calibrate, choose_score
from models.detector.detector import train
from models.detector.mixture import by_rule
from models.detector.score_kinds import COMBINED, SCORES, parts_of
from models.detector.scorer import Scorer
from models.device import keras, reproducible, tf
from models.encoding.layout import Layout
from models.encoding.samples import Samples
from models.errors import TrainingError
from models.graphs import form
from models.networks import vae
from models.networks.architectures import ARCHITECTURES
from models.networks.dense import LATENT
from models.networks.fitting import fit_network
from models.networks.noise import validation_rows
from models.networks.residuals import loss, residual
from models.settings import USED_BY, ImageSettings, ModelSettings, TrainingSettings

pytestmark = pytest.mark.slow

IMAGE = Layout(numeric=70, indicators=0, categories=(), owners=tuple(range(70)), image=(7, 5, 2))
TABLE = Layout(numeric=3, indicators=1, categories=(4, 2), owners=(0, 1, 2, 0, 3, 4))
TRAINING = TrainingSettings(epochs=4, batch_size=64, learning_rate=3e-3)
EVERY = {name: IMAGE if name == "conv" else TABLE for name in ARCHITECTURES}


def settings(name: str, **changes: object) -> ModelSettings:
    size = {"filters": (4, 8), "latent": 6} if name == "conv" else {"hidden": (16, 3, 16)}
    return ModelSettings.model_validate({"architecture": name, "score": "error", **size, **changes})


def rows(layout: Layout, count: int, seed: int) -> np.ndarray:
    """Encoded rows that vary in two directions."""
    random = np.random.default_rng(seed)
    hidden = random.normal(size=(count, 2))
    values = np.tanh(
        hidden @ np.random.default_rng(0).normal(size=(2, layout.continuous))
    ) + 0.1 * random.normal(size=(count, layout.continuous))
    codes = [(hidden[:, 0] > 0) * (size - 1) for size in layout.categories]
    return np.column_stack([values, *codes]).astype(np.float32)


def other_rows(layout: Layout, count: int, seed: int) -> np.ndarray:
    """Rows with the columns of `rows`, each permuted by itself."""
    random = np.random.default_rng(seed)
    return np.column_stack([random.permutation(column) for column in rows(layout, count, seed).T])


def fitted(name: str, **changes: object) -> tuple[keras.Model, Layout, ModelSettings]:
    layout, model = EVERY[name], settings(name, **changes)
    reproducible(1)
    network, _ = fit_network(rows(layout, 2_000, 1), rows(layout, 300, 2), layout, model, TRAINING, 0, None)
    return network, layout, model


@pytest.fixture(scope="module", params=EVERY)
def trained(request: pytest.FixtureRequest) -> tuple[keras.Model, Layout, ModelSettings]:
    return fitted(request.param)


@pytest.fixture(scope="module")
def variational() -> tuple[keras.Model, Layout, ModelSettings]:
    return fitted("vae", score="reconstruction_probability", draws=8)


def scorer(network: keras.Model, layout: Layout, model: ModelSettings) -> Scorer:
    held_out = rows(layout, 400, 3)
    samples = Samples(held_out, held_out, held_out[:0])
    calibration = calibrate(
        (network,),
        layout,
        model,
        by_rule(model, layout),
        held_out,
        held_out,
        samples,
        normals=400,
        seed=1,
        ranges=None,
    )
    return Scorer((network,), layout, parts_of(model, layout), model.draws, calibration)


@pytest.mark.parametrize("name", EVERY)
def test_a_network_maps_rows_to_outputs_and_follows_from_its_seed(name: str) -> None:
    layout, sample = EVERY[name], rows(EVERY[name], 5, 0)
    first, same, other = (ARCHITECTURES[name](layout, settings(name), seed) for seed in (1, 1, 2))
    assert first(sample).shape == (5, layout.outputs)
    assert first(sample).dtype == tf.float32
    assert (first(sample).numpy() == same(sample).numpy()).all()
    assert (first(sample).numpy() != other(sample).numpy()).any()
    latent = keras.Model(first.input, first.get_layer(LATENT).output)(sample)
    assert latent.shape == (5, 6 if name == "conv" else 3)


@pytest.mark.parametrize("name", EVERY)
def test_a_training_step_lowers_the_loss(name: str) -> None:
    layout = EVERY[name]
    quiet = {"input_noise": 0.0} if name in USED_BY["input_noise"] else {}
    network = ARCHITECTURES[name](layout, settings(name, **quiet), 1)
    network.compile(keras.optimizers.SGD(0.01), loss=loss(layout, network))
    batch = rows(layout, 256, 4)
    seen, wanted = validation_rows(network, batch, 1)
    before = network.evaluate(seen, wanted, verbose=0)
    network.train_on_batch(batch, batch)
    assert network.evaluate(seen, wanted, verbose=0) < before


def test_a_trained_network_ranks_other_rows_above_normal_ones(
    trained: tuple[keras.Model, Layout, ModelSettings],
) -> None:
    network, layout, model = trained
    labels, encoded = (
        np.repeat([0, 1], 400),
        np.concatenate([rows(layout, 400, 5), other_rows(layout, 400, 6)]),
    )
    assert roc_auc_score(labels, scorer(network, layout, model).scores([encoded])[1]) > 0.8


def test_scores_do_not_depend_on_batches_or_order(trained: tuple[keras.Model, Layout, ModelSettings]) -> None:
    network, layout, model = trained
    scores, sample = scorer(network, layout, model).scores, rows(layout, 1_500, 7)
    whole = scores([sample])[1]
    assert (scores([sample[:7], sample[7:600], sample[600:]])[1] == whole).all()
    order = np.random.default_rng(0).permutation(len(sample))
    assert (scores([sample[order]])[1] == whole[order]).all()


@pytest.mark.parametrize("name", EVERY)
def test_a_reloaded_network_gives_the_same_outputs(name: str, tmp_path: Path) -> None:
    network, sample = ARCHITECTURES[name](EVERY[name], settings(name), 1), rows(EVERY[name], 50, 8)
    network.save(tmp_path / "network.keras")
    again = keras.saving.load_model(tmp_path / "network.keras", compile=False, safe_mode=True)
    assert (again(sample).numpy() == network(sample).numpy()).all()


def test_networks_that_share_a_graph_keep_their_own_scores(
    trained: tuple[keras.Model, Layout, ModelSettings],
) -> None:
    network, layout, model = trained
    sample = rows(layout, 200, 16)
    other = ARCHITECTURES[model.architecture](layout, model, 1)
    assert form(other) == form(network)
    first, second = (scorer(each, layout, model) for each in (network, other))
    errors = [each.scores([sample])[0] for each in (first, second, first)]
    for each, found in ((network, errors[0]), (other, errors[1])):
        squares = tf.square(residual(tf.constant(sample), each(sample, training=False), layout, each))
        np.testing.assert_allclose(found, tf.reduce_sum(squares, axis=1) / layout.features, rtol=1e-4)
    assert (errors[2] == errors[0]).all()


@pytest.mark.parametrize(
    "changes", [{"activation": "tanh"}, {"hidden": (16, 4, 16)}, {"dropout": 0.1}, {"input_noise": 0.2}]
)
def test_networks_of_other_layers_share_no_graph(changes: dict[str, object]) -> None:
    own, other = (ARCHITECTURES["dense"](TABLE, settings("dense", **each), 1) for each in ({}, changes))
    assert form(own) != form(other)


@pytest.mark.parametrize("name", EVERY)
def test_a_network_that_is_trained_after_another_of_its_form_is_the_same_to_the_last_bit(name: str) -> None:
    first = fitted(name)[0].get_weights()
    with pytest.raises(TrainingError, match="infinite"):
        fit_network(
            rows(EVERY[name], 200, 1),
            rows(EVERY[name], 30, 2) * np.nan,
            EVERY[name],
            settings(name),
            TRAINING,
            0,
            None,
        )
    fit_network(
        rows(EVERY[name], 500, 3), rows(EVERY[name], 90, 2), EVERY[name], settings(name), TRAINING, 4, None
    )
    assert all((own == other).all() for own, other in zip(first, fitted(name)[0].get_weights(), strict=True))


def test_a_linear_network_is_linear() -> None:
    layout = Layout(numeric=4, indicators=0, categories=(), owners=(0, 1, 2, 3))
    network = ARCHITECTURES["linear"](layout, settings("linear"), 1)
    first, second = rows(layout, 10, 1), rows(layout, 10, 2)
    np.testing.assert_allclose(
        network(first + 3 * second), network(first) + 3 * network(second).numpy(), atol=1e-4
    )


def test_activity_regularisation_keeps_the_latent_layer_small() -> None:
    sample = rows(TABLE, 300, 9)
    plain, kept = (fitted("dense", activity_regularisation=weight)[0] for weight in (0.0, 1.0))
    activity = [
        float(np.abs(keras.Model(net.input, net.get_layer(LATENT).output)(sample)).mean())
        for net in (plain, kept)
    ]
    assert activity[1] < activity[0] / 2


@pytest.mark.parametrize(("height", "width", "channels"), [(28, 28, 1), (7, 5, 3), (2, 9, 1), (33, 64, 3)])
def test_the_output_has_the_size_of_the_image(height: int, width: int, channels: int) -> None:
    pixels = height * width * channels
    layout = Layout(
        numeric=pixels,
        indicators=0,
        categories=(),
        owners=tuple(range(pixels)),
        image=(height, width, channels),
    )
    network = ARCHITECTURES["conv"](layout, settings("conv"), 1)
    assert network(np.zeros((2, pixels), np.float32)).shape == (2, pixels)


@pytest.mark.parametrize(
    ("layout", "filters", "message"),
    [(TABLE, (4, 8), "features.image"), (IMAGE, (4,) * 6, r"too many for images of 7 x 5")],
)
def test_rows_that_cannot_be_convolved_are_refused(
    layout: Layout, filters: tuple[int, ...], message: str
) -> None:
    with pytest.raises(TrainingError, match=message):
        ARCHITECTURES["conv"](layout, settings("conv", filters=filters), 1)


def test_the_divergence_is_part_of_the_loss_of_a_vae() -> None:
    """KL(N(m, s^2) || N(0, 1)) = (m^2 + s^2 - 1 - log s^2) / 2, summed over the latent units (Kingma &
    Welling, 2014).
    """
    layer = vae.Draw(weight=0.5, seed=1)
    mean, log_variance = tf.constant([[1.0, 0.0], [0.0, 2.0]]), tf.constant([[0.0, 0.0], [np.log(4.0), 0.0]])
    assert (layer([mean, log_variance]).numpy() == mean.numpy()).all()
    expected = 0.5 * np.mean([0.5, (4 - 1 - np.log(4.0)) / 2 + 2.0])
    assert float(layer.losses[0]) == pytest.approx(expected)


def test_a_vae_draws_while_it_is_trained() -> None:
    layer = vae.Draw(weight=0.0, seed=1)
    mean, log_variance = tf.zeros((20_000, 2)) + 3.0, tf.zeros((20_000, 2)) + np.log(0.25)
    drawn = layer([mean, log_variance], training=True).numpy()
    assert drawn.mean(axis=0) == pytest.approx([3.0, 3.0], abs=0.02)
    assert drawn.std(axis=0) == pytest.approx([0.5, 0.5], abs=0.02)


def test_reconstruction_probability_is_the_mean_negative_log_likelihood_over_draws(
    variational: tuple[keras.Model, Layout, ModelSettings],
) -> None:
    network, layout, model = variational
    graph, sample, held_out = scorer(network, layout, model), rows(layout, 6, 10), rows(layout, 400, 3)

    def squared(encoded: np.ndarray) -> np.ndarray:
        """(rows, draws, columns): squared differences, and the cross-entropies of the categories."""
        output = vae.reconstruct(network, tf.constant(encoded), 8).numpy().reshape(len(encoded), 8, -1)
        parts = [np.square(encoded[:, None, : layout.continuous] - output[:, :, : layout.continuous])]
        for column, start, stop in layout.blocks:
            likelihood = tf.nn.softmax(output[:, :, start:stop]).numpy()
            parts.append(
                -np.log(likelihood[np.arange(len(encoded)), :, encoded[:, column].astype(int)])[:, :, None]
            )
        return np.concatenate(parts, axis=-1)

    variance = squared(held_out)[:, :, : layout.continuous].mean(axis=(0, 1))
    terms = squared(sample)
    terms[:, :, : layout.continuous] /= 2 * variance
    np.testing.assert_allclose(graph.scores([sample])[1], terms.sum(axis=-1).mean(axis=1), rtol=1e-3)


def test_the_draws_of_a_row_are_the_same_wherever_it_is(
    variational: tuple[keras.Model, Layout, ModelSettings],
) -> None:
    network, layout, model = variational
    scores, sample = scorer(network, layout, model).scores, rows(layout, 1_500, 11)
    whole = scores([sample])[1]
    assert (scores([sample[::-1]])[1] == whole[::-1]).all()
    assert (scores([sample[:3], sample[3:]])[1] == whole).all()


@pytest.mark.parametrize(("name", "score"), [("vae", "combined"), ("denoiser", "error")])
def test_a_whole_detector_is_stored_and_read(name: str, score: str, tmp_path: Path) -> None:
    frame = pl.DataFrame(rows(TABLE, 1_500, 12)[:, :4], schema=["a", "b", "c", "d"]).cast(pl.Float64)
    model = settings(name, score=score, members=2)
    detector = train(frame, ["a", "b", "c", "d"], [], model, TRAINING)
    again = load(tmp_path / "v", save(detector, tmp_path / "v"))
    assert (again.score(frame).score == detector.score(frame).score).all()
    np.testing.assert_allclose(
        again.explain(frame).contributions.sum(axis=1), again.score(frame).score, rtol=1e-4
    )
    np.testing.assert_allclose(again.explain(frame).shares.sum(axis=1), 1.0, rtol=1e-9)
    assert again.settings == model
    far = again.score(frame[:20].with_columns(a=pl.lit(1e30))).score
    assert np.isfinite(far).all()
    assert (again.p_values(far) == 1 / (1 + len(again.calibration.held_out))).all()


def test_auto_chooses_the_score_with_the_best_average_precision_on_known_frauds(
    variational: tuple[keras.Model, Layout, ModelSettings], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    network, layout, model = variational
    validation, anomalies = rows(layout, 800, 14), other_rows(layout, 60, 15)
    chosen = choose_score((network,), layout, model, validation, validation, anomalies, 1)
    figures = dict(re.findall(r"(\w+) (0\.\d+|1\.0+)", caplog.messages[-1].split(": ")[-1]))
    assert set(figures) == {*SCORES, COMBINED}
    assert chosen == max(figures, key=lambda kind: float(figures[kind]))
    assert "400 held-out rows and 60 known frauds" in caplog.messages[-1]
    assert choose_score((network,), layout, model, validation, validation, anomalies[:9], 1) == COMBINED
    assert "9 known frauds are too few" in caplog.messages[-1]


def test_a_covariance_of_too_many_pixels_is_refused_before_training() -> None:
    images = pl.DataFrame({"scan": np.random.default_rng(0).normal(size=(120, 65 * 64)).tolist()})
    image = ImageSettings(column="scan", height=65, width=64)
    with pytest.raises(TrainingError, match=r'covariance of 4,160 components; set model.score = "error"'):
        train(images, [], [], ModelSettings(architecture="conv"), TRAINING, image=image)
