"""The laws of a detector.

The rows are simulated: three correlated groups of features, missing values and a category.
"""

import logging
from dataclasses import replace
from itertools import pairwise
from typing import get_args

import numpy as np
import polars as pl
import pytest
from heads import head_training
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from scipy.stats import kstest
from sklearn.metrics import roc_auc_score
from sklearn.neighbors import NearestNeighbors

from models.detector import far, logarithms, mixture
from models.detector.detector import Detector, train
from models.detector.explanation import REASONS
from models.detector.far import find_ranges
from models.detector.fit_score import fit_score
from models.detector.logarithms import LEAST_UNIT, find_logarithms
from models.detector.mixture import FEWEST_FRAUDS, Mixture, by_rule
from models.detector.neighbours import (
    FIRST_ROWS,
    LEAST_SPACING,
    NEIGHBOURS,
    NO_SPACING,
    OF_LOGARITHMS,
    contributions,
    find_spacing,
    padded,
)
from models.detector.score_kinds import (
    COMBINED,
    FEW_FEATURES,
    MOST_COMPONENTS,
    RESIDUAL_WEIGHT,
    SCORES,
    parts_of,
    residual_weight,
    score_of,
)
from models.detector.scorer import Scorer
from models.detector.tails import LEAST_SHAPE, surprise
from models.device import keras, tf
from models.encoding.encoder import NumericFeature
from models.encoding.layout import Layout
from models.errors import ModelError, TrainingError
from models.networks import passes
from models.networks.architectures import ARCHITECTURES, architecture_of
from models.networks.fitting import split
from models.settings import ModelSettings, TrainingSettings

pytestmark = pytest.mark.slow

NUMERIC, CATEGORICAL = [f"x{k}" for k in range(6)] + ["bytes", "age"], ["channel"]
MODEL = ModelSettings(hidden=(32, 3, 32), input_noise=0.1, score="whitened")
DENOISER = ModelSettings(architecture="denoiser", hidden=(32, 32))
TRAINING = TrainingSettings(epochs=8, batch_size=64, seed=7)


def normal_rows(rows: int, seed: int) -> pl.DataFrame:
    random = np.random.default_rng(seed)
    hidden = random.normal(size=(rows, 2))
    mixing = np.random.default_rng(0).normal(size=(2, 6))
    values = hidden @ mixing + 0.2 * random.normal(size=(rows, 6))
    return pl.DataFrame(values, schema=[f"x{k}" for k in range(6)]).with_columns(
        bytes=pl.Series(np.exp(3 * hidden[:, 0] + 3)),
        age=pl.Series(np.where(random.random(rows) < 0.1, np.nan, 40 + 10 * hidden[:, 1])),
        channel=pl.Series(np.where(hidden[:, 0] + 0.3 * random.normal(size=rows) > 0, "web", "shop")),
    )


def shuffled(frame: pl.DataFrame) -> pl.DataFrame:
    """Rows whose columns are normal one by one, but not together."""
    random = np.random.default_rng(5)
    return frame.select(column.gather(random.permutation(len(frame))) for column in frame)


ROWS = normal_rows(4_000, seed=1)
FRESH = normal_rows(2_000, seed=2)


def trained(kind: str, members: int = 1) -> Detector:
    return train(
        ROWS, NUMERIC, CATEGORICAL, MODEL.model_copy(update={"score": kind, "members": members}), TRAINING
    )


@pytest.fixture(scope="module")
def detector() -> Detector:
    return trained("whitened")


@pytest.fixture(scope="module")
def ensemble() -> Detector:
    return trained("error", members=2)


@pytest.fixture(scope="module")
def by_distance() -> Detector:
    return trained("neighbours")


@pytest.fixture(scope="module")
def combined() -> Detector:
    return trained(COMBINED, members=2)


@pytest.fixture(scope="module")
def headed() -> Detector:
    rows = normal_rows(6_000, seed=9)
    frauds = rows.select((pl.col("age") > 52) & (pl.col("channel") == "web")).to_series().to_numpy()
    return train(ROWS, NUMERIC, CATEGORICAL, MODEL, TRAINING, head=head_training(rows, frauds))


