"""The report of a night: every date is evaluated as its labels become known, and again where they change."""

import logging
from datetime import date
from pathlib import Path

from models.errors import ModelError
from tasks.core.dataset import Dataset
from tasks.core.errors import NightError
from tasks.core.step import step
from tasks.evaluation.settings import EvaluationSettings, Window
from tasks.notifications.notify import notify_report
from tasks.notifications.settings import NotifySettings
from tasks.pages.settings import ReportSettings
from tasks.warehouse.connection import Warehouse

log = logging.getLogger(__name__)


@step
def report_matured(
    dataset: Dataset,
    warehouse: Warehouse,
    evaluation: EvaluationSettings,
    notify: NotifySettings,
    shown: ReportSettings,
    day: date,
    staging: Path,
) -> list[Path]:
    """Returns the pages of the dates whose figures change by the labels known at the end of `day`, whoever
    gave them; each is sent to the webhooks that want it.

    Each is evaluated once per label cut-off. The night is committed already, so that a failure here is a
    warning.
    """
    found = warehouse.rows("monitoring/list_dates_to_evaluate", as_of=day)
    if not found:
        log.info("%s  report     no scored date's labels are new tonight", day)
    pages = [
        _report(dataset, warehouse, evaluation, notify, shown, row["partition_date"], day, staging)
        for row in found
    ]
    return [page for page in pages if page]


def _report(
    dataset: Dataset,
    warehouse: Warehouse,
    evaluation: EvaluationSettings,
    notify: NotifySettings,
    shown: ReportSettings,
    matured: date,
    day: date,
    staging: Path,
) -> Path | None:
    # Loads TensorFlow for the baselines; most nights of a backfill have nothing to evaluate.
    from tasks.evaluation.evaluate import evaluate_window
    from tasks.pages.report import report
    from tasks.pages.report_text import lead

    try:
        window = Window(matured, matured, as_of=day)
        found = evaluate_window(dataset, warehouse, evaluation, window, staging)
        page = report(found, warehouse.files / "reports", shown)
    except (NightError, ModelError) as error:
        log.warning("%s  report     %s could not be evaluated: %s", day, matured, error)
        return None
    (night,) = found.nights
    if found.figures:
        message = f"by the labels known at the end of {day}: {lead(found)}"
        notify_report(notify, dataset.name, matured, night.run_id, message)
    return page
