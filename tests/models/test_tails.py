"""The laws of the terms of a combined score: how surprising the score of a part is."""

import numpy as np
import pytest
from hypothesis import Phase, example, given, settings
from hypothesis import strategies as st

from models.detector.tails import FEWEST_BEYOND, LEAST_SHAPE, fit_tail, surprise

SCORES = st.floats(0, float(np.finfo(np.float32).max), width=32)


def surprises(scores: np.ndarray, of: np.ndarray) -> np.ndarray:
    return surprise(of.astype(np.float32), fit_tail(scores.astype(np.float32))).numpy()


@given(normal=st.lists(SCORES, min_size=1, max_size=60), of=st.lists(SCORES, min_size=2, max_size=20))
@example(normal=[0.0] * 30, of=[0.0, 1.0])
@example(normal=[0.0] * 29 + [1e-40], of=[0.0, 1e-40, 1e38])
@example(normal=[1.0] * 20 + [float(np.nextafter(np.float32(1), np.float32(2)))] * 20, of=[1.0, 2.0])
@settings(max_examples=60, phases=(Phase.explicit, Phase.reuse, Phase.generate))
def test_surprise_is_finite_and_never_falls_whatever_the_normal_scores(
    normal: list[float], of: list[float]
) -> None:
    found = surprises(np.array(normal), np.sort(of))
    assert np.isfinite(found).all()
    assert (found >= 0).all()
    assert (np.diff(found) >= -1e-5 * found[1:]).all()


@pytest.mark.parametrize("power", [0.3, 1.0, 3.0])
def test_surprise_rises_strictly_from_0_to_far_beyond_the_normal_scores(power: float) -> None:
    """Also where the tail of the normal scores is light, and a fitted one would end."""
    normal = np.random.default_rng(1).exponential(size=1_000) ** power
    found = surprises(normal, np.concatenate([[0], np.geomspace(normal.min() / 10, 1e30, 500)]))
    assert found[0] == 0
    assert (np.diff(found) > 0).all()


def test_surprise_is_minus_the_logarithm_of_the_share_of_normal_rows_beyond() -> None:
    random = np.random.default_rng(2)
    for draw, shape in ((random.exponential, 0.0), (lambda size: random.pareto(4, size), 0.25)):
        normal, fresh = draw(size=20_000), np.sort(draw(size=20_000))
        expected = -np.log1p(-np.arange(20_000) / 20_000)
        np.testing.assert_allclose(surprises(normal, fresh)[:19_900], expected[:19_900], rtol=0.1, atol=0.03)
        assert fit_tail(normal)[-2] == pytest.approx(shape, abs=0.1)


def test_a_shape_needs_enough_rows_beyond_the_last_decile() -> None:
    few, enough = (
        1 / np.sqrt(1 - (np.arange(rows) + 0.5) / rows) for rows in (5 * FEWEST_BEYOND, 10 * FEWEST_BEYOND)
    )
    assert fit_tail(enough)[-2] > 0.1
    assert fit_tail(few)[-2] == np.float32(LEAST_SHAPE)
