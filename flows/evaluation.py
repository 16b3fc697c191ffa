"""Judging a window of nights: what is not committed yet is scored first, then everything is compared on the same rows."""

from datetime import date, timedelta
from pathlib import Path

from prefect import flow

from flows.context import bench_of
from flows.nightly import nightly
from flows.settings import load_settings
from tasks.evaluate import committed_dates, evaluate
from tasks.judgement import Evaluation
from tasks.report import report
from tasks.staging import staging_folder
from tasks.window import Window


@flow(name="evaluate")
def evaluate_window(config: Path, first: date, last: date, as_of: date | None = None) -> tuple[Evaluation, Path]:
    """Judges the nights first..last by the labels known at the end of `as_of` (today unless given); gives the figures and the page."""
    settings, window = load_settings(config), Window(first, last, as_of or date.today())
    for day in missing_dates(config, first, last):
        nightly(config, day)
    with staging_folder(settings.files, last) as staging:
        judged = evaluate(bench_of(settings, with_reduced=True), window, staging)
    return judged, report(judged, settings.files / "reports")


def missing_dates(config: Path, first: date, last: date) -> list[date]:
    """The dates of a window that have no committed run."""
    settings = load_settings(config)
    done = committed_dates(settings.warehouse, settings.name)
    return [day for offset in range((last - first).days + 1) if (day := first + timedelta(days=offset)) not in done]


def evaluate_newest(config: Path) -> tuple[Evaluation, Path]:
    """Judges the newest `evaluation.window_days` committed nights whose labels are known."""
    settings = load_settings(config)
    bench = bench_of(settings, with_reduced=False)
    mature = date.today() - timedelta(days=bench.recipe.label_delay_days)
    done = [day for day in committed_dates(settings.warehouse, settings.name) if day <= mature][-settings.evaluation.window_days :]
    return evaluate_window(config, done[0], done[-1])
