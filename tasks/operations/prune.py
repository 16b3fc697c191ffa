"""Retention: drops what is old and no longer needed, from the warehouse in one transaction, then from disk.

Later nights reuse the space of dropped rows inside a DuckDB file; the file itself does not shrink (DuckDB 1.5
only returns free blocks at its end). Measured on a file of 365 nights x 10,000 rows (169 MB): with the older
half of the scores dropped, half of its blocks were free once it was closed, and 1,000,000 more rows fitted in
without making it larger. A lake's files are removed by the first pruning that runs a day or more after their
rows were dropped. The ledger, labels, metrics and promotions are kept for ever.
"""

import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any

import duckdb
from pydantic import ValidationError

from tasks.operations.prune_artifacts import OldArtifact, is_in_store, old_artifacts, remove_artifacts
from tasks.operations.prune_files import OldFile, Registered, old_files, remove_file
from tasks.publishing.publish import waiting_folders
from tasks.publishing.staged_night import read_staged
from tasks.registry.artifact_store import root_of
from tasks.warehouse.connection import Warehouse
from tasks.warehouse.statements import execute, rows

SUPERSEDED, SCORES = "rows of superseded runs", "scores of current runs"


@dataclass(frozen=True)
class Retention:
    """What to keep.

    oldest: the first date that is kept. scores: whether to drop old rows of current runs too.
    waiting: versions of nights that are scored but not committed yet.
    """

    oldest: date
    scores: bool
    waiting: tuple[str, ...]

    @property
    def instant(self) -> datetime:
        """The begin of `oldest`, in UTC."""
        return datetime.combine(self.oldest, time(), UTC)


@dataclass(frozen=True)
class Dropped:
    """What was dropped of one kind, or would be.

    count: number of runs, files or folders. rows: scored rows, of runs only. bytes: of files only.
    oldest, newest: the first and the last of the dates that their age counts from.
    """

    kind: str
    count: int
    rows: int | None
    bytes: int | None
    oldest: date
    newest: date


@dataclass(frozen=True)
class Pruning:
    """The result of a pruning.

    done: whether anything was changed, or only listed. older_than: dates and instants before this date are
    old. left: sentences on what was not dropped, and why.
    """

    done: bool
    older_than: date
    dropped: tuple[Dropped, ...]
    left: tuple[str, ...]


@dataclass(frozen=True)
class _Rows:
    """What to drop from the warehouse: rows of `list_prunable_runs`, and versions of
    `list_prunable_versions`.

    registered: the files that the registry names. stored: their artifacts in a store elsewhere, also to be
    dropped. left: sentences on the versions that are not dropped.
    """

    runs: list[dict[str, Any]]
    versions: list[str]
    registered: Registered
    stored: list[OldArtifact]
    left: list[str]


def prune(
    warehouse: Warehouse,
    keep_days: int,
    today: date,
    *,
    scores: bool = False,
    yes: bool = False,
) -> Pruning:
    """Drops what became old more than `keep_days` days before `today`; without `yes`, only lists it.

    Nothing ages from its business date, so a fresh backfill of old dates is young. Staging, reports and Data
    Docs age from the time of their file; rows of superseded runs from the instant when they were superseded,
    artifacts from their training. Scores of current runs, with their quarantine, age from their commit, and
    are dropped only with `scores`. The next pruning removes what a crash leaves behind.
    Raises WarehouseMissing if nothing of the dataset was ever written.
    """
    files = Path(warehouse.settings.files).resolve() / warehouse.name
    keep = Retention(today - timedelta(days=keep_days), scores, _waiting(files))
    root = root_of(warehouse)
    with warehouse.reading() as con:
        prunable = _prunable(con, files, root, keep)
    if yes:
        prunable = warehouse.transact(lambda con: _prune_rows(con, files, root, keep))
        warehouse.reclaim()
    found, left = old_files(files, prunable.registered, keep.oldest)
    if yes:
        left += [f"{old.path} is in use by now" for old in found if not remove_file(files, old)]
        remove_artifacts(prunable.stored)
    return Pruning(
        yes,
        keep.oldest,
        (*_of_runs(prunable.runs), *_of_files([*found, *prunable.stored])),
        (*prunable.left, *left),
    )


