"""Which copy of an id a committed run has scored."""

import logging

import duckdb
import polars as pl

from tasks.core.dataset import Dataset
from tasks.source.identities import Identities
from tasks.source.row_json import row_json
from tasks.source.view import SourceView, with_copies

log = logging.getLogger(__name__)


def find_scored_copies(
    con: duckdb.DuckDBPyConnection,
    dataset: Dataset,
    view: SourceView,
    identities: Identities,
    scored: pl.Series,
    quarantined: pl.DataFrame,
) -> pl.DataFrame:
    """Returns the id and copy of each scored row: copy 0.

    A run of before format 3 kept the first copy in the order of a read. Its quarantine holds the others, so
    that the scored copy is the one whose content is not there; where that cannot be found out, a warning says
    so and the copy is 0.
    scored: ids. quarantined: id, copy (null before format 3) and content of the run's bad rows.
    """
    copies = pl.DataFrame({"id": scored}).with_columns(copy=pl.lit(0, pl.Int64))
    earlier = quarantined.filter(pl.col("copy").is_null())
    repeated = identities.copies.filter(pl.col("id").is_in(scored.implode()))["id"].unique()
    if earlier.is_empty() or repeated.is_empty():
        return copies
    con.register("scored_more_than_once", pl.DataFrame({"id": repeated}).to_arrow())
    contents = con.execute(
        f"select {view.id} as id, {view.copy} as copy, {row_json(dataset, view)} as content "
        f"from {with_copies(view, dataset, 'scored_more_than_once')} where {view.id} is not null"
    ).pl()
    kept = contents.join(earlier, on="content", how="anti")
    remaining = kept.group_by("id").agg(pl.col("copy").min(), several=pl.col("content").n_unique() > 1)
    single = remaining.filter(~pl.col("several")).select("id", scored="copy")
    equal = identities.copies.group_by("id").agg(pl.col("key").n_unique() == 1).filter("key")["id"]
    if unknown := len(set(repeated) - set(single["id"]) - set(equal)):
        log.warning(
            "%d ids occur more than once in the source, and it is unknown which of their rows was scored; "
            "the first in the order of their content is taken",
            unknown,
        )
    joined = copies.join(single, on="id", how="left", maintain_order="left")
    return joined.select("id", pl.coalesce("scored", "copy").alias("copy"))
