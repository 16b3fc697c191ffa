"""The night: one day of transactions, from the source to committed scores and a report."""

from datetime import date
from pathlib import Path

from prefect import flow

from flows.context import bench_of, ledger_of, recipe_of
from flows.settings import load_settings
from flows.steps import Steps
from tasks.features import features
from tasks.matured import report_matured
from tasks.publish import failures_noted, find_committed, publish
from tasks.references import Night
from tasks.registry import find_champion
from tasks.score import score
from tasks.source import ingest
from tasks.staging import staging_folder
from tasks.train import train
from tasks.validate import validate


@flow(name="nightly")
def nightly(config: Path, day: date, force: bool = False) -> Night:
    """Scores one partition and commits it; the same source, model and configuration again is a no-op."""
    settings, step = load_settings(config), Steps()
    ledger, recipe = ledger_of(settings), recipe_of(settings)
    with staging_folder(settings.files, day) as staging:
        with failures_noted(ledger, day):
            partition = step(ingest, settings, day)
            champion = find_champion(recipe, settings.warehouse, day)
            if not force and champion and (done := find_committed(ledger, partition, champion)):
                return done
            validated = step(validate, settings, partition, staging, settings.files / "data-docs" / f"{day}.html")
            clean = step(features, settings, validated, recipe.label_delay_days, staging)
            version = champion or step(train, recipe, settings.warehouse, day, staging, "no fresh champion with this configuration")
            scored = step(score, settings, clean, version, settings.threshold, staging)
            night = step(publish, ledger, clean, scored, version, step.durations)
        report_matured(bench_of(settings), day, settings.files / "reports", staging)
    return night
