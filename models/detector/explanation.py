"""Explains the score of a row by the contribution of each feature."""

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

MISSING = "missing"
OTHER = "other"  # the code for rare and unseen categories

REASON_FIELDS = {
    "feature": pl.String,
    "contribution": pl.Float64,
    "observed": pl.String,
    "expected": pl.String,
    "share": pl.Float64,
    "usual": pl.String,
}
REASONS = pl.List(pl.Struct(REASON_FIELDS))
_NO_CELLS = pl.DataFrame(schema={name: REASON_FIELDS[name] for name in ("observed", "expected", "usual")})


@dataclass(frozen=True)
class Explanation:
    """features: the names, in the order of the columns below.

    contributions: float64 (rows, features); a row's sum is its score, less a constant where the detector has
        a head. Only a head makes them less than 0, where it takes a value for a sign of a normal row.
    observed, expected: the values of the row and their reconstruction, in source units: numeric Float64,
        null where missing; categories String, null where missing (observed), or where a rare or unseen
        one is expected.
    usual: what is usual for each value on the training rows, in words, an expression over `observed` per
        feature; null for pixels. See `usual_texts`.
    """

    features: tuple[str, ...]
    contributions: NDArray[np.float64]
    observed: pl.DataFrame
    expected: pl.DataFrame
    usual: tuple[pl.Expr, ...]

    @property
    def shares(self) -> NDArray[np.float64]:
        """Returns each feature's share of the contributions of its row, float64 (rows, features): what speaks
        for strangeness. A row adds up to 1, or to 0 where nothing contributes.
        """
        strange = np.maximum(self.contributions, 0.0)
        total = strange.sum(axis=1, keepdims=True)
        return strange / np.where(total > 0, total, 1.0)


def reasons(explanation: Explanation, top: int) -> pl.Series:
    """Returns the `top` features with the largest contributions, largest first: a Series of REASONS, one list
    per row.

    contribution is absolute, share relative to all that speaks for strangeness in the row: 0 for what speaks
    against. Numbers are text: observed values
    with six significant digits, expected values, which are estimates, with four.
    """
    rows, count = explanation.contributions.shape
    order = _largest(explanation.contributions, min(top, count))
    chosen = order.ravel()
    by_feature = np.argsort(chosen, kind="stable")  # the cells of each feature become text at once
    used, starts = np.unique(chosen[by_feature], return_index=True)
    stops = np.append(starts, chosen.size)[1:]
    cells = [
        _cells(explanation, int(k), by_feature[start:stop] // order.shape[1])
        for k, start, stop in zip(used, starts, stops, strict=True)
    ]
    texts = pl.concat([_NO_CELLS, *cells]).select(pl.all().gather(pl.Series(np.argsort(by_feature))))
    flat = texts.with_columns(
        feature=pl.Series(explanation.features, dtype=pl.String).gather(chosen),
        contribution=np.take_along_axis(explanation.contributions, order, axis=1).ravel(),
        share=np.take_along_axis(explanation.shares, order, axis=1).ravel(),
    ).select(*REASON_FIELDS)
    return flat.to_struct().reshape((rows, order.shape[1])).cast(REASONS).alias("reasons")


def _largest(contributions: NDArray[np.float64], top: int) -> NDArray[np.int64]:
    """Returns the features with the `top` largest contributions, largest first, int64 (rows, top);
    among equal ones, the first feature.
    """
    left = contributions.copy()
    order = np.empty((len(left), top), np.int64)
    for place in range(top):
        order[:, place] = left.argmax(axis=1)
        np.put_along_axis(left, order[:, place : place + 1], -np.inf, axis=1)
    return order


def _cells(explanation: Explanation, k: int, rows: NDArray[np.int64]) -> pl.DataFrame:
    """Returns what a reason says of some values of one feature: observed, expected, usual, as text."""
    found = explanation.observed[:, [k]].select(pl.all().gather(rows))
    expected = explanation.expected[:, [k]].select(pl.all().gather(rows))
    return pl.DataFrame(
        {
            "observed": _text(found, MISSING, digits=6),
            "expected": _text(expected, OTHER, digits=4),
            "usual": found.select(explanation.usual[k]).to_series(),
        }
    )


def _text(values: pl.DataFrame, no_category: str, digits: int) -> pl.Series:
    """The values of one feature as text."""
    numbers = (
        pl.col(pl.Float64).round_sig_figs(digits).cast(pl.String).str.strip_suffix(".0").fill_null(MISSING)
    )
    return values.with_columns(numbers, pl.col(pl.String).fill_null(no_category)).to_series()
