"""Promotions: which version becomes champion from when on, and the way back. Rows are only ever added.

A promotion makes a version the champion of its `effective_from` and of later dates; a rollback undoes the one
that decides the newest dates. The rule is the view `champions` of sql/schema/views.sql, which everything that
asks for a champion reads.
"""

import difflib
from dataclasses import dataclass
from datetime import date
from functools import partial
from getpass import getuser
from typing import Any

import duckdb

import sql
from tasks.core.errors import PromotionRefused
from tasks.core.references import Version
from tasks.registry.artifact_store import as_found, verify
from tasks.warehouse.connection import reading, transact
from tasks.warehouse.settings import WarehouseSettings


@dataclass(frozen=True)
class ScoredNight:
    """A committed night, and the version that scored it."""

    date: date
    version: str


@dataclass(frozen=True)
class Change:
    """What a promotion or a rollback has done.

    done: False where `version` was the champion of that date already, and nothing was written.
    before: the champion of `effective_from` until then; None where there was none.
    training_hash: the configuration that `version` was trained with.
    scored_by_others: committed nights from `effective_from` on whose champion is `version` now, and that
    another one scored.
    """

    version: str
    effective_from: date
    done: bool
    before: str | None
    promoted_by: str
    why: str
    training_hash: str
    scored_by_others: tuple[ScoredNight, ...]


@dataclass(frozen=True)
class Promotability:
    """What decides whether a version may be promoted: withheld and pruned_at are None where it may."""

    version: str
    as_of: date
    artifact_path: str
    artifact_sha256: str
    withheld: str | None
    pruned_at: Any
    training_hash: str


def promote(warehouse: WarehouseSettings, dataset: str, version: Version, why: str) -> bool:
    """Makes a version that was just trained the champion from its `as_of` on, unless it is that already;
    gives whether it was not.
    """
    return transact(
        warehouse,
        dataset,
        partial(_insert, {"effective_from": version.as_of, "version": version.name, "why": why}),
    )


def promote_by_name(
    warehouse: WarehouseSettings, dataset: str, name: str, first: date | None, why: str
) -> Change:
    """Makes a registered version the champion from `first` on, in one transaction; a promotion that begins
    later stays in force.

    first: unless given, the first date from which it changes no night that is scored and nothing takes over
    from it: the latest of its own `as_of`, the day after the newest committed night, and the newest promotion
    in force.

    Raises PromotionRefused where there is no such version, it is withheld or pruned, or `first` is before its
    `as_of`; ArtifactError where its artifact is not what was written; WarehouseMissing. Then nothing has
    changed.
    """
    with reading(warehouse, dataset):  # to look before writing, so that no warehouse is made by a mistake
        pass
    return transact(warehouse, dataset, partial(promote_within, warehouse, name, first, why))


def roll_back(warehouse: WarehouseSettings, dataset: str, why: str) -> Change:
    """Puts the champion before that of the newest nights back, in one transaction; again, and it goes back
    once more.

    What is undone is every promotion of the champion down to the newest one of another version, as if they
    had never been made.

    Raises PromotionRefused where there is none to go back to, or it may not be champion; ArtifactError;
    WarehouseMissing.
    """
    with reading(warehouse, dataset):
        pass
    return transact(warehouse, dataset, partial(roll_back_within, warehouse, why))


def promote_within(
    warehouse: WarehouseSettings, name: str, first: date | None, why: str, con: duckdb.DuckDBPyConnection
) -> Change:
    """The same inside a transaction."""
    fit = _fit(con, warehouse, name)
    if first is not None and first < fit.as_of:
        raise PromotionRefused(
            f"{name} never scores a date before its as_of {fit.as_of}; give that or a later one with --from"
        )
    start = first or _row(con, "registry/find_first_open_date", {"as_of": fit.as_of})["effective_from"]
    was = _row(con, "registry/find_champion_name", {"partition_date": start}).get("version")
    promotion = {"effective_from": start, "version": name, "why": why}
    return _change(con, fit, promotion, was, done=_insert(promotion, con))


