"""Rows of several versions on one scale: the order within a version stays, and raw scores never meet."""

import numpy as np
import polars as pl
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from models.evaluation.pooling import pooled_ranks

PHASES = (Phase.explicit, Phase.reuse, Phase.generate)
rows = st.lists(
    st.tuples(st.sampled_from("abc"), st.integers(-20, 20), st.sampled_from([0.001, 0.01, 0.5])),
    min_size=1,
    max_size=60,
)


def columns(found: list[tuple[str, int, float]]) -> tuple[pl.Series, pl.Series, pl.Series]:
    versions, scores, p_values = zip(*found, strict=True)
    # a higher score never has a higher p-value in its own version
    falling = {version: sorted(p for v, _, p in found if v == version)[::-1] for version in set(versions)}
    order = {version: sorted(s for v, s, _ in found if v == version) for version in set(versions)}
    fixed = [
        falling[version][order[version].index(score)] for version, score in zip(versions, scores, strict=True)
    ]
    assert len(fixed) == len(p_values)
    return pl.Series(versions), pl.Series(scores, dtype=pl.Float64), pl.Series(fixed)


@settings(phases=PHASES, max_examples=200)
@given(rows)
def test_rows_of_one_version_keep_their_order_and_p_values_decide_between_versions(
    found: list[tuple[str, int, float]],
) -> None:
    versions, scores, p_values = columns(found)
    for given_p in (p_values, None):
        ranks = pooled_ranks(versions, scores, given_p)
        for one in range(len(found)):
            for other in range(len(found)):
                if versions[one] == versions[other]:
                    assert (ranks[one] < ranks[other]) == (scores[one] < scores[other])
                elif given_p is not None and p_values[one] < p_values[other]:
                    assert ranks[one] > ranks[other]


@settings(phases=PHASES, max_examples=100)
@given(rows, st.dictionaries(st.sampled_from("abc"), st.sampled_from([0.01, 1.0, 1e6])))
def test_the_scale_of_a_versions_scores_does_not_count(
    found: list[tuple[str, int, float]], scales: dict[str, float]
) -> None:
    versions, scores, p_values = columns(found)
    factor = pl.Series([scales.get(version, 1.0) for version in versions])
    for given_p in (p_values, None):
        plain, scaled = (pooled_ranks(versions, each, given_p) for each in (scores, scores * factor + factor))
        np.testing.assert_array_equal(plain, scaled)