def _prune_rows(con: duckdb.DuckDBPyConnection, files: Path, root: str, keep: Retention) -> _Rows:
    execute(con, "publish/lock_dataset")
    prunable = _prunable(con, files, root, keep)
    runs, versions = {"runs": [run["run_id"] for run in prunable.runs]}, {"versions": prunable.versions}
    for statement, values in (
        ("retention/delete_scores", runs),
        ("retention/delete_shadow_scores", runs),
        ("retention/delete_profiles", runs),
        ("retention/delete_compromised", runs),
        ("retention/delete_quarantine", runs),
        ("retention/mark_runs_pruned", runs),
        ("retention/mark_versions_pruned", versions),
    ):
        execute(con, statement, **values)
    return prunable


def _prunable(con: duckdb.DuckDBPyConnection, files: Path, root: str, keep: Retention) -> _Rows:
    """Returns what to drop from the warehouse, and the files that the registry names afterwards."""
    young = {"instant": keep.instant, "scores": keep.scores}
    runs = rows(con, "retention/list_prunable_runs", **young)
    models = rows(
        con, "retention/list_prunable_versions", oldest=keep.oldest, waiting=list(keep.waiting), **young
    )
    foreign = [model for model in models if not _is_own_model(files, root, model)]
    left = [
        f"{model['version']} names an artifact or a card outside {files}, and is not pruned"
        for model in foreign
    ]
    versions = [model["version"] for model in models if model not in foreign]
    places = rows(con, "retention/list_artifact_paths")
    return _Rows(
        runs, versions, _registered(files, places, versions), old_artifacts(root, places, versions), left
    )


def _is_own_model(files: Path, root: str, model: dict[str, Any]) -> bool:
    """Whether the paths of a version are where training writes them."""
    artifact, card = (_absolute(files, model[name]) for name in ("artifact_path", "card_path"))
    return (
        artifact.parent == files / "models" or is_in_store(root, model["artifact_path"])
    ) and card.parent == files / "cards"


def _registered(files: Path, places: list[dict[str, Any]], versions: list[str]) -> Registered:
    """Returns the paths that the registry names once these versions are pruned; a path that a version in use
    also names is kept.
    """
    live, pruned = set[Path](), set[Path]()
    for place in places:
        kept = pruned if place["is_pruned"] or place["version"] in versions else live
        kept |= {_absolute(files, place["artifact_path"]), _absolute(files, place["card_path"])}
    return Registered(frozenset(live), frozenset(pruned - live))


def _absolute(files: Path, path: str) -> Path:
    """Returns a path that is stored relative to warehouse.files as an absolute one, without `.` and `..`."""
    return Path(os.path.normpath(files.parent / path))


def _waiting(files: Path) -> tuple[str, ...]:
    """Returns the versions of the scored nights that wait for their commit; a night that cannot be read is
    skipped, since it can never be committed.
    """
    versions = []
    for folder in waiting_folders(files):
        with suppress(ValidationError):
            night = read_staged(folder)
            versions += [night.version.name] if night else []
    return tuple(versions)


def _of_runs(runs: list[dict[str, Any]]) -> list[Dropped]:
    kinds = {
        kind: [run for run in runs if run["is_current"] == (kind == SCORES)] for kind in (SUPERSEDED, SCORES)
    }
    return [
        Dropped(
            kind,
            len(found),
            sum(run["rows_scored"] for run in found),
            None,
            *_span([run["since"] for run in found]),
        )
        for kind, found in kinds.items()
        if found
    ]


def _of_files(files: Sequence[OldFile | OldArtifact]) -> list[Dropped]:
    kinds = {
        kind: [old for old in files if old.kind == kind] for kind in dict.fromkeys(old.kind for old in files)
    }
    return [
        Dropped(kind, len(found), None, sum(old.bytes for old in found), *_span([old.since for old in found]))
        for kind, found in kinds.items()
    ]


def _span(dates: list[date]) -> tuple[date, date]:
    return min(dates), max(dates)
