"""Rows that several versions have scored, on one scale: raw scores of two versions are not comparable."""

import numpy as np
import polars as pl

from models.evaluation.labelled_rows import Floats


def pooled_ranks(versions: pl.Series, scores: pl.Series, p_values: pl.Series | None = None) -> Floats:
    """Returns one number per row, float64 (rows,), by which rows of several versions are ranked; higher is
    stranger.

    Rows of one version keep the order of their scores. Between versions, p-values decide, which are on one
    scale; rows with the same p-value, and all rows where there are no p-values (baselines have none), are
    ranked by their place among the rows of their own version.
    """
    rows = pl.DataFrame({"version": versions, "score": scores})
    place = (pl.col("score").rank("average") - 0.5) / pl.len()
    places = rows.select(place.over("version")).to_series()
    if p_values is None:
        return places.to_numpy().astype(np.float64)
    order = pl.struct(-p_values, places.alias("place"))
    return pl.select(order.rank("dense")).to_series().to_numpy().astype(np.float64)
