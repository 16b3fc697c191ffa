"""Promotions: which version becomes champion from when on, and the way back. Rows are only ever added.

A promotion makes a version the champion of its `effective_from` and of later dates; a rollback undoes the one
that decides the newest dates. The rule is the view `champions` of sql/schema/views.sql, which everything that
asks for a champion reads.
"""

import difflib
from collections.abc import Collection
from dataclasses import dataclass
from datetime import date
from getpass import getuser
from typing import Any

import duckdb

from tasks.core.errors import PromotionRefused
from tasks.core.references import Version
from tasks.registry.artifact_store import as_found, verify
from tasks.warehouse.connection import Warehouse
from tasks.warehouse.statements import execute, insert, row, rows


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


def promote(warehouse: Warehouse, version: Version, why: str) -> bool:
    """Makes a version that was just trained the champion from its `as_of` on; returns whether it was not
    that already.
    """
    return warehouse.transact(lambda con: _insert(con, version.name, version.as_of, why))


def promote_by_name(
    warehouse: Warehouse, name: str, first: date | None, why: str, usable: Collection[str] | None = None
) -> Change:
    """Makes a registered version the champion from `first` on, in one transaction.

    A promotion that begins later stays in force. first: unless given, the first date from which the promotion
    changes no night that is scored and nothing takes over from it: the latest of the version's `as_of`, the
    day after the newest committed night, and the newest promotion in force.

    usable: the training hashes of the versions that the configuration can use; unless given, any.

    Raises PromotionRefused where there is no such version, it is withheld, pruned or not usable, or `first`
    is before its `as_of`; ArtifactError where its artifact is not what was written; WarehouseMissing. Then
    nothing has changed.
    """
    with warehouse.reading():  # raises WarehouseMissing, where a transaction would create the warehouse
        pass
    return warehouse.transact(lambda con: promote_within(con, warehouse, name, first, why, usable))


def roll_back(warehouse: Warehouse, why: str) -> Change:
    """Puts the champion before that of the newest nights back, in one transaction; again, and it goes back
    once more.

    Every promotion of the champion is undone, down to the newest one of another version.

    Raises PromotionRefused where there is none to go back to, or it may not be champion; ArtifactError;
    WarehouseMissing.
    """
    with warehouse.reading():
        pass
    return warehouse.transact(lambda con: roll_back_within(con, warehouse, why))


def promote_within(
    con: duckdb.DuckDBPyConnection,
    warehouse: Warehouse,
    name: str,
    first: date | None,
    why: str,
    usable: Collection[str] | None = None,
) -> Change:
    """The same as `promote_by_name`, inside a transaction."""
    version = _promotable(con, warehouse, name)
    if usable is not None and version.training_hash not in usable:
        raise PromotionRefused(
            f"{name} was trained with another configuration than this one, which cannot use it; promote it "
            f"with the configuration of its training, or run `nightscore train --as-of {version.as_of}`"
        )
    if first is not None and first < version.as_of:
        raise PromotionRefused(
            f"{name} never scores a date before its as_of {version.as_of}; give that or a later one "
            "with --from"
        )
    start = first or _first_open_date(con, version.as_of)
    before = row(con, "registry/find_champion_name", partition_date=start)
    done = _insert(con, name, start, why)
    return _change(con, version, start, why, before["version"] if before else None, done=done)


def roll_back_within(con: duckdb.DuckDBPyConnection, warehouse: Warehouse, why: str) -> Change:
    """The same as `roll_back`, inside a transaction."""
    execute(con, "publish/lock_dataset")
    target = row(con, "registry/find_rollback_target")
    if not target:
        raise PromotionRefused(
            "no version is champion, so there is nothing to roll back; `nightscore promote VERSION` "
            "makes one champion"
        )
    if target["version"] is None:
        raise PromotionRefused(
            f"{target['undone']} is champion and no other version was before it; `nightscore models` "
            "lists all of them"
        )
    version = _promotable(con, warehouse, target["version"])
    back = {name: target[name] for name in ("version", "before_from", "before_at")}
    execute(con, "registry/insert_rollback", **back, promoted_by=_who(), why=why)
    return _change(con, version, target["effective_from"], why, target["undone"], done=True)


def _promotable(con: duckdb.DuckDBPyConnection, warehouse: Warehouse, name: str) -> Promotability:
    """A version that may be champion. Raises PromotionRefused, or ArtifactError, where it may not."""
    found = row(con, "registry/find_promotability", version=name)
    if not found:
        raise PromotionRefused(f"no version {name} is registered; {_nearest(con, name)}")
    version = Promotability(**found)
    if version.withheld:
        raise PromotionRefused(f"{name} is withheld: {version.withheld}")
    if version.pruned_at:
        again = f"`nightscore train --as-of {version.as_of}` learns it again"
        raise PromotionRefused(
            f"the artifact of {name} was pruned at {version.pruned_at:%Y-%m-%d %H:%M:%S %Z}; {again}"
        )
    verify(as_found(warehouse, version.artifact_path), version.artifact_sha256)
    return version


def _first_open_date(con: duckdb.DuckDBPyConnection, as_of: date) -> date:
    found = row(con, "registry/find_first_open_date", as_of=as_of)
    assert found is not None
    first: date = found["effective_from"]
    return first


def _nearest(con: duckdb.DuckDBPyConnection, name: str) -> str:
    names = [known["version"] for known in rows(con, "registry/list_version_names")]
    near = difflib.get_close_matches(name, names) or names[:3]
    return f"the nearest: {', '.join(near)}" if near else "train one with `nightscore train --as-of DATE`"


def _insert(con: duckdb.DuckDBPyConnection, name: str, first: date, why: str) -> bool:
    """Returns whether the promotion was inserted: not so where the version is champion from that date
    already.
    """
    execute(con, "publish/lock_dataset")
    promotion = {"effective_from": first, "version": name, "promoted_by": _who(), "why": why}
    return bool(insert(con, "registry/insert_promotion", **promotion))


def _change(
    con: duckdb.DuckDBPyConnection,
    version: Promotability,
    first: date,
    why: str,
    before: str | None,
    *,
    done: bool,
) -> Change:
    others = rows(
        con, "registry/list_nights_of_other_versions", effective_from=first, version=version.version
    )
    return Change(
        version=version.version,
        effective_from=first,
        done=done,
        before=before,
        promoted_by=_who(),
        why=why,
        training_hash=version.training_hash,
        scored_by_others=tuple(
            ScoredNight(other["partition_date"], other["model_version"]) for other in others
        ),
    )


def _who() -> str:
    try:
        return getuser()
    except (OSError, KeyError):  # a container may run as a user that nobody has named
        return "unknown"
