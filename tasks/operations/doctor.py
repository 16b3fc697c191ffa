"""The checks of `nightscore doctor`, one function each; a check returns what it found and how to fix it, and
changes nothing.
"""

import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import duckdb

import sql
from sql import identifier
from tasks.core.dataset import Dataset
from tasks.core.date_path import unescaped
from tasks.core.errors import NightError, WarehouseHeld, WarehouseMissing, first_line, shown
from tasks.notifications.settings import NotifySettings
from tasks.operations.installation import Check, check_installation, guarded
from tasks.operations.rehearsal import REHEARSED, rehearse
from tasks.publishing.held import set_aside
from tasks.publishing.integrity import violations
from tasks.publishing.publish import waiting_folders
from tasks.source.connection import connect, list_dates, place, readable
from tasks.source.ingest import read_partition
from tasks.source.undated import undated_files, undated_rows
from tasks.source.view import create_view
from tasks.warehouse.connection import Warehouse, list_datasets

FREE_GIB = 2.0


@dataclass(frozen=True)
class Setup:
    """What the checks look at: a dataset, its warehouse and folder of files, and its webhooks."""

    dataset: Dataset
    warehouse: Warehouse
    notify: NotifySettings


def checks(setup: Setup) -> Iterator[Check]:
    """Runs every check in turn, and yields its result; one that raises an exception counts as failed."""
    yield from check_installation()
    with rehearse(setup.dataset, _has_champion(setup.warehouse)) as night:
        made = {check.__name__: partial(check, setup) for check in SOURCE}
        made |= {check.__name__: partial(check, night) for check in REHEARSED}
        made |= {check.__name__: partial(check, setup) for check in RESULTS}
        for name, check in made.items():
            yield guarded(name, check)


def _has_champion(warehouse: Warehouse) -> bool:
    try:
        with warehouse.waiting(0).reading() as con:
            return bool(con.execute("select count(*) from champion").fetchall()[0][0])
    except WarehouseMissing:
        return False
    except NightError:  # another check says what is wrong with it
        return True


def check_source(setup: Setup) -> Check:
    """Lists the dates of the source, and reads its newest partition in full."""
    dataset = setup.dataset
    dates = list_dates(dataset.source)
    if not dates:
        where = unescaped(dataset.source.path or dataset.source.table or "")
        return Check(
            "source",
            False,
            f"no dates in {where}",
            "fix [source] in the configuration, or deliver a first partition",
        )
    without_history = dataset.features.model_copy(update={"sql": None})
    newest = read_partition(
        dataset.model_copy(update={"features": without_history}), dates[-1], setup.warehouse.files
    )
    found = f"{len(dates)} dates, {dates[0]} to {dates[-1]}; the newest has {newest.rows:,} rows"
    if lost := undated_rows(dataset.source) or undated_files(dataset.source):
        return Check("source", None, f"{found}; {lost}", "give them a date, or take them out of the source")
    return Check("source", True, found)


def check_columns(setup: Setup) -> Check:
    """Checks that the newest partition has the columns that the configuration names."""
    dataset, columns = setup.dataset, setup.dataset.columns
    named = [
        columns.id,
        columns.time,
        columns.entity,
        *columns.late,
        *columns.private,
        *columns.details,
    ]
    needed = {name for name in named if name} | (
        set() if dataset.features.sql else set(dataset.features.names)
    )
    newest = list_dates(dataset.source)[-1]
    with connect(dataset.source) as con, readable(dataset.source, newest):
        found = create_view(con, dataset, "newest", [newest]).types
    if missing := sorted(needed - found.keys()):
        has = f"{place(dataset.source, newest)} has {', '.join(map(shown, found))}"
        return Check(
            "columns",
            False,
            f"missing: {', '.join(map(shown, missing))}",
            f"fix [columns] or [features]; {has}",
        )
    return Check("columns", True, f"all {len(needed)} columns of the configuration are there")


def check_feature_sql(setup: Setup) -> Check:
    """Binds the feature SQL to the newest partition without running it: its syntax, and the columns that it
    reads and returns.
    """
    features = setup.dataset.features
    if features.sql is None:
        return Check("feature sql", None, "none: the features are columns of the source")
    fix = f"fix {features.sql}, or features.sql in the configuration"
    try:
        returned = _columns_of(setup.dataset, sql.read(features.sql))
    except (OSError, duckdb.Error) as error:
        return Check("feature sql", False, first_line(error), fix)
    if missing := [
        name for name in (setup.dataset.columns.id, *features.names) if name.lower() not in returned
    ]:
        return Check("feature sql", False, f"it does not return {', '.join(missing)}", fix)
    return Check("feature sql", True, f"{features.sql} returns all {len(features.names)} features")


