"""The report of a night: the date whose labels mature tonight is judged, once."""

import logging
from datetime import date, timedelta
from pathlib import Path

from prefect import task
from prefect.cache_policies import NO_CACHE

from models.errors import ModelError
from tasks.errors import NightError
from tasks.evaluate import Bench, committed_dates, judge
from tasks.report import report
from tasks.window import Window

log = logging.getLogger(__name__)


@task(cache_policy=NO_CACHE)
def report_matured(bench: Bench, day: date, folder: Path, staging: Path) -> Path | None:
    """The page of the date whose labels are known at the end of `day`; None where it was not scored, or there are no labels.

    The night is committed by now, so what goes wrong here is a warning.
    """
    matured = day - timedelta(days=bench.recipe.label_delay_days)
    dataset = bench.recipe.dataset
    if not dataset.columns.label or matured not in committed_dates(bench.warehouse, dataset.name):
        log.info("%s  report     no scored date's labels mature tonight", day)
        return None
    try:
        return report(judge(bench, Window(matured, matured, as_of=day), staging), folder)
    except (NightError, ModelError) as error:
        log.warning("%s  report     %s could not be judged: %s", day, matured, error)
        return None