@pytest.fixture(
    scope="module", params=["error", "mae", "whitened", "neighbours", COMBINED, "denoiser", "head"]
)
def by_kind(
    request: pytest.FixtureRequest,
    detector: Detector,
    ensemble: Detector,
    by_distance: Detector,
    combined: Detector,
    headed: Detector,
) -> Detector:
    """One detector for each kind of score; two networks for two of them. And a denoiser, by the combined with
    distances in logarithms of every feature, and one with a head on known frauds.
    """
    if request.param == "denoiser":
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(logarithms, "HEAVY_TAIL", 0.0)
            patched.setattr(
                "models.detector.detector.choose_mixture",
                lambda networks, layout, model, *_: replace(by_rule(model, layout), in_logarithms=True),
            )
            return train(ROWS, NUMERIC, CATEGORICAL, DENOISER, TRAINING)
    shared = {"whitened": detector, "error": ensemble, "neighbours": by_distance, COMBINED: combined}
    shared |= {"head": headed}
    return shared.get(request.param) or trained(request.param)


def test_every_name_of_the_settings_is_in_its_registry() -> None:
    architectures, _ = get_args(ModelSettings.model_fields["architecture"].annotation)
    assert set(ARCHITECTURES) == set(get_args(architectures))
    scores, _ = get_args(ModelSettings.model_fields["score"].annotation)
    assert {*SCORES, COMBINED, "auto"} == set(get_args(scores))


def test_the_default_score_is_combined_but_for_images() -> None:
    few = Layout(numeric=FEW_FEATURES, indicators=0, categories=(), owners=())
    many, image = replace(few, numeric=FEW_FEATURES + 1), replace(few, image=(2, 2, 1))
    for architecture, of_few, of_many in (
        ("dense", "whitened", "whitened"),
        ("vae", "reconstruction_probability", "reconstruction_probability"),
        ("denoiser", "whitened", "error"),
    ):
        model = ModelSettings.model_validate({"architecture": architecture})
        for table, part in ((few, of_few), (many, of_many)):
            assert score_of(model, table) == COMBINED
            assert parts_of(model, table) == (part, "neighbours")
    weights = [residual_weight(each, (part,)) for each in (MODEL, DENOISER) for part in ("error", "whitened")]
    assert weights == [RESIDUAL_WEIGHT, RESIDUAL_WEIGHT, 1, RESIDUAL_WEIGHT]
    assert parts_of(ModelSettings(), image) == ("whitened",)
    wide = replace(few, numeric=MOST_COMPONENTS + 1)
    assert parts_of(ModelSettings(), wide) == ("error", "neighbours")