def check_warehouse(setup: Setup) -> Check:
    """Checks that the warehouse can be opened, or created, and written."""
    place, file = setup.warehouse.settings.place, setup.warehouse.settings.file
    places = [] if file is None else [_existing(file.parent), file]
    if read_only := [path for path in places if path.exists() and not os.access(path, os.W_OK)]:
        return Check(
            "warehouse", False, f"{read_only[0]} cannot be written", "fix its permissions, or warehouse.uri"
        )
    try:
        datasets = list_datasets(setup.warehouse.waiting(0).settings)
    except WarehouseMissing:
        return Check("warehouse", True, f"{place} does not exist yet; the first night creates it")
    except WarehouseHeld as error:
        return Check("warehouse", None, str(error), "end that process if nights wait for it too long")
    return Check("warehouse", True, f"{place} can be opened; it holds {', '.join(datasets) or 'nothing yet'}")


def check_results(setup: Setup) -> Check:
    """Runs over all committed results the integrity checks that every night must pass before its commit."""
    try:
        with setup.warehouse.waiting(0).reading() as con:
            (nights,) = con.execute("select count(*) from current_runs").fetchall()[0]
            broken = [str(violation) for violation in violations(con, masked=setup.dataset.columns.masked)]
    except (WarehouseMissing, WarehouseHeld) as error:
        return Check("results", None, str(error))
    if broken:
        return Check(
            "results",
            False,
            "; ".join(broken),
            "score those dates again with `nightscore run --force --date D`",
        )
    return Check("results", True, f"{nights} committed nights pass {len(sql.names('checks/*'))} checks")


def check_waiting(setup: Setup) -> Check:
    """Lists the scored nights that wait for their commit because the warehouse was held."""
    waiting = [folder.name for folder in waiting_folders(setup.warehouse.files)]
    if waiting:
        return Check(
            "waiting", None, f"scored and not committed: {', '.join(waiting)}", "run `nightscore publish`"
        )
    return Check("waiting", True, "no scored night waits to be committed")


def check_held(setup: Setup) -> Check:
    """Lists the doubtful nights that wait until somebody accepts or discards them."""
    held = [str(night.date) for night in set_aside(setup.warehouse) if night.status == "held"]
    if held:
        return Check(
            "held",
            None,
            f"doubtful and not committed: {', '.join(held)}",
            "look at them, then run `nightscore publish --accept D --by NAME` or `--discard D`",
        )
    return Check("held", True, "no night is held")


def check_disk(setup: Setup) -> Check:
    """Checks that the folder for models, reports and staged nights can be written and has free space."""
    folder = _existing(Path(setup.warehouse.settings.files))
    if not os.access(folder, os.W_OK):
        return Check("disk", False, f"{folder} cannot be written", "fix its permissions, or warehouse.files")
    free = shutil.disk_usage(folder).free / 2**30
    if free < FREE_GIB:
        return Check(
            "disk",
            False,
            f"{free:.1f} GiB free at {folder}",
            f"free {FREE_GIB:g} GiB: a night stages its rows there",
        )
    return Check("disk", True, f"{free:.1f} GiB free at {folder}")


def check_webhooks(setup: Setup) -> Check:
    """Lists the hosts of the webhooks; sends nothing."""
    hosts = ", ".join(webhook.host for webhook in setup.notify.webhooks)
    found = (
        f"{len(setup.notify.webhooks)} configured: {hosts}"
        if hosts
        else "none configured; nobody is notified when a night fails"
    )
    return Check("webhooks", True, found)


def _columns_of(dataset: Dataset, query: str) -> set[str]:
    """Returns the columns that the feature SQL would return for the newest partition, in lower case."""
    newest = list_dates(dataset.source)[-1]
    with connect(dataset.source) as con:
        view = create_view(con, dataset, "newest", [newest])
        columns = ", ".join(map(identifier, view.types))
        con.execute(
            f"create temp view history as select {columns}, {view.date} as _partition_date from newest"
        )
        (statement,) = con.extract_statements(query)
        values = {"partition_date": newest, "label_delay_days": 0}
        bound = {name: values[name] for name in statement.named_parameters}
        return {
            column[0].lower()
            for column in con.execute(f"select * from ({statement.query}\n) limit 0", bound).description
        }


def _existing(folder: Path) -> Path:
    """Returns the folder itself, or its nearest parent that exists."""
    return next(parent for parent in (folder.absolute(), *folder.absolute().parents) if parent.is_dir())


SOURCE: tuple[Callable[[Setup], Check], ...] = (check_source, check_columns, check_feature_sql)
RESULTS: tuple[Callable[[Setup], Check], ...] = (
    check_warehouse,
    check_results,
    check_waiting,
    check_held,
    check_disk,
    check_webhooks,
)
