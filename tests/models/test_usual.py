"""What is usual for a value, in words that are true of the training rows."""

import re

import numpy as np
import polars as pl
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from models.detector.usual import usual_texts
from models.encoding.encoder import Encoder

PHASES = (Phase.explicit, Phase.reuse, Phase.generate)
ROWS = 500


def words(training: pl.DataFrame, row: dict[str, object]) -> dict[str, str]:
    names = {kind: [name for name in training.columns if (name == "kind") == (kind == "c")] for kind in "nc"}
    encoder = Encoder.fit(training, names["n"], names["c"])
    frame = pl.DataFrame([row], schema=training.schema)
    texts = usual_texts(encoder, encoder.encode(training))
    return encoder.observed(frame).select(*texts).row(0, named=True)


@settings(phases=PHASES, max_examples=60)
@given(
    scale=st.sampled_from([1e-6, 0.01, 1.0, 37.0, 1e5, 1e12]),
    shift=st.sampled_from([0.0, -3.0, 100.0]),
    seed=st.integers(0, 2**32 - 1),
    heavy=st.booleans(),
)
def test_the_range_of_a_number_holds_nine_tenths_of_the_training_rows(
    scale: float, shift: float, seed: int, heavy: bool
) -> None:
    random = np.random.default_rng(seed)
    values = (
        np.exp(random.normal(0, 2, ROWS)) if heavy else random.normal(0, 1, ROWS)
    ) * scale + shift * scale
    text = words(pl.DataFrame({"x": values}), {"x": float(values[0])})["x"]
    low, high = map(float, re.fullmatch(r"usually (\S+) to (\S+)", text).groups())
    true_low, true_high = np.quantile(values, [0.05, 0.95])
    assert (low, high) == pytest.approx((true_low, true_high), abs=0.06 * (true_high - true_low))
    inside = np.mean((values >= low) & (values <= high))
    assert 0.88 < inside < 0.92


def test_a_constant_and_a_missing_value_are_named() -> None:
    training = pl.DataFrame({"x": [3.25] * 505, "y": [None] * 5 + [1.0, 2.0] * 250, "z": [0.5] * 505})
    found = words(training, {"x": 9.0, "y": None, "z": None})
    assert found == {
        "x": "usually 3.25",
        "y": "missing in 0.0099 of the training rows",
        "z": "never missing in training",
    }
    assert words(training, {"x": float("nan"), "y": 1.5, "z": 1.0})["y"] == "usually 1 to 2"


def test_a_category_has_its_share_of_the_training_rows() -> None:
    kinds = ["CASH"] * 450 + ["DEBIT"] * 48 + ["WIRE", "CHEQUE"]
    training = pl.DataFrame({"x": np.arange(ROWS, dtype=float), "kind": kinds})
    found = {
        kind: words(training, {"x": 1.0, "kind": kind})["kind"]
        for kind in ("CASH", "DEBIT", "WIRE", "new", None)
    }
    rare = "rare: such values are in 0.0040 of the training rows"
    assert found == {
        "CASH": "in 0.90 of the training rows",
        "DEBIT": "in 0.096 of the training rows",
        "WIRE": rare,
        "new": rare,
        None: rare,
    }
    common = training.filter(pl.col("kind").is_in(["CASH", "DEBIT"]))
    assert words(common, {"x": 1.0, "kind": "new"})["kind"] == "never seen in training"
    one = training.filter(pl.col("kind") == "CASH")
    assert words(one, {"x": 1.0, "kind": "CASH"})["kind"] == "in all of the training rows"


@settings(phases=PHASES, max_examples=60)
@given(
    share=st.floats(0.002, 0.045),
    rare=st.sampled_from([1.0, 3.0, 250.0, 1e6]),
    common=st.sampled_from([0.0, 1.0, 7.5]),
)
def test_a_number_that_nearly_all_rows_have_is_never_called_usual_beside_itself(
    share: float, rare: float, common: float
) -> None:
    values = np.where(np.arange(ROWS) < share * ROWS, common + rare, common)
    training = pl.DataFrame({"x": values})
    often = re.fullmatch(r"in (\S+) of the training rows", words(training, {"x": common})["x"])
    assert often is not None
    assert float(often[1]) == pytest.approx(np.mean(values == common), abs=1e-4)
    assert words(training, {"x": common + rare})["x"] == f"usually {common:g}"


def test_a_feature_that_most_rows_lack_has_no_usual_range() -> None:
    training = pl.DataFrame({"x": [None] * 480 + [float(k) for k in range(20)]})
    assert words(training, {"x": 5.0})["x"] == "missing in 0.960 of the training rows"
    assert words(training, {"x": None})["x"] == "missing in 0.960 of the training rows"