@pytest.mark.parametrize(
    ("frauds", "power", "best"), [(FEWEST_FRAUDS - 1, 1, 0), (FEWEST_FRAUDS, 1, 3), (FEWEST_FRAUDS, 3, 6)]
)
def test_a_mixture_is_what_ranks_known_frauds_best_where_there_are_enough(
    frauds: int, power: int, best: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of the rule's error of a denoiser and of a little of its whitened residual, by local and plain
    distances, and in logarithms where a tail is heavy; each validation row stands for its share of the normal
    rows.
    """
    layout = Layout(numeric=9, indicators=0, categories=(), owners=tuple(range(9)))
    model = DENOISER.model_copy(update={"score": COMBINED})
    network = ARCHITECTURES["denoiser"](layout, model, 1)
    rows = np.random.default_rng(1).normal(size=(1_000, 9)).astype(np.float32) ** power
    candidates = 8 if power > 1 else 4
    precisions = iter(np.arange(candidates) == best)

    def precision(labels: np.ndarray, scores: np.ndarray, sample_weight: np.ndarray) -> float:
        assert sample_weight[labels == 0].sum() == pytest.approx(7_000)
        assert (sample_weight[labels == 1] == 1).all()
        return float(next(precisions))

    monkeypatch.setattr(mixture.metrics, "average_precision_score", precision)
    found = mixture.choose_mixture(
        (network,), layout, model, rows[:800], rows[800:900], rows[900 : 900 + frauds], 7_000, 1
    )
    of_error, of_whitened = (("error", "neighbours"), 1.0), (("whitened", "neighbours"), RESIDUAL_WEIGHT)
    expected = [
        Mixture(*each, local, taken)
        for taken in (False, True)
        for each in (of_error, of_whitened)
        for local in (True, False)
    ]
    assert found == expected[best]
    assert len(list(precisions)) == (0 if frauds >= FEWEST_FRAUDS else candidates)


@pytest.mark.parametrize(
    ("keys", "of_table", "of_images"),
    [
        ({}, "denoiser", "dense"),
        ({"activation": "tanh", "members": 2}, "denoiser", "dense"),
        ({"hidden": (8, 2, 8)}, "dense", "dense"),
        ({"input_noise": 0.3}, "dense", "dense"),
        ({"architecture": "vae"}, "vae", "vae"),
    ],
)
def test_the_default_architecture_is_a_denoiser_but_for_images_and_keys_of_a_bottleneck(
    keys: dict[str, object], of_table: str, of_images: str
) -> None:
    table = Layout(numeric=4, indicators=0, categories=(), owners=(0, 1, 2, 3))
    model = ModelSettings.model_validate(keys)
    assert architecture_of(model, table) == of_table
    assert architecture_of(model, replace(table, image=(2, 2, 1))) == of_images


def test_scores_are_finite_and_not_negative_for_any_rows(by_kind: Detector) -> None:
    strange = FRESH[:6].with_columns(
        x0=pl.Series([None, float("nan"), float("inf"), -1e300, 1e9, 0.0]),
        bytes=pl.Series([1e308, None, -5.0, 0.0, float("-inf"), 1.0]),
        age=pl.Series([None, 1e20, float("nan"), -1.0, 0.0, 1.0]),
        channel=pl.Series([None, "never seen", "web", "", "shop", "web"]),
    )
    for frame in (FRESH, strange):
        scores = by_kind.score(frame)
        for values in (scores.error, scores.score):
            assert values.shape == (len(frame),)
            assert values.dtype == np.float32
            assert np.isfinite(values).all()
            assert (values >= 0).all()


def test_a_missing_or_unseen_value_is_stranger_than_the_normal_row(detector: Detector) -> None:
    typical = FRESH[[int(np.argsort(detector.score(FRESH).score)[len(FRESH) // 2])]]
    usual = detector.score(typical).score[0]
    assert detector.score(typical.with_columns(x1=pl.lit(None, dtype=pl.Float64))).score[0] > usual
    assert detector.score(typical.with_columns(channel=pl.lit("never seen"))).score[0] > usual


@given(
    row=st.integers(0, 1_999),
    direction=st.lists(st.floats(-1, 1), min_size=8, max_size=8).filter(lambda u: np.linalg.norm(u) > 0.1),
    feature=st.one_of(st.none(), st.integers(0, 7)),
    times=st.sampled_from([10.0, 100.0, 1e3, 1e6, 1e30]),
)
@settings(max_examples=40, phases=(Phase.explicit, Phase.reuse, Phase.generate))
def test_a_far_row_is_at_least_as_strange_as_it_was(
    by_kind: Detector, row: int, direction: list[float], feature: int | None, times: float
) -> None:
    """Far along one feature, or along any direction, in ranges of the training rows."""
    own = FRESH[[row]]
    unit = np.array(direction) / np.linalg.norm(direction)
    if feature is not None:
        unit = np.eye(8)[feature] * np.sign(unit[feature] or 1.0)
    moved = own.with_columns(
        (
            pl.col(name).fill_nan(0.0)
            + times * step * (ROWS[name].fill_nan(0).max() - ROWS[name].fill_nan(0).min())
        )
        for name, step in zip(NUMERIC, unit, strict=True)
        if step
    )
    scores = by_kind.score(pl.concat([own, moved])).score
    assert np.isfinite(scores).all()
    before, after = by_kind.p_values(scores)
    assert after <= before
    if times >= 1e3:
        assert after == 1 / (len(by_kind.calibration.held_out) + 1)


def test_a_value_near_a_constant_is_near_and_far_ones_are_the_reason() -> None:
    frame = ROWS.with_columns(limit=pl.lit(0.3))
    detector = train(frame, ["x0", "limit"], [], MODEL, TRAINING.model_copy(update={"epochs": 1}))
    own = FRESH[:200].with_columns(limit=pl.lit(0.3))
    near, far = (own.with_columns(limit=pl.lit(value)) for value in (0.303, 300.0))
    usual = detector.p_values(detector.score(own).score)
    assert np.median(detector.p_values(detector.score(near).score) / usual) > 0.5
    assert (detector.p_values(detector.score(far).score) == 1 / 401).all()
    assert set(detector.reasons(far).list.first().struct.field("feature")) == {"limit"}


def test_a_value_just_outside_the_range_of_large_numbers_is_near() -> None:
    """Source values near 1e9 are rounded by some hundreds in float32, more than this feature varies."""
    large = pl.Series("limit", 1e9 + np.random.default_rng(0).lognormal(0, 2, len(ROWS)))
    model = MODEL.model_copy(update={"score": "error"})
    detector = train(
        ROWS.with_columns(large), ["x0", "limit"], [], model, TRAINING.model_copy(update={"epochs": 1})
    )
    assert detector.encoder.numeric[1].signed_log
    outside = pl.Series("limit", large.max() + np.linspace(0, 3_000, 60))
    rows, calibration = FRESH[:60].with_columns(outside), detector.calibration
    without = replace(detector, calibration=replace(calibration, far_weight=np.float32(0)))
    assert (detector.score(rows).score - without.score(rows).score).max() < calibration.far_weight


def test_a_value_adds_nothing_up_to_one_training_range_outside() -> None:
    """Normal rows of heavy tails lie there; what never varied has no such margin."""
    layout = Layout(numeric=2, indicators=0, categories=(), owners=(0, 1))
    feature = NumericFeature(name="x", signed_log=False, center=0, scale=1, may_be_missing=False)
    ranges = find_ranges([feature, feature], np.array([[0, 1], [4, 1]], np.float32))
    rows = np.array([[8, 1], [-4, 1], [12, 1], [20, 1], [2, 3]], np.float32)
    added = far.contributions(tf.constant(rows), ranges, np.float32(5), layout).numpy()
    assert added.tolist() == [[0, 0], [0, 0], [5, 0], [45, 0], [0, 20]]


def test_scores_do_not_depend_on_the_order_of_rows(by_kind: Detector) -> None:
    order = np.random.default_rng(0).permutation(len(FRESH))
    assert (by_kind.score(FRESH[order]).score == by_kind.score(FRESH).score[order]).all()


@given(
    cuts=st.lists(st.integers(0, 2_000), max_size=5),
    batch_rows=st.integers(400, 3_000),
)
@settings(max_examples=6, phases=(Phase.explicit, Phase.reuse, Phase.generate))
def test_scores_do_not_depend_on_the_batches(
    combined: Detector, headed: Detector, cuts: list[int], batch_rows: int
) -> None:
    edges = [0, *sorted(cuts), len(FRESH)]
    batches = [FRESH[start:stop] for start, stop in pairwise(edges)]
    for each in (combined, headed):
        scores = each.score_batches(iter(batches), batch_rows)
        assert (scores.score == each.score(FRESH).score).all()
        assert (scores.error == each.score(FRESH).error).all()


def test_a_long_stream_is_scored_as_its_parts(combined: Detector) -> None:
    long = pl.concat([FRESH] * 20)
    assert (combined.score(long).score == np.tile(combined.score(FRESH).score, 20)).all()
    assert (combined.score(FRESH[:3]).score == combined.score(FRESH).score[:3]).all()


def test_no_rows_have_no_scores(detector: Detector) -> None:
    assert detector.score(FRESH.clear()).score.shape == (0,)
    assert detector.score_batches([]).score.shape == (0,)
    assert detector.reasons(FRESH.clear()).len() == 0


def test_training_again_gives_the_same_scores(detector: Detector) -> None:
    assert (trained("whitened").score(FRESH).score == detector.score(FRESH).score).all()


def test_steps_in_several_calls_give_the_same_network(
    detector: Detector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(passes, "STEPS_AT_ONCE", 7)
    assert (trained("whitened").score(FRESH).score == detector.score(FRESH).score).all()


def test_error_mae_and_whitened_follow_their_formulas() -> None:
    layout = Layout(numeric=2, indicators=0, categories=(), owners=(0, 1))
    residual = np.array([[3.0, -4.0]], dtype=np.float32)
    root = np.array([[2.0, 0.5], [0.5, 1.0]], dtype=np.float32)
    mean = np.array([1.0, 0.0], dtype=np.float32)
    sums = {
        name: float(np.sum(SCORES[name].contributions(residual, mean, root, layout.features)))
        for name in ("error", "mae", "whitened")
    }
    centred = residual[0] - mean
    assert sums == pytest.approx({"error": 12.5, "mae": 3.5, "whitened": centred @ root.T @ root @ centred})


def test_whitened_scores_of_normal_rows_average_the_number_of_components(
    detector: Detector,
) -> None:
    assert np.mean(detector.calibration.held_out) == pytest.approx(detector.encoder.layout.width, rel=0.35)


def test_the_whole_reference_is_searched_for_far_rows_alone_and_ranks_them_as_if_for_all(
    by_distance: Detector,
) -> None:
    calibration, frame = by_distance.calibration, pl.concat([FRESH, shuffled(FRESH)])
    everywhere = replace(by_distance, calibration=replace(calibration, refine_above=np.float32(-1)))
    found, whole = by_distance.score(frame).score, everywhere.score(frame).score
    refined = found == whole
    assert 0.05 < np.mean(refined[: len(FRESH)]) < 0.15
    assert refined[whole > calibration.refine_above].all()
    assert np.median(found[: len(FRESH)] / whole[: len(FRESH)]) == pytest.approx(1, abs=0.02)


def test_a_combined_score_adds_how_surprising_its_parts_are(combined: Detector) -> None:
    """Of the residual and of the distance, next to rows that nothing was fitted to."""
    alone = [replace(combined, parts=(kind,)) for kind in ("whitened", "neighbours")]
    calibration = replace(
        combined.calibration,
        far_weight=np.float32(0),
        refine_above=np.float32(-1),
    )
    parts = [replace(each, calibration=calibration).score(FRESH).score for each in alone]
    terms = [surprise(part, tail) for part, tail in zip(parts, combined.calibration.tails[::2], strict=True)]
    everywhere = replace(combined.calibration, refine_above=np.float32(-1), far_weight=np.float32(0))
    found = replace(combined, calibration=everywhere).score(FRESH).score
    np.testing.assert_allclose(found, np.sum(terms, axis=0), rtol=1e-4)
    # -log of uniform shares
    assert [np.mean(term) for term in terms] == pytest.approx([RESIDUAL_WEIGHT, 1], rel=0.2)


@pytest.mark.parametrize(
    ("rows", "reference", "fitted_shapes"), [(300, 240, False), (1_000, 800, True), (10_000, 4_096, True)]
)
def test_how_a_combined_score_is_fitted_to_few_and_many_rows(
    rows: int, reference: int, fitted_shapes: bool
) -> None:
    """A tenth of the rows gives moments and tails, another one p-values: of few, the tails are exponential;
    up to 512 reference rows, all are searched for every row.
    """
    sample = np.random.default_rng(1).standard_t(3, size=(rows, 4)).astype(np.float32)
    layout = Layout(numeric=4, indicators=0, categories=(), owners=(0, 1, 2, 3))
    network = ARCHITECTURES["dense"](layout, MODEL, 1)
    parts = split(rows, 1)
    found = fit_score(
        (network,), layout, ("whitened", "neighbours"), 1, sample[parts.fit], sample[parts.validation], 1
    )
    assert len(found.reference) == reference
    assert np.isinf(found.refine_above) == (reference <= FIRST_ROWS)
    assert (found.tails[1] == found.tails[2]).all() == (reference <= FIRST_ROWS)
    assert (found.tails[:, -2] > np.float32(LEAST_SHAPE)).any() == fitted_shapes
    scorer = Scorer((network,), layout, ("whitened", "neighbours"), 1, found)
    held_out, fresh = (
        scorer.scores([part.astype(np.float32)])[1]
        for part in (sample[parts.p_value], np.random.default_rng(2).standard_t(3, size=(2_000, 4)))
    )
    above = np.quantile(held_out, 0.9)
    error = np.sqrt(0.1 * 0.9 / len(held_out))
    assert np.mean(fresh > above) == pytest.approx(0.1, abs=3 * error)


@pytest.mark.parametrize("without_itself", [False, True])
@pytest.mark.parametrize("rows", [NEIGHBOURS + 1, 100, 513, 1_100, 2_100])
def test_a_padded_reference_measures_what_the_reference_does(rows: int, without_itself: bool) -> None:
    layout = Layout(numeric=3, indicators=0, categories=(3,), owners=(0, 1, 2, 3))
    draw = np.random.default_rng(rows)

    def drawn(count: int) -> np.ndarray:
        return np.hstack([draw.normal(size=(count, 3)), draw.integers(0, 3, (count, 1))]).astype(np.float32)

    reference = drawn(rows)
    measured = np.vstack([reference[:20], drawn(50), np.full((1, 4), 1e30, np.float32)])
    measured[-1, -1] = 0
    plain, filled = (
        contributions(measured, among, layout, without_itself=without_itself)
        for among in (reference, padded(reference))
    )
    for one, other in zip(plain, filled, strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_distance_counts_for_less_where_the_neighbours_lie_far_apart() -> None:
    layout = Layout(numeric=2, indicators=0, categories=(), owners=(0, 1))
    close, apart = np.random.default_rng(1).normal(size=(2, 50, 2)).astype(np.float32)
    reference = np.vstack([close, 16 * apart + 200])
    own = contributions(reference, reference, layout, without_itself=True)[0].numpy().sum(axis=1)
    spacing = find_spacing(own)
    rows = np.array([[5, 5], [205, 205]], np.float32)
    nearest = NearestNeighbors(n_neighbors=NEIGHBOURS).fit(reference).kneighbors(rows, return_distance=False)
    plain, local = (
        contributions(rows, reference, layout, spacing=each)[0].numpy().sum(axis=1)
        for each in (NO_SPACING, spacing)
    )
    np.testing.assert_allclose(local, plain / np.sqrt(spacing[nearest].mean(axis=1)), rtol=1e-5)
    assert plain[0] < plain[1]
    assert local[0] > local[1]
    assert (find_spacing(np.zeros(3, np.float32)) == 1).all()
    assert find_spacing(np.array([0, 1, 2], np.float32)).tolist() == pytest.approx([LEAST_SPACING, 1, 2])


def test_distances_in_logarithms_are_of_heavy_tails_alone() -> None:
    """And in their units: what is no heavy tail, or has one value in half of its rows, stays as it is."""
    layout = Layout(numeric=3, indicators=1, categories=(), owners=(0, 1, 2, 2))
    draw = np.random.default_rng(1)
    rows = draw.normal(size=(2_000, 4)).astype(np.float32)
    rows[:, 0] **= 5
    rows[:, 2] *= rows[:, 3] > 1
    taken = find_logarithms(rows, layout)
    assert (taken[1] >= LEAST_UNIT).tolist() == [True, False, False]
    median, unit, deviation = taken[:, 0]
    parts = (rows[:, 0] - median) / unit
    measured = rows.copy()
    measured[:, 0] = np.sign(parts) * np.log1p(np.abs(parts)) / deviation
    assert measured[:, 0].std() == pytest.approx(1, abs=1e-3)
    nearest = NearestNeighbors(n_neighbors=OF_LOGARITHMS).fit(measured[:900])
    found, expected = contributions(rows[900:1_000], rows[:900], layout, logarithms=taken)
    distances, positions = nearest.kneighbors(measured[900:1_000])
    np.testing.assert_allclose(found.numpy().sum(axis=1), distances.mean(axis=1), rtol=1e-4)
    np.testing.assert_allclose(expected, rows[positions].mean(axis=1), rtol=1e-4, atol=1e-4)


def test_references_of_similar_sizes_share_a_shape() -> None:
    shapes = {padded(np.zeros((rows, 9), np.float32)).shape for rows in (2_049, 3_000, 4_096)}
    assert shapes == {(4_096, 9)}
    assert padded(np.zeros((4_096, 9), np.float32)).shape == (4_096, 9)


def test_a_training_row_is_not_its_own_neighbour(by_distance: Detector) -> None:
    training, held_out = by_distance.calibration.training, by_distance.calibration.held_out
    assert np.median(training) == pytest.approx(np.median(held_out), rel=0.05)
    everywhere = replace(
        by_distance, calibration=replace(by_distance.calibration, refine_above=np.float32(-1))
    )
    own = everywhere.scorer.scores([by_distance.calibration.reference])[1]
    assert np.median(own) < 0.95 * np.median(held_out)


def test_what_is_expected_of_a_row_is_the_mean_of_its_neighbours(by_distance: Detector) -> None:
    alone = by_distance.calibration.reference[:1]
    layout = by_distance.encoder.layout
    copies = replace(by_distance.calibration, reference=np.repeat(alone, 20, axis=0), spacing=NO_SPACING)
    explanation = replace(by_distance, calibration=copies).explain(FRESH[:5])
    value = by_distance.encoder.decode(alone[:, : layout.continuous].repeat(2, axis=1))[NUMERIC[0]][0]
    np.testing.assert_allclose(explanation.expected[NUMERIC[0]], value, rtol=1e-4)


def test_contributions_are_not_negative_and_sum_to_the_score(by_kind: Detector) -> None:
    """With a head, some speak against strangeness, and the sum lacks a constant."""
    explanation, scores = by_kind.explain(FRESH), by_kind.score(FRESH).score
    assert explanation.contributions.shape == (len(FRESH), len(NUMERIC + CATEGORICAL))
    assert (explanation.contributions >= 0).all() == (by_kind.blend is None)
    sums = explanation.contributions.sum(axis=1)
    constant = np.median(scores - sums) if by_kind.blend else 0.0
    np.testing.assert_allclose(sums + constant, scores, rtol=1e-4)


def test_shares_of_a_row_add_up_to_1_and_the_stored_ones_are_the_largest(by_kind: Detector) -> None:
    explanation = by_kind.explain(FRESH)
    strange = (explanation.contributions > 0).any(axis=1)  # to a head, a row may be normal in every feature
    assert strange.all() or by_kind.blend
    np.testing.assert_allclose(explanation.shares.sum(axis=1), strange, rtol=1e-9)
    stored = by_kind.reasons(FRESH, top=3)
    shares = np.array([[reason["share"] for reason in row] for row in stored.to_list()])
    np.testing.assert_array_equal(shares, -np.sort(-explanation.shares, axis=1)[:, :3])


def test_the_reason_names_the_feature_that_was_changed(by_kind: Detector) -> None:
    changed = FRESH[:200].with_columns(x3=pl.col("x3") + 8)
    reasons = by_kind.reasons(changed, top=2)
    assert reasons.dtype == REASONS
    assert reasons.list.len().unique().to_list() == [2]
    first = reasons.list.first().struct.unnest()
    assert (first["feature"] == "x3").mean() > 0.9
    named = first.with_columns(value=changed["x3"]).filter(pl.col("feature") == "x3")
    np.testing.assert_allclose(named["observed"].cast(pl.Float64), named["value"], rtol=1e-5)
    assert (named["expected"].cast(pl.Float64) < named["observed"].cast(pl.Float64)).all()


def test_reasons_are_ordered_and_show_missing_and_unseen_values(detector: Detector) -> None:
    changed = FRESH[:1].with_columns(x2=pl.lit(None, dtype=pl.Float64), channel=pl.lit("never seen"))
    reasons = detector.reasons(changed, top=20).explode().struct.unnest()
    assert set(reasons["feature"]) == set(NUMERIC + CATEGORICAL)
    assert reasons["contribution"].is_sorted(descending=True)
    observed = dict(zip(reasons["feature"], reasons["observed"], strict=True))
    assert (observed["x2"], observed["channel"]) == ("missing", "never seen")
    assert dict(zip(reasons["feature"], reasons["expected"], strict=True))["channel"] in ("web", "shop")


def test_p_values_are_uniform_on_new_normal_rows(by_kind: Detector) -> None:
    p_values = by_kind.p_values(by_kind.score(FRESH).score)
    assert p_values.dtype == np.float64
    assert p_values.min() >= 1 / (len(by_kind.calibration.held_out) + 1)
    assert p_values.max() <= 1
    assert kstest(p_values, "uniform").statistic < 0.09


def test_p_values_are_the_share_of_held_out_rows_at_least_as_strange(detector: Detector) -> None:
    calibration = replace(detector.calibration, held_out=np.array([1.0, 2.0, 2.0, 4.0], dtype=np.float32))
    assert calibration.p_values(np.array([0.0, 1.0, 2.0, 3.0, 9.0])).tolist() == [1.0, 1.0, 0.8, 0.4, 0.2]


def test_shuffled_features_are_stranger_than_normal_ones(by_kind: Detector) -> None:
    scores = np.concatenate([by_kind.score(FRESH).score, by_kind.score(shuffled(FRESH)).score])
    assert roc_auc_score(np.repeat([0, 1], len(FRESH)), scores) > 0.8


def test_the_calibration_rows_were_not_trained_on(detector: Detector) -> None:
    assert len(detector.calibration.held_out) == 400
    assert len(detector.calibration.training) == len(detector.samples.training) == 3_200
    assert (np.diff(detector.calibration.held_out) >= 0).all()


def test_history_has_every_epoch_and_training_reports_each(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="models")
    reported: list[tuple[int, float, float]] = []
    detector = train(
        ROWS,
        NUMERIC,
        [],
        MODEL,
        TRAINING.model_copy(update={"epochs": 3}),
        lambda *epoch: reported.append(epoch),
    )
    untrained, *epochs = detector.history
    assert reported == [(epoch.epoch, epoch.loss, epoch.validation_loss) for epoch in epochs]
    assert [epoch.epoch for epoch in epochs] == [1, 2, 3]
    assert (untrained.epoch, untrained.loss) == (0, untrained.validation_loss)
    assert detector.history[-1].validation_loss < detector.history[0].validation_loss
    assert "training on 3200 normal rows, 8 features" in caplog.text
    assert "validation loss" in caplog.text


def test_an_ensemble_scores_by_the_mean_of_its_members(ensemble: Detector) -> None:
    alone = [
        replace(
            ensemble,
            networks=ensemble.networks[k : k + 1],
            calibration=replace(
                ensemble.calibration,
                residual_mean=ensemble.calibration.residual_mean[k : k + 1],
                residual_root=ensemble.calibration.residual_root[k : k + 1],
            ),
        )
        .score(FRESH)
        .score
        for k in range(2)
    ]
    assert (alone[0] != alone[1]).any()
    np.testing.assert_allclose(ensemble.score(FRESH).score, np.mean(alone, axis=0), rtol=1e-5)


@pytest.mark.parametrize("noise", [{"input_noise": 0.5}, {"dropout": 0.5}])
def test_noise_and_dropout_act_only_in_training(noise: dict[str, float]) -> None:
    layout = Layout(numeric=4, indicators=0, categories=(), owners=(0, 1, 2, 3))
    network = ARCHITECTURES["dense"](
        layout, MODEL.model_copy(update={"input_noise": 0.0, "dropout": 0.0} | noise), 1
    )
    rows = np.ones((8, 4), dtype=np.float32)
    scoring, learning = (network(rows, training=training).numpy() for training in (False, True))
    assert np.ptp(scoring, axis=0) == pytest.approx(0, abs=1e-6)
    assert (np.ptp(learning, axis=0) > 0.01).all()


@pytest.mark.parametrize(
    ("frame", "training", "message"),
    [
        (ROWS[:99], TRAINING, "99 normal rows to learn from, at least 100 are needed"),
        (
            ROWS.with_columns(pl.lit(1.0).alias(name) for name in NUMERIC),
            TRAINING,
            "no feature varies",
        ),
        (ROWS, TRAINING.model_copy(update={"learning_rate": 1e4}), "learning_rate"),
        (ROWS.with_columns(x0=pl.lit("text")), TRAINING, "x0 has type String"),
    ],
)
def test_training_that_cannot_succeed_is_refused_with_the_reason(
    frame: pl.DataFrame, training: TrainingSettings, message: str
) -> None:
    with pytest.raises(TrainingError, match=message):
        train(frame, NUMERIC, [], MODEL, training)


def test_an_unknown_activation_is_refused() -> None:
    with pytest.raises(TrainingError, match=r"model\.activation 'rleu'"):
        train(ROWS, NUMERIC, [], MODEL.model_copy(update={"activation": "rleu"}), TRAINING)


def test_a_frame_without_a_feature_is_refused(detector: Detector) -> None:
    with pytest.raises(ModelError, match="x0"):
        detector.score(FRESH.drop("x0"))


def test_networks_score_in_float32_wherever_they_were_trained(detector: Detector) -> None:
    assert {layer.compute_dtype for network in detector.networks for layer in network.layers} == {"float32"}
    assert keras.config.dtype_policy().name == "float32"
