"""Forgetting: one entity leaves every table in one transaction, and every page that names it.

Its rows stay, under pseudonyms that lead nowhere, so that the counts, ranks and figures of every night stay.
"""

from dataclasses import dataclass
from datetime import date
from typing import Any

import duckdb

import sql
from tasks.core.dataset import Dataset
from tasks.core.errors import NightError
from tasks.operations.forget_files import named_in, pages_that_name, remove_places, staged_places
from tasks.publishing.held import set_aside
from tasks.publishing.publish import waiting_folders
from tasks.warehouse.connection import Warehouse
from tasks.warehouse.statements import Row, execute, rows

TEXTS = {  # places of texts that may name an entity, with the statement that replaces one
    "messages of runs": "retention/update_messages",
    "notes of answers": "retention/update_notes",
    "reasons of promotions": "retention/update_reasons",
}


@dataclass(frozen=True)
class Removed:
    """What names the entity in one place. place: a table, or a kind of files. count: of rows or files."""

    place: str
    count: int


@dataclass(frozen=True)
class Forgetting:
    """The result of forgetting one entity.

    done: whether anything was changed, or only listed. pseudonym: what stands for the entity now; None where
    nothing was changed. dates: of its rows, ascending. unreached: sentences on what still names the entity.
    """

    done: bool
    pseudonym: str | None
    dates: tuple[date, ...]
    removed: tuple[Removed, ...]
    unreached: tuple[str, ...]


@dataclass(frozen=True)
class _Entity:
    """An entity as it is stored. path: leads to it in a quarantined row. dates, ids: of each row."""

    name: str
    path: str | None
    dates: list[date]
    ids: list[str | None]

    @property
    def texts(self) -> list[str]:
        """What names it: the entity and its ids."""
        return [self.name, *dict.fromkeys(each for each in self.ids if each and each != self.name)]


def forget(dataset: Dataset, warehouse: Warehouse, entity: str, *, yes: bool = False) -> Forgetting:
    """Replaces an entity by a pseudonym in the whole warehouse, and removes the pages that name it; without
    `yes`, only lists where it is.

    Files go first, so that a crash leaves a warehouse in which the next call finds the entity again.
    Raises NightError where no row is of the entity, or a night is scored or running and not committed;
    WarehouseMissing where nothing was ever written.
    """
    _require_no_open_night(warehouse)
    with warehouse.reading() as con:
        found = _find(con, dataset, entity)
        removed = _count(con, found)
        unreached = _unreached(dataset, warehouse, rows(con, "retention/count_unreached")[0])
    is_masked = not {dataset.columns.id, dataset.columns.entity}.isdisjoint(dataset.columns.private)
    places = [
        *pages_that_name(warehouse.files, found.texts, found.dates, is_masked=is_masked),
        *staged_places(warehouse.files),
    ]
    name = None
    if yes:
        remove_places(warehouse.files, places)
        name, removed = warehouse.transact(lambda con: _forget(con, dataset, entity))
        warehouse.reclaim()
    kinds = list(dict.fromkeys(place.kind for place in places))
    removed += [Removed(kind, sum(place.kind == kind for place in places)) for kind in kinds]
    return Forgetting(yes, name, tuple(sorted(set(found.dates))), tuple(removed), tuple(unreached))


def _require_no_open_night(warehouse: Warehouse) -> None:
    held = [f"{night.date} (held)" for night in set_aside(warehouse) if night.status == "held"]
    waiting = [f"{folder.name} (scored)" for folder in waiting_folders(warehouse.files)]
    if found := [*held, *waiting]:
        raise NightError(
            f"{', '.join(found)}: nights that wait ({len(found)}) may name the entity; commit, accept or "
            "discard them with `nightscore publish`, then forget the entity"
        )


