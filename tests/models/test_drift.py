"""The laws of drift, on simulated rows: an amount, a boolean, a value sometimes missing, and a category."""

from collections.abc import Callable
from dataclasses import replace
from random import Random

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from models.drift.measures import drifts, stability_index, wasserstein
from models.drift.profiles import CODES, Reference, Rows
from models.encoding.layout import Layout
from models.settings import DriftSettings

LAYOUT = Layout(numeric=3, indicators=1, categories=(4,), owners=(0, 1, 2, 2, 3))
NAMES = ("amount", "weekend", "age", "channel")
AMOUNT, WEEKEND, AGE, IS_MISSING, CHANNEL = range(5)
THRESHOLD = 30.0  # one row in a few hundred
LIMITS = DriftSettings()


def made(encoded: np.ndarray) -> Rows:
    """Rows whose score is the squared length of their numbers, and whose error is their mean square."""
    squares = np.square(encoded[:, : LAYOUT.numeric]).sum(axis=1).astype(np.float32)
    return Rows(encoded.astype(np.float32), (squares + 0.5) / 4, squares)


def week(seed: int, rows: int = 7_000, days: tuple[int, ...] = tuple(range(7))) -> np.ndarray:
    """Returns encoded rows of these days of a week; the last two are the weekend, a standardised boolean."""
    random = np.random.default_rng(seed)
    missing = random.random(rows) < 0.1
    weekend = np.isin(np.array(days)[np.arange(rows) % len(days)], (5, 6))
    age = np.where(missing, 0.0, random.normal(size=rows))
    return np.column_stack(
        [
            random.gamma(2.0, size=rows) - 2.0,
            (weekend - 2 / 7) / 0.45,
            age,
            missing,
            random.choice(4, rows, p=[0.6, 0.3, 0.095, 0.005]),
        ]
    )


def reference_of(encoded: np.ndarray) -> Reference:
    return Reference(NAMES, LAYOUT, made(encoded), made(encoded))


REFERENCE = reference_of(week(0, 20_000))


def profile(encoded: np.ndarray, weight: float = 1.0) -> pl.DataFrame:
    return REFERENCE.profile(made(encoded), THRESHOLD, weight)


def figures(*profiles: pl.DataFrame) -> dict[str, dict[str, float]]:
    return {drift.feature: drift.figures for drift in drifts(pl.concat(profiles), LIMITS)}


def over(*profiles: pl.DataFrame) -> list[str]:
    return [drift.feature for drift in drifts(pl.concat(profiles), LIMITS) if drift.over]


def changed(column: int, change: np.ndarray | float, rows: np.ndarray) -> np.ndarray:
    copy = rows.copy()
    copy[:, column] = change
    return copy


def test_the_same_rows_have_no_drift_at_all() -> None:
    assert {value for each in figures(profile(week(0, 20_000))).values() for value in each.values()} == {0.0}


def test_new_rows_of_the_same_distribution_are_far_below_every_limit() -> None:
    found = figures(profile(week(1)))
    assert max(abs(each["psi"]) for name, each in found.items() if name != "error") < LIMITS.psi / 10
    assert max(each.get("wasserstein", 0.0) for each in found.values()) < LIMITS.wasserstein / 5
    assert max(map(abs, found["error"].values())) < LIMITS.error_shift / 3


@settings(max_examples=20)
@given(st.randoms(use_true_random=False), st.integers(0, 700))
def test_the_order_of_rows_does_not_matter_and_batches_add_up(random: Random, cut: int) -> None:
    rows = week(2, 700)
    order = list(range(len(rows)))
    random.shuffle(order)
    whole, parts = profile(rows), [profile(rows[order][:cut]), profile(rows[order][cut:])]
    for line, first, second in zip(whole.to_dicts(), *(part.to_dicts() for part in parts), strict=True):
        assert line["counts"] == [a + b for a, b in zip(first["counts"], second["counts"], strict=True)]
    expected, found = figures(whole), figures(*parts)
    for name, each in expected.items():
        assert found[name] == pytest.approx(each, abs=1e-6)


def test_every_row_below_the_threshold_is_in_one_bin_of_each_feature() -> None:
    rows = week(3)
    kept = int((made(rows).score < THRESHOLD).sum())
    assert 0 < kept < len(rows)
    assert profile(rows)["counts"].list.sum().to_list() == [kept] * 5


def test_a_sample_counts_for_the_rows_that_it_represents() -> None:
    sample, another = week(4, 1_000), profile(changed(AMOUNT, 3.0, week(5, 500)))
    expected = figures(profile(np.repeat(sample, 9, axis=0)), another)
    found = figures(profile(sample, weight=9.0), another)
    for name, each in expected.items():
        assert found[name] == pytest.approx(each)
    assert figures(profile(sample), another)["amount"]["psi"] > 2 * expected["amount"]["psi"]


def test_an_attack_is_not_drift() -> None:
    rows = week(6)
    attack = changed(AMOUNT, 40.0, week(7, 3_000))
    attack[:, CHANNEL] = 3
    assert figures(profile(np.concatenate([rows, attack]))) == figures(profile(rows))
    assert over(profile(np.concatenate([rows, attack]))) == []


