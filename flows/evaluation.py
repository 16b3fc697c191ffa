"""Judging a window of nights, beside what no model finds on the same rows."""

from datetime import date, timedelta
from pathlib import Path

from prefect import flow

from flows.context import bench_of
from flows.nightly import nightly
from flows.run_names import run_name
from flows.settings import Settings, load_settings
from tasks.core.errors import EvaluationError
from tasks.core.evaluation_result import Evaluation
from tasks.core.staging import scratch_folder
from tasks.evaluation.evaluate import evaluate
from tasks.evaluation.settings import Window
from tasks.operations.liveness import live_run
from tasks.pages.report import report
from tasks.publishing.ledger import committed_dates


@flow(name="evaluate", flow_run_name=run_name)
def evaluate_window(
    config: Path, first: date, last: date, as_of: date | None = None
) -> tuple[Evaluation, Path]:
    """Judges the nights first..last by the labels known at the end of `as_of` (today unless given); gives the
    figures and the page.

    Nights that are not committed yet are scored first.
    """
    settings = load_settings(config)
    with live_run(settings.files):
        for day in missing_dates(settings, first, last):
            nightly(config, day, due=False)
        return judge(settings, Window(first, last, as_of or date.today()))


@flow(name="report", flow_run_name=run_name)
def evaluate_newest(config: Path) -> tuple[Evaluation, Path]:
    """Judges the newest `evaluation.window_days` committed nights whose labels are known by today.

    Raises EvaluationError where there is none.
    """
    settings, today = load_settings(config), date.today()
    mature = today - timedelta(days=bench_of(settings).recipe.label_delay_days)
    known = [day for day in committed_dates(settings.warehouse, settings.name) if day <= mature]
    if not known:
        raise EvaluationError(
            f"no night whose labels are known by {today} is committed; score one with `nightscore run "
            "--date D`"
        )
    newest = known[-settings.evaluation.window_days :]
    with live_run(settings.files):
        return judge(settings, Window(newest[0], newest[-1], today))


def judge(settings: Settings, window: Window) -> tuple[Evaluation, Path]:
    """The figures of the committed nights of a window, and their page."""
    with scratch_folder(settings.files) as staging:
        judged = evaluate(bench_of(settings, with_reduced=True), window, staging)
    return judged, report(judged, settings.files / "reports")


def missing_dates(settings: Settings, first: date, last: date) -> list[date]:
    """The dates of a window that have no committed run."""
    done = committed_dates(settings.warehouse, settings.name)
    return [
        day
        for offset in range((last - first).days + 1)
        if (day := first + timedelta(days=offset)) not in done
    ]
