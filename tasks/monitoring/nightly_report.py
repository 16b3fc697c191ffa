"""The report of a night: every date is judged as its labels become known, and again where they change."""

import logging
from datetime import date, timedelta
from pathlib import Path

from prefect import task
from prefect.cache_policies import NO_CACHE

import sql
from models.errors import ModelError
from tasks.core.errors import NightError
from tasks.evaluation.evaluate import Bench, judge
from tasks.evaluation.settings import Window
from tasks.labels.known_labels import store_labels
from tasks.pages.report import report
from tasks.publishing.ledger import committed_dates
from tasks.warehouse.connection import reading

log = logging.getLogger(__name__)


@task(cache_policy=NO_CACHE)
def report_matured(bench: Bench, day: date, folder: Path, staging: Path) -> list[Path]:
    """The pages of the dates whose figures the labels known at the end of `day` have changed, by the source's
    own column or by others.

    Each is judged once per label cut-off. The night is committed by now, so what goes wrong here is a
    warning.
    """
    try:
        _store_labels(bench, day)
        days = _dates_to_judge(bench, day)
    except (NightError, ModelError) as error:
        log.warning("%s  report     the labels could not be read: %s", day, error)
        return []
    if not days:
        log.info("%s  report     no scored date's labels are new tonight", day)
    return [page for matured in days if (page := _report(bench, matured, day, folder, staging))]


def _store_labels(bench: Bench, day: date) -> None:
    dataset, delay = bench.recipe.dataset, bench.recipe.label_delay_days
    last = day - timedelta(days=delay)
    first = last - timedelta(days=bench.settings.relabel_days - 1)
    scored = [scored for scored in committed_dates(bench.warehouse, dataset.name) if first <= scored <= last]
    if dataset.columns.label and scored:
        store_labels(dataset, bench.warehouse, scored[0], scored[-1], delay, as_of=day)


def _dates_to_judge(bench: Bench, day: date) -> list[date]:
    with reading(bench.warehouse, bench.recipe.dataset.name) as con:
        return [
            row[0]
            for row in con.execute(sql.read("monitoring/list_dates_to_evaluate"), {"as_of": day}).fetchall()
        ]


def _report(bench: Bench, matured: date, day: date, folder: Path, staging: Path) -> Path | None:
    try:
        return report(judge(bench, Window(matured, matured, as_of=day), staging), folder)
    except (NightError, ModelError) as error:
        log.warning("%s  report     %s could not be judged: %s", day, matured, error)
        return None
