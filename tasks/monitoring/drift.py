"""Drift: after each night, how far the last dates are from those that the champion learnt from, flagged rows
left out on both sides.
"""

import logging
from collections.abc import Sequence
from datetime import date, timedelta
from functools import partial
from typing import Any

import duckdb
import polars as pl
from prefect import task
from prefect.cache_policies import NO_CACHE

import sql
from models.drift.measures import Drift, drifts
from tasks.core.errors import NightError
from tasks.core.recipe import Recipe
from tasks.core.references import Night
from tasks.notifications.notify import notify_drift
from tasks.notifications.settings import NotifySettings
from tasks.training.retraining import drifted_features
from tasks.warehouse.connection import reading, transact
from tasks.warehouse.settings import WarehouseSettings

log = logging.getLogger(__name__)


@task(cache_policy=NO_CACHE)
def drift(
    recipe: Recipe, warehouse: WarehouseSettings, notify: NotifySettings, night: Night
) -> tuple[Drift, ...]:
    """Measures the drift after a committed night, once; see `measure_drift`.

    What is over a limit is a warning and a note of the run; it is told where a feature is over that was not
    so the last time. The night is committed by now, so what goes wrong here is a warning.
    """
    try:
        found = measure_drift(recipe, warehouse, night)
        if message := _message(recipe, night, found):
            log.warning("%s  drift      %s", night.date, message)
            before = drifted_features(warehouse, recipe.dataset.name, night.model_version, night.date)
            if {each.feature for each in found if each.over} - set(before):
                notify_drift(notify, recipe.dataset.name, night, message)
    except (NightError, duckdb.Error) as error:
        log.warning("%s  drift      it could not be measured: %s", night.date, error)
        return ()
    return found


def measure_drift(recipe: Recipe, warehouse: WarehouseSettings, night: Night) -> tuple[Drift, ...]:
    """The drift of every feature over as many dates as the night's version learnt from, the night's own the
    last; stored in `metrics`.

    Nothing where it was measured since the night was committed, or where the version has scored fewer of
    these dates than it learnt from: a Sunday alone would not look like a week.
    """
    values = {
        "version": night.model_version,
        "first_date": _first_date(recipe, night),
        "last_date": night.date,
    }
    with reading(warehouse, recipe.dataset.name) as con:
        if _is_measured(con, night):
            return ()
        found = drifts(con.execute(sql.read("monitoring/list_window_profiles"), values).pl(), recipe.drift)
    if not found:
        return ()
    figures, note = _figures(recipe, night, found), _message(recipe, night, found)
    return found if transact(warehouse, recipe.dataset.name, partial(_write, night, figures, note)) else ()


def _write(night: Night, figures: pl.DataFrame, note: str | None, con: duckdb.DuckDBPyConnection) -> bool:
    """Stores the figures and notes what is over a limit; gives whether nobody was faster."""
    con.execute(sql.read("publish/lock_dataset"))
    if _is_measured(con, night):
        return False
    con.register("figures", figures.to_arrow())
    con.execute(sql.read("evaluation/insert_metrics"))
    if note:
        con.execute(sql.read("publish/append_note"), {"run_id": night.run_id, "note": note})
    return True


def _is_measured(con: duckdb.DuckDBPyConnection, night: Night) -> bool:
    return (
        con.execute(sql.read("monitoring/find_drift_measurement"), {"partition_date": night.date}).fetchone()
        is not None
    )


def _figures(recipe: Recipe, night: Night, found: Sequence[Drift]) -> pl.DataFrame:
    window = {
        "first_date": _first_date(recipe, night),
        "last_date": night.date,
        "as_of": night.date,
        "model_version": night.model_version,
    }
    lines: list[dict[str, Any]] = [
        {
            **window,
            "detector": "drift",
            "features": each.feature,
            "metric": metric,
            "value": value,
            "rows": each.rows,
        }
        for each in found
        for metric, value in {**each.figures, "over": float(bool(each.over))}.items()
    ]
    return pl.DataFrame(lines)


def _message(recipe: Recipe, night: Night, found: Sequence[Drift]) -> str | None:
    """What is over a limit, in words: names and figures, no value of any row."""
    over = ", ".join(each.words for each in found if each.over)
    return (
        (
            f"the rows since {_first_date(recipe, night)} are not what {night.model_version} learnt from: "
            f"drift of {over}"
        )
        if over
        else None
    )


def _first_date(recipe: Recipe, night: Night) -> date:
    return night.date - timedelta(days=recipe.training.window_days - 1)