@pytest.mark.parametrize(
    ("name", "column", "change"),
    [
        ("amount", AMOUNT, lambda rows: rows[:, AMOUNT] + 0.6),
        ("amount", AMOUNT, lambda rows: rows[:, AMOUNT] * 0.4),
        ("age", IS_MISSING, lambda rows: np.arange(len(rows)) % 2),
        ("channel", CHANNEL, lambda rows: np.where(np.arange(len(rows)) % 10 == 0, 3, rows[:, CHANNEL])),
        ("channel", CHANNEL, lambda rows: rows[:, CHANNEL] * (np.arange(len(rows)) % 4 == 0)),
    ],
    ids=["shifted", "narrower", "missing", "never seen", "more frequent"],
)
def test_a_change_of_one_feature_is_drift_of_that_feature(
    name: str, column: int, change: Callable[[np.ndarray], np.ndarray]
) -> None:
    rows = week(8)
    found = over(profile(changed(column, change(rows), rows)))
    assert [feature for feature in found if feature != "error"] == [name]


def test_a_weekend_is_drift_alone_but_not_in_a_whole_week() -> None:
    nights = [profile(week(9 + day, 1_000, (day,))) for day in range(7)]
    assert over(*nights) == []
    assert [feature for feature in over(nights[6]) if feature != "error"] == ["weekend"]


def test_a_rare_value_has_its_own_bin_although_no_quantile_reaches_it() -> None:
    yes = np.where(np.arange(7_000) % 50 == 0, 7.0, -0.14)
    rare = Reference(NAMES, LAYOUT, *[made(changed(WEEKEND, yes, week(0)))] * 2)
    often = changed(WEEKEND, np.where(np.arange(7_000) % 5 == 0, 7.0, -0.14), week(1))
    (line,) = rare.profile(made(often), 1e9, 1.0).filter(feature="weekend").to_dicts()
    assert sorted(line["counts"])[-2:] == [1_400, 5_600]
    assert sorted(line["reference_counts"])[-2:] == [140, 6_860]


def test_with_few_rows_chance_is_not_drift_but_a_large_shift_is() -> None:
    for seed in range(40):
        few = reference_of(week(seed, 300))
        profiles = few.profile(made(week(seed + 100, 300)), THRESHOLD, 1.0)
        assert over(profiles) == []
    assert max(figures(profiles)["channel"]["psi"], figures(profiles)["amount"]["psi"]) > 0
    shifted = changed(AMOUNT, week(1, 300)[:, AMOUNT] + 1.5, week(1, 300))
    assert "amount" in over(few.profile(made(shifted), THRESHOLD, 1.0))


def test_the_error_shift_is_the_relative_change_of_its_quantiles() -> None:
    rows = made(week(0, 20_000))
    moved = REFERENCE.profile(replace(rows, error=rows.error * 1.5), THRESHOLD, 1.0)
    assert list(figures(moved)["error"].values()) == pytest.approx([0.5, 0.5, 0.5], abs=0.05)


def test_the_wasserstein_distance_of_a_shift_is_the_shift() -> None:
    rows = week(0, 20_000)
    shifted = changed(AGE, rows[:, AGE] + 0.2, rows)
    everything = REFERENCE.profile(made(shifted), 1e9, 1.0)
    assert figures(everything)["age"]["wasserstein"] == pytest.approx(0.2, abs=0.01)


@given(
    values=st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=30),
    others=st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=30),
    seed=st.integers(0, 2**32 - 1),
)
def test_the_wasserstein_distance_is_that_of_scipy(
    values: list[float], others: list[float], seed: int
) -> None:
    random = np.random.default_rng(seed)
    weights, other_weights = (random.integers(1, 50, len(side)).astype(float) for side in (values, others))
    found = wasserstein(np.array(values), np.array(others), weights, other_weights)
    expected = stats.wasserstein_distance(values, others, weights, other_weights)
    assert found == pytest.approx(expected, rel=1e-9, abs=1e-6)


def test_the_stability_index_is_the_formula_and_finite_where_a_bin_is_empty() -> None:
    p, q = np.array([0.25, 0.75]), np.array([0.5, 0.5])
    assert stability_index(100 * p, 8 * q) == pytest.approx(0.25 * np.log(2) + 0.25 * np.log(1.5))
    assert stability_index(q, p) == pytest.approx(stability_index(p, q))
    assert 1 < stability_index(np.array([1.0, 0.0]), np.array([0.5, 0.5])) < 10


def test_rare_categories_are_pooled_and_unseen_ones_have_their_own_bin() -> None:
    layout = Layout(numeric=0, indicators=0, categories=(100,), owners=(0,))
    codes = np.arange(100, dtype=np.float32)[:, None]
    rows = Rows(codes, np.ones(100, np.float32), np.ones(100, np.float32))
    (line, _) = Reference(("merchant",), layout, rows, rows).profile(rows, 2.0, 1.0).to_dicts()
    assert line["counts"] == [1] * (CODES - 2) + [100 - CODES + 1, 1]


def test_for_images_only_the_error_is_compared_and_without_rows_nothing() -> None:
    layout = Layout(numeric=4, indicators=0, categories=(), owners=(0, 1, 2, 3), image=(2, 2, 1))
    rows = Rows(np.zeros((10, 4), np.float32), np.ones(10, np.float32), np.ones(10, np.float32))
    pixels = Reference(tuple("abcd"), layout, rows, rows)
    assert pixels.profile(rows, 2.0, 1.0)["feature"].to_list() == ["error"]
    assert drifts(pixels.profile(rows, 0.5, 1.0), LIMITS) == ()
