"""How much memory DuckDB takes in this process, for transactions of many rows."""

from collections.abc import Iterator
from contextlib import contextmanager

import duckdb

LEAST_MB, MB_PER_THREAD = 512, 128


@contextmanager
def bounded_memory(con: duckdb.DuckDBPyConnection) -> Iterator[None]:
    """Keeps DuckDB's memory small inside: it would keep all blocks that it writes and reads, more of them the
    more rows there are. What it needs besides goes to its `temp_directory`.

    It holds for the whole instance, which nobody else may use meanwhile.
    """
    threads = con.execute("select current_setting('threads')").fetchall()[0][0]
    con.execute(f"set memory_limit = '{max(LEAST_MB, MB_PER_THREAD * threads)}MB'")
    try:
        yield
    finally:
        con.execute("reset memory_limit")
