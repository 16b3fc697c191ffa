"""The report of a night: every date is evaluated as its labels become known, and again where they change."""

import logging
from datetime import date, timedelta
from pathlib import Path

from models.errors import ModelError
from tasks.core.dataset import Dataset
from tasks.core.errors import NightError
from tasks.core.step import step
from tasks.evaluation.evaluate import evaluate_window
from tasks.evaluation.settings import EvaluationSettings, Window
from tasks.labels.known_labels import store_labels
from tasks.pages.report import report
from tasks.publishing.ledger import committed_dates
from tasks.warehouse.connection import Warehouse

log = logging.getLogger(__name__)


@step
def report_matured(
    dataset: Dataset, warehouse: Warehouse, evaluation: EvaluationSettings, day: date, staging: Path
) -> list[Path]:
    """Returns the pages of the dates whose figures change by the labels known at the end of `day`, whoever
    gave them.

    Each is evaluated once per label cut-off. The night is committed already, so that a failure here is a
    warning.
    """
    try:
        _store_labels(dataset, warehouse, evaluation, day)
        found = warehouse.rows("monitoring/list_dates_to_evaluate", as_of=day)
    except (NightError, ModelError) as error:
        log.warning("%s  report     the labels could not be read: %s", day, error)
        return []
    if not found:
        log.info("%s  report     no scored date's labels are new tonight", day)
    pages = [_report(dataset, warehouse, evaluation, row["partition_date"], day, staging) for row in found]
    return [page for page in pages if page]


def _store_labels(dataset: Dataset, warehouse: Warehouse, evaluation: EvaluationSettings, day: date) -> None:
    last = day - timedelta(days=dataset.label_delay_days)
    first = last - timedelta(days=evaluation.relabel_days - 1)
    scored = [scored for scored in committed_dates(warehouse) if first <= scored <= last]
    if dataset.columns.label and scored:
        store_labels(dataset, warehouse, scored[0], scored[-1], as_of=day)


def _report(
    dataset: Dataset,
    warehouse: Warehouse,
    evaluation: EvaluationSettings,
    matured: date,
    day: date,
    staging: Path,
) -> Path | None:
    try:
        window = Window(matured, matured, as_of=day)
        found = evaluate_window(dataset, warehouse, evaluation, window, staging)
        return report(found, warehouse.files / "reports")
    except (NightError, ModelError) as error:
        log.warning("%s  report     %s could not be evaluated: %s", day, matured, error)
        return None
