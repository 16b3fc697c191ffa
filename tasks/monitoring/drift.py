"""Drift: after each night, how far the last dates are from those that the champion learnt from, flagged rows
left out on both sides.
"""

import logging
from collections.abc import Sequence
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

import duckdb
import polars as pl

from tasks.core.dataset import Dataset
from tasks.core.errors import NightError
from tasks.core.references import Night
from tasks.core.step import step
from tasks.notifications.notify import notify_drift
from tasks.notifications.settings import NotifySettings
from tasks.training.retraining import drifted_features
from tasks.warehouse.connection import Warehouse
from tasks.warehouse.statements import execute, frame, row

if TYPE_CHECKING:
    from models.drift.measures import Drift

log = logging.getLogger(__name__)


@step
def drift(
    dataset: Dataset, warehouse: Warehouse, notify: NotifySettings, night: Night
) -> "tuple[Drift, ...]":
    """Measures the drift after a committed night, once; see `measure_drift`.

    What is over a limit is a warning and a note of the run; a notice is sent where a feature is over that was
    not so the last time. The night is committed by now, so what goes wrong here is a warning.
    """
    try:
        found = measure_drift(dataset, warehouse, night)
        if message := _message(dataset, night, found):
            log.warning("%s  drift      %s", night.date, message)
            before = drifted_features(warehouse, night.model_version, night.date)
            if {each.feature for each in found if each.over} - set(before):
                notify_drift(notify, dataset.name, night, message)
    except (NightError, duckdb.Error) as error:
        log.warning("%s  drift      it could not be measured: %s", night.date, error)
        return ()
    return found


def measure_drift(dataset: Dataset, warehouse: Warehouse, night: Night) -> "tuple[Drift, ...]":
    """The drift of every feature over as many dates as the night's version learnt from, the night's own the
    last; stored in `metrics`.

    Nothing where it was measured since the night was committed, or where the version has scored fewer of
    these dates than it learnt from: a Sunday alone would not look like a week.
    """
    window = {"first_date": _first_date(dataset, night), "last_date": night.date}
    with warehouse.reading() as con:
        if _is_measured(con, night):
            return ()
        profiles = frame(con, "monitoring/list_window_profiles", version=night.model_version, **window)
    if profiles.is_empty():
        return ()
    from models.drift.measures import drifts  # loads scipy

    found = drifts(profiles, dataset.drift)
    if not found:
        return ()
    figures, note = _figures(dataset, night, found), _message(dataset, night, found)
    return found if warehouse.transact(lambda con: _insert(con, night, figures, note)) else ()


def _insert(con: duckdb.DuckDBPyConnection, night: Night, figures: pl.DataFrame, note: str | None) -> bool:
    """Inserts the figures and notes what is over a limit; returns whether no other process was faster."""
    execute(con, "publish/lock_dataset")
    if _is_measured(con, night):
        return False
    con.register("figures", figures.to_arrow())
    execute(con, "evaluation/insert_metrics")
    if note:
        execute(con, "publish/append_note", run_id=night.run_id, note=note)
    return True


def _is_measured(con: duckdb.DuckDBPyConnection, night: Night) -> bool:
    return row(con, "monitoring/find_drift_measurement", partition_date=night.date) is not None


def _figures(dataset: Dataset, night: Night, found: "Sequence[Drift]") -> pl.DataFrame:
    window = {
        "first_date": _first_date(dataset, night),
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


def _message(dataset: Dataset, night: Night, found: "Sequence[Drift]") -> str | None:
    """What is over a limit, in words: names and figures, no value of any row."""
    over = ", ".join(each.words for each in found if each.over)
    return (
        (
            f"the rows since {_first_date(dataset, night)} are not what {night.model_version} learnt from: "
            f"drift of {over}"
        )
        if over
        else None
    )


def _first_date(dataset: Dataset, night: Night) -> date:
    return night.date - timedelta(days=dataset.training.window_days - 1)
