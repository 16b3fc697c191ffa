"""The pseudonyms of what was forgotten; see tasks.operations.forget."""

import polars as pl

# as a whole text: for regular expressions of DuckDB and of Polars
PSEUDONYM = r"forgotten-\d+-[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"


def is_forgotten(column: str) -> pl.Expr:
    """Whether a column of ids holds the pseudonym of a forgotten row; no row of the source has it."""
    return pl.col(column).str.contains(f"^{PSEUDONYM}$")
