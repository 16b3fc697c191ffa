from decimal import Decimal

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.encoding.encoder import LARGEST, MAX_CODES, NEVER_MISSING, Encoder
from models.errors import ModelError, TrainingError

ROWS = 1_000
RANDOM = np.random.default_rng(0)
NORMAL = pl.DataFrame(
    {
        "amount": RANDOM.normal(50, 10, ROWS),
        "bytes": np.floor(RANDOM.lognormal(5, 3, ROWS)).astype(np.int64),
        "age": [None if k % 10 == 0 else float(k % 70) for k in range(ROWS)],
        "constant": np.full(ROWS, 7.0),
        "weekend": RANDOM.random(ROWS) < 0.3,
        "channel": RANDOM.choice(["web", "shop", "phone"], ROWS, p=[0.5, 0.3, 0.2]),
    }
)
NUMERIC, CATEGORICAL = ["amount", "bytes", "age", "constant", "weekend"], ["channel"]
ENCODER = Encoder.fit(NORMAL, NUMERIC, CATEGORICAL)

anything = st.one_of(st.none(), st.floats(allow_nan=True, allow_infinity=True))


def encode(**changes: object) -> np.ndarray:
    row = {"amount": 50.0, "bytes": 100, "age": 30.0, "constant": 7.0, "weekend": False, "channel": "web"}
    return ENCODER.encode(pl.DataFrame({name: [value] for name, value in (row | changes).items()}))[0]


def test_layout_has_a_column_per_value_indicator_and_code() -> None:
    layout = ENCODER.layout
    assert (layout.numeric, layout.indicators, layout.categories) == (5, 1, (4,))
    assert layout.owners == (0, 1, 2, 3, 4, 2, 5)
    assert layout.blocks == ((6, 6, 10),)
    assert layout.membership.sum(axis=0).tolist() == [1, 1, 2, 1, 1, 1]


def test_encoded_rows_are_a_contiguous_float32_matrix() -> None:
    encoded = ENCODER.encode(NORMAL)
    assert encoded.shape == (ROWS, ENCODER.layout.width)
    assert encoded.dtype == np.float32
    assert encoded.flags.c_contiguous
    assert ENCODER.encode(NORMAL.clear()).shape == (0, ENCODER.layout.width)


def test_normal_values_are_standardised() -> None:
    encoded = ENCODER.encode(NORMAL)
    for column in (0, 1, 4):
        assert encoded[:, column].mean() == pytest.approx(0, abs=1e-5)
        assert encoded[:, column].std() == pytest.approx(1, abs=1e-5)


def test_only_heavy_tails_are_encoded_by_their_logarithm() -> None:
    assert {feature.name for feature in ENCODER.numeric if feature.signed_log} == {"bytes"}
    low, high = encode(bytes=-1_000)[1], encode(bytes=1_000)[1]
    feature = ENCODER.numeric[1]
    assert (high - low) * feature.scale == pytest.approx(2 * np.log1p(1_000), rel=1e-5)


def test_units_of_a_feature_do_not_matter_without_the_logarithm() -> None:
    cents = NORMAL.with_columns(pl.col("amount") * 100)
    np.testing.assert_allclose(
        Encoder.fit(cents, NUMERIC, CATEGORICAL).encode(cents)[:, 0],
        ENCODER.encode(NORMAL)[:, 0],
        rtol=1e-5,
        atol=1e-6,
    )


@pytest.mark.parametrize("missing", [None, float("nan"), float("inf"), float("-inf")])
def test_a_missing_value_is_indicated_or_does_not_look_normal(missing: float | None) -> None:
    assert encode(age=missing)[[2, 5]].tolist() == [0, 1]
    assert encode(amount=missing)[0] == NEVER_MISSING


def test_a_change_of_a_constant_feature_is_encoded() -> None:
    assert encode(constant=7.0)[3] == 0
    assert encode(constant=14.0)[3] == 1


def test_categories_are_coded_by_frequency_and_all_others_share_the_last_code() -> None:
    assert [encode(channel=name)[6] for name in ("web", "shop", "phone", "letter", None)] == [0, 1, 2, 3, 3]


def test_rare_categories_share_the_last_code_and_codes_are_capped() -> None:
    names = [f"n{k % 300}" for k in range(3_000)] + ["rare"] * 4
    frame = pl.DataFrame({"name": names})
    encoder = Encoder.fit(frame, [], ["name"])
    assert encoder.layout.categories == (MAX_CODES,)
    assert "rare" not in encoder.categorical[0].vocabulary
    assert encoder.encode(frame).max() == MAX_CODES - 1


@pytest.mark.parametrize(
    "values",
    [[1, 2, 3], [True, False, True], ["a", "b", "c"], pl.Series(["a", "b", "a"], dtype=pl.Categorical)],
)
def test_categories_may_have_any_type(values: object) -> None:
    frame = pl.DataFrame({"c": values})
    assert Encoder.fit(pl.concat([frame] * 5), [], ["c"]).encode(frame)[:, 0].max() < 3


