"""DuckDB instances in memory that a process keeps from one use to the next: to make one takes five times as
long as to attach a file to it.
"""

import os
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager

import duckdb

MOST_IDLE = 4  # of a kind; more are used at once only by threads
# By process: a forked one must leave those of its parent alone, whose threads it does not have.
_idle: dict[tuple[int, Hashable], list[duckdb.DuckDBPyConnection]] = {}


@contextmanager
def session(
    kind: Hashable,
    make: Callable[[], duckdb.DuckDBPyConnection],
    clear: Callable[[duckdb.DuckDBPyConnection], bool],
) -> Iterator[duckdb.DuckDBPyConnection]:
    """Yields a connection of its own to an instance of this kind, which nobody else uses meanwhile.

    make: makes an instance of the kind. clear: undoes what the block did to the instance itself, and says
    whether it can be used again; what the block did to the connection, such as temporary tables and views,
    ends with it. An instance is closed where the block raises.
    """
    idle = _idle.setdefault((os.getpid(), kind), [])
    try:
        instance = idle.pop()
    except IndexError:
        instance = make()
    try:
        with instance.cursor() as connection:
            yield connection
        again = clear(instance)
    except BaseException:
        instance.close()
        raise
    if again and len(idle) < MOST_IDLE:
        idle.append(instance)
    else:
        instance.close()