def roll_back_within(warehouse: WarehouseSettings, why: str, con: duckdb.DuckDBPyConnection) -> Change:
    """The same inside a transaction."""
    con.execute(sql.read("publish/lock_dataset"))
    found = _row(con, "registry/find_rollback_target", {})
    if not found:
        raise PromotionRefused(
            "no version is champion, so there is nothing to roll back; `nightscore promote VERSION` "
            "makes one champion"
        )
    if found["version"] is None:
        raise PromotionRefused(
            f"{found['undone']} is champion and no other version was before it; `nightscore models` "
            "lists all of them"
        )
    fit = _fit(con, warehouse, found["version"])
    back = {name: found[name] for name in ("version", "before_from", "before_at")}
    con.execute(sql.read("registry/insert_rollback"), back | {"promoted_by": _who(), "why": why})
    return _change(
        con,
        fit,
        {"effective_from": found["effective_from"], "version": fit.version, "why": why},
        found["undone"],
        done=True,
    )


def _fit(con: duckdb.DuckDBPyConnection, warehouse: WarehouseSettings, name: str) -> Promotability:
    """A version that may be champion. Raises PromotionRefused, or ArtifactError, where it may not."""
    found = _row(con, "registry/find_promotability", {"version": name})
    if not found:
        raise PromotionRefused(f"no version {name} is registered; {_nearest(con, name)}")
    standing = Promotability(**found)
    if standing.withheld:
        raise PromotionRefused(f"{name} is withheld: {standing.withheld}")
    if standing.pruned_at:
        again = f"`nightscore train --as-of {standing.as_of}` learns it again"
        raise PromotionRefused(
            f"the artifact of {name} was pruned at {standing.pruned_at:%Y-%m-%d %H:%M:%S %Z}; {again}"
        )
    verify(as_found(warehouse, standing.artifact_path), standing.artifact_sha256)
    return standing


def _nearest(con: duckdb.DuckDBPyConnection, name: str) -> str:
    names = [known for (known,) in con.execute(sql.read("registry/list_version_names")).fetchall()]
    near = difflib.get_close_matches(name, names) or names[:3]
    return f"the nearest: {', '.join(near)}" if near else "train one with `nightscore train --as-of DATE`"


def _insert(promotion: dict[str, Any], con: duckdb.DuckDBPyConnection) -> bool:
    """Whether it was written: not so where the version is champion from that date already."""
    con.execute(sql.read("publish/lock_dataset"))
    (count,) = con.execute(
        sql.read("registry/insert_promotion"), promotion | {"promoted_by": _who()}
    ).fetchall()[0]
    return bool(count)


def _change(
    con: duckdb.DuckDBPyConnection,
    fit: Promotability,
    promotion: dict[str, Any],
    before: str | None,
    *,
    done: bool,
) -> Change:
    values = {"effective_from": promotion["effective_from"], "version": fit.version}
    others = tuple(
        ScoredNight(*row)
        for row in con.execute(sql.read("registry/list_nights_of_other_versions"), values).fetchall()
    )
    return Change(
        **promotion,
        done=done,
        before=before,
        promoted_by=_who(),
        training_hash=fit.training_hash,
        scored_by_others=others,
    )


def _row(con: duckdb.DuckDBPyConnection, name: str, values: dict[str, Any]) -> dict[str, Any]:
    """The first row of the statement `sql/<name>.sql` by its column names; empty where there is none."""
    result = con.execute(sql.read(name), values)
    row = result.fetchone()
    return dict(zip((column[0] for column in result.description or []), row, strict=True)) if row else {}


def _who() -> str:
    try:
        return getuser()
    except (OSError, KeyError):  # a container may run as a user that nobody has named
        return "unknown"