@pytest.mark.parametrize("dtype", [pl.Int8, pl.UInt32, pl.Float32, pl.Decimal(10, 2), pl.Boolean])
def test_numeric_features_may_have_any_numeric_type(dtype: pl.DataType) -> None:
    frame = pl.DataFrame({"x": [0, 1, 0, 1]}).cast(dtype)
    np.testing.assert_allclose(Encoder.fit(frame, ["x"], []).encode(frame)[:, 0], [-1, 1, -1, 1])
    assert frame["x"].dtype != pl.Decimal(10, 2) or frame["x"][1] == Decimal(1)


@pytest.mark.slow
@given(amount=anything, age=anything, constant=anything, channel=st.one_of(st.none(), st.text()))
def test_every_row_is_encoded_as_finite_numbers(
    amount: float | None, age: float | None, constant: float | None, channel: str | None
) -> None:
    encoded = encode(amount=amount, age=age, constant=constant, channel=channel)
    assert np.isfinite(encoded).all()
    assert np.abs(encoded).max() <= LARGEST


def test_rows_are_encoded_alike_one_by_one_and_together() -> None:
    together = ENCODER.encode(NORMAL[:50])
    assert (np.concatenate([ENCODER.encode(NORMAL[k : k + 1]) for k in range(50)]) == together).all()


def test_decode_gives_back_source_units() -> None:
    encoded = ENCODER.encode(NORMAL)
    logits = np.eye(4)[encoded[:, 6].astype(int)]
    decoded = ENCODER.decode(np.concatenate([encoded[:, :6], logits], axis=1))
    observed = ENCODER.observed(NORMAL)
    assert decoded.schema == observed.schema
    assert decoded["channel"].equals(observed["channel"])
    assert decoded["age"].is_null().equals(NORMAL["age"].is_null())
    for name in NUMERIC:
        np.testing.assert_allclose(
            decoded[name].drop_nulls(), observed[name].drop_nulls(), rtol=1e-4, atol=1e-3
        )


def test_json_round_trip_is_lossless() -> None:
    assert Encoder.model_validate_json(ENCODER.model_dump_json()) == ENCODER


def test_a_feature_that_is_always_missing_is_encoded() -> None:
    frame = pl.DataFrame({"x": [None, None]}, schema={"x": pl.Float64})
    assert Encoder.fit(frame, ["x"], []).encode(frame).tolist() == [[0, 1], [0, 1]]


def test_columns_that_are_missing_or_not_numeric_are_named() -> None:
    with pytest.raises(TrainingError, match="lack the feature columns amount"):
        Encoder.fit(NORMAL.drop("amount"), NUMERIC, CATEGORICAL)
    with pytest.raises(TrainingError, match="numeric feature channel has type String"):
        Encoder.fit(NORMAL, ["channel"], [])
    with pytest.raises(ModelError, match="bytes"):
        ENCODER.encode(NORMAL.drop("bytes"))


@pytest.mark.parametrize(
    ("values", "is_constant"),
    [
        ([0.3, 0.1 + 0.2], True),
        ([sum([0.1] * 10), 1.0], True),
        ([1e7, 1e7 + 1], False),
        ([1.7e9, 1.7e9 + 0.01], False),
        (np.array([0.3, np.float32(0.1) + np.float32(0.2)], np.float32).astype(np.float64).tolist(), True),
        ([2.0**24, 2.0**24 + 1], False),
        ([0.0, 5e-324], True),
        ([0.0, 1e-12], False),
    ],
)
def test_a_constant_but_for_rounding_is_a_constant(values: list[float], is_constant: bool) -> None:
    frame = pl.DataFrame({"rate": values * 50})
    (feature,) = Encoder.fit(frame, ["rate"], []).numeric
    assert (feature.scale == max(1.0, abs(feature.center))) == is_constant
    encoded = Encoder.fit(frame, ["rate"], []).encode(frame)
    assert np.abs(encoded).max() < (1e-5 if is_constant else 2)


def test_booleans_are_the_numbers_that_were_learnt() -> None:
    numbers = Encoder.fit(pl.DataFrame({"chip": ["1"] * 30 + ["0"] * 20}), [], ["chip"])
    booleans = Encoder.fit(pl.DataFrame({"chip": ["true"] * 30 + ["1"] * 20}), [], ["chip"])
    day = pl.DataFrame({"chip": ["true", "false", "1", "0", "yes"]})
    assert numbers.encode(day).ravel().tolist() == [0, 1, 0, 1, 2]
    assert booleans.encode(day).ravel().tolist() == [0, 2, 1, 2, 2]


def test_numbers_that_an_earlier_version_learnt_have_their_canonical_text() -> None:
    learnt = ("7.0", "12.00", "-3.0", "7.50", "1e+16", "007", "7.a")
    stored = {"numeric": [], "categorical": [{"name": "code", "vocabulary": learnt}], "image": None}
    day = pl.DataFrame({"code": ["7", "12", "-3", "7.5", "10000000000000000", "007", "7.a", "7.0", "a"]})
    earlier = Encoder.model_validate(stored)
    assert earlier.encode(day).ravel().tolist() == [0, 1, 2, 3, 4, 5, 6, 0, 7]
    stored["categorical"][0]["canonical"] = True
    assert Encoder.model_validate(stored).encode(day)[0, 0] == len(learnt)
