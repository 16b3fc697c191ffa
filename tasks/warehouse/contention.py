"""Waiting while another process holds the warehouse: a night's result is worth waiting for."""

import logging
import time

import duckdb

from tasks.core.errors import WarehouseHeld

log = logging.getLogger(__name__)
PAUSE = 0.2  # seconds
HELD = (  # what each engine says where another process is the trouble, found by provoking it
    "Could not set lock",  # a DuckDB file, or a lake's catalog in one
    "Conflicting lock",
    "database is locked",  # SQLite
    "Transaction conflict",  # DuckLake: another transaction has committed what this one changes
    "duplicate key value",  # PostgreSQL: two make the same catalog or snapshot at once
)


def is_held(error: duckdb.Error) -> bool:
    """Whether another process is the trouble, so that trying again can help."""
    return _names_another(str(error))


# Not tenacity: it is no shorter than this loop, and importing it takes each command 0.1 s.
class Patience:
    """Waits a moment at a time, and no longer than so many `seconds` in all.

    place: the warehouse, as a person may read it.
    """

    def __init__(self, place: str, seconds: float) -> None:
        self._place, self._seconds = place, seconds
        self._give_up = time.monotonic() + seconds
        self._told = False

    def wait(self, error: duckdb.Error) -> None:
        """A moment; raises the error itself where waiting cannot help, WarehouseHeld where it has lasted too
        long.
        """
        if not is_held(error):
            raise error
        what = next(line for line in str(error).splitlines() if _names_another(line)).split(". See also")[0]
        if time.monotonic() >= self._give_up:
            waited = f"held by another process for more than {self._seconds:g} s"
            raise WarehouseHeld(f"{self._place} is {waited} ({what}); end it, then run again") from error
        if not self._told:
            log.warning("waiting for %s: %s", self._place, what)
            self._told = True
        time.sleep(PAUSE)


def _names_another(text: str) -> bool:
    return any(words in text for words in HELD)
