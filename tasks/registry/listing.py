"""The registry as people read it: every version with its window, figures, gates and the dates that it was
champion of.
"""

from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from pydantic import Json, TypeAdapter

from sql import literal
from tasks.warehouse.connection import Warehouse
from tasks.warehouse.statements import rows


@dataclass(frozen=True)
class ChampionPeriod:
    """The dates from `effective_from` on, before `effective_until` (None: all of them) that a version is
    champion of, and who decided it.
    """

    effective_from: date
    effective_until: date | None
    promoted_at: datetime
    promoted_by: str | None
    why: str | None


@dataclass(frozen=True)
class LatestFigures:
    """The figures of the newest evaluated window that a version alone has flagged.

    metrics: by name value, low and high (95% interval).
    """

    first_date: date
    last_date: date
    as_of: date
    metrics: dict[str, dict[str, float | None]]


@dataclass(frozen=True)
class Decided:
    """What became of a challenger after the night of `as_of`; champion: the version that it was compared
    with.
    """

    champion: str
    as_of: date
    fit: bool
    promoted: bool
    why: str


@dataclass(frozen=True)
class ListedVersion:
    """One version. rows: training rows, `unconfirmed` ones among them, which nothing was fitted to; the known
    frauds are not.

    contamination: both of those as a share of the window.
    training: epochs and losses. gates: name, passed, finding. withheld: why it may not be promoted.

    pruned_at: since when its artifact is gone. champion: by the promotions in force, oldest date first.
    judged: None where it never was.
    decision: None where it was no challenger, or still is one.
    """

    version: str
    as_of: date
    first_date: date
    last_date: date
    rows: int
    known_frauds: int
    unconfirmed: int
    contamination: float
    architecture: str
    score: str
    training: Json[dict[str, Any]]
    gates: Json[list[dict[str, Any]]]
    device: str
    training_hash: str
    withheld: str | None
    trained_at: datetime
    pruned_at: datetime | None
    champion: list[ChampionPeriod]
    judged: LatestFigures | None
    decision: Decided | None


_VERSIONS = TypeAdapter(list[ListedVersion])


def list_versions(
    warehouse: Warehouse, population: str, as_of: datetime | None = None
) -> list[ListedVersion]:
    """Returns the registered versions, the newest first, as they are, or as they were at the instant `as_of`.

    population: of which rows their latest figures are; see the table `metrics`. Raises WarehouseMissing.
    """
    with warehouse.reading(as_of) as con:
        # Bound, the value would make DuckDB import pandas.
        con.execute(f"set variable population = {literal(population)}")
        return _VERSIONS.validate_python(rows(con, "registry/list_versions"))
