"""Extensions of DuckDB from their installed wheels: nothing is downloaded, or written into a home folder."""

import importlib
from pathlib import Path

import duckdb

from sql import literal


def load_extension(con: duckdb.DuckDBPyConnection, name: str) -> None:
    """Loads an extension. Raises ImportError if its wheel is not installed."""
    wheel = importlib.import_module(f"duckdb_extension_{name}")
    file = Path(wheel.__path__[0]) / "extensions" / f"v{duckdb.__version__}" / f"{name}.duckdb_extension"
    con.execute(f"load {literal(str(file))}")
