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


@dataclass(frozen=True)
class Explanation:
    """features: the names, in the order of the columns below.

    contributions: float64 (rows, features); a row's sum is its score, less a constant where the detector has
        a head. Only a head makes them less than 0, where it takes a value for a sign of a normal row.
    observed, expected: the values of the row and their reconstruction, in source units: numeric Float64,
        null where missing; categories String, null where missing (observed), or where a rare or unseen
        one is expected.
    usual: what is usual for each value on the training rows, in words; null for pixels. See `usual_values`.
    """

    features: tuple[str, ...]
    contributions: NDArray[np.float64]
    observed: pl.DataFrame
    expected: pl.DataFrame
    usual: pl.DataFrame

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
    top = min(top, count)
    order = np.argsort(-explanation.contributions, axis=1, kind="stable")[:, :top]
    used = np.union1d(order, [0])  # only few of the many pixels of an image are a reason
    cells = pl.Series(
        (np.searchsorted(used, order) * rows + np.arange(rows)[:, None]).ravel()
    )  # in the used columns laid end to end
    flat = pl.select(
        feature=pl.Series(explanation.features, dtype=pl.String).gather(order.ravel()),
        contribution=np.take_along_axis(explanation.contributions, order, axis=1).ravel(),
        share=np.take_along_axis(explanation.shares, order, axis=1).ravel(),
        observed=_text(explanation.observed[:, used.tolist()], MISSING, digits=6).gather(cells),
        expected=_text(explanation.expected[:, used.tolist()], OTHER, digits=4).gather(cells),
        usual=pl.concat(explanation.usual[:, used.tolist()].get_columns()).gather(cells),
    ).select(*REASON_FIELDS)
    return flat.to_struct().reshape((rows, top)).cast(REASONS).alias("reasons")


def _text(values: pl.DataFrame, no_category: str, digits: int) -> pl.Series:
    """Every value as text, column after column."""
    numbers = (
        pl.col(pl.Float64).round_sig_figs(digits).cast(pl.String).str.strip_suffix(".0").fill_null(MISSING)
    )
    return pl.concat(values.with_columns(numbers, pl.col(pl.String).fill_null(no_category)).get_columns())
