"""Evaluating a window of nights, beside baselines on the same rows."""

from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from flows.nightly import score_night
from flows.settings import Settings, load_settings
from tasks.core.dates import date_range
from tasks.core.errors import EvaluationError
from tasks.core.evaluation_result import Evaluation
from tasks.core.staging import scratch_folder
from tasks.evaluation.evaluate import evaluate
from tasks.evaluation.settings import Window
from tasks.operations.liveness import track_run
from tasks.pages.report import report
from tasks.publishing.ledger import committed_dates


def evaluate_nights(
    config: Path, first: date, last: date, as_of: date | None = None, night: Callable[..., Any] = score_night
) -> tuple[Evaluation, Path]:
    """Evaluates the nights first..last by the labels known at the end of `as_of` (today unless given).

    Nights that are not committed yet are scored first, each by `night`. Returns the figures and their page.
    """
    settings = load_settings(config)
    with track_run(settings.files):
        for day in missing_dates(settings, first, last):
            night(config, day, due=False)
        return _evaluate(settings, Window(first, last, as_of or date.today()))


def evaluate_newest(config: Path) -> tuple[Evaluation, Path]:
    """Evaluates the newest `evaluation.window_days` committed nights whose labels are known by today.

    Raises EvaluationError where there is none.
    """
    settings, today = load_settings(config), date.today()
    mature = today - timedelta(days=settings.label_delay_days)
    known = [day for day in _committed(settings) if day <= mature]
    if not known:
        raise EvaluationError(
            f"no night whose labels are known by {today} is committed; score one with `nightscore run "
            "--date D`"
        )
    newest = known[-settings.evaluation.window_days :]
    with track_run(settings.files):
        return _evaluate(settings, Window(newest[0], newest[-1], today))


def missing_dates(settings: Settings, first: date, last: date) -> list[date]:
    """The dates of a window that have no committed run."""
    done = _committed(settings)
    return [day for day in date_range(first, last) if day not in done]


def _committed(settings: Settings) -> list[date]:
    return committed_dates(settings.open_warehouse())


def _evaluate(settings: Settings, window: Window) -> tuple[Evaluation, Path]:
    """The figures of the committed nights of a window, and their page."""
    warehouse = settings.open_warehouse()
    with scratch_folder(settings.files) as staging:
        found = evaluate(settings, warehouse, settings.evaluation, window, staging)
    return found, report(found, settings.files / "reports", settings.report)