def _find(con: duckdb.DuckDBPyConnection, dataset: Dataset, entity: str) -> _Entity:
    column = dataset.columns.entity
    path = None if column is None else '$."' + column.replace("\\", "\\\\").replace('"', '\\"') + '"'
    found = rows(con, "retention/list_entity_ids", entity=entity, path=path)
    if not found:
        raise NightError(
            f"no scored or quarantined row of {dataset.name} is of the entity {entity}; write it as "
            "the view `alerts` shows it"
        )
    return _Entity(entity, path, [each["partition_date"] for each in found], [each["id"] for each in found])


def _count(con: duckdb.DuckDBPyConnection, entity: _Entity) -> list[Removed]:
    keys = {"dates": entity.dates, "ids": entity.ids, "path": entity.path, "entity": entity.name}
    removed = [
        Removed(each["table"], each["rows"]) for each in rows(con, "retention/count_forgotten_rows", **keys)
    ]
    naming = _naming_texts(con, entity)
    counts = {place: sum(each["rows"] for each in naming if each["place"] == place) for place in TEXTS}
    return removed + [Removed(place, count) for place, count in counts.items() if count]


def _forget(con: duckdb.DuckDBPyConnection, dataset: Dataset, entity: str) -> tuple[str, list[Removed]]:
    execute(con, "publish/lock_dataset")
    found = _find(con, dataset, entity)
    removed, naming = _count(con, found), _naming_texts(con, found)
    name: str = rows(con, "retention/find_forgotten_name")[0]["name"]
    execute(con, "retention/create_forgotten_ids", name=name, dates=found.dates, ids=found.ids)
    values = {"entity": entity, "path": found.path, "name": name}
    for statement in sql.names("retention/forget_*"):
        execute(con, statement, **_used(statement, values))
    con.execute("drop table forgotten_ids")
    for each in naming:
        statement = TEXTS[each["place"]]
        values = {"text": each["text"], "replacement": f"a text that named {name} was removed"}
        execute(con, statement, **_used(statement, values))
    return name, removed


def _used(statement: str, values: dict[str, Any]) -> dict[str, Any]:
    """The values that a statement has a parameter for."""
    text = sql.read(statement)
    return {key: value for key, value in values.items() if f"${key}" in text}


def _naming_texts(con: duckdb.DuckDBPyConnection, entity: _Entity) -> list[Row]:
    """The texts that name the entity, or on one of its dates an id of it: elsewhere, the same id may be that
    of another entity.
    """
    dates = set(entity.dates)
    return [
        each
        for each in rows(con, "retention/list_texts")
        if named_in(each["text"], entity.texts if each["partition_date"] in dates else [entity.name])
    ]


def _unreached(dataset: Dataset, warehouse: Warehouse, counts: Row) -> list[str]:
    """Returns a sentence on each place that may still name the entity, or lead back to it."""
    alone, is_masked = counts["lone_labels"], dataset.columns.entity in dataset.columns.private
    sentences = [
        "the source: it keeps its rows; whoever scores one of these dates again (`run --force`, `catch-up` "
        "after a change of the source) or a later date with rows of the entity brings it back, so delete it "
        "there first",
        f"artifacts of versions ({counts['versions']} kept): encoded training rows without ids, and what the "
        "networks learnt from them; train anew and prune the old ones",
        "score, rank, p-value and flag of its rows, which stay under the pseudonym: whoever has the source "
        "and a version can score a row again and compare",
        "details, reasons and quarantined content of other entities' rows, where another column names it, "
        "such as the other side of a payment",
        f"labels and answers of {alone:,} rows that were pruned: nothing here leads from their entity to "
        "their id"
        if alone
        else None,
        "older snapshots of the lake, and their Parquet files, until they expire"
        if warehouse.settings.lake
        else "free blocks of the DuckDB file, until they are written over",
        "quarantined rows whose entity is masked, since nobody can tell whose they are; "
        "`nightscore prune --scores` drops them when they are old"
        if is_masked
        else None,
        "copies elsewhere: backups, exports, reports outside the dataset's folder, notices that were sent, "
        "logs, and what Prefect has stored of earlier runs",
    ]
    return [sentence for sentence in sentences if sentence]
