"""The night: one day of transactions, from the source to committed scores and a report."""

from datetime import date
from pathlib import Path

from prefect import flow

from flows.context import bench_of, ledger_of, recipe_of
from flows.run_names import run_name
from flows.settings import Settings, load_settings
from flows.steps import Steps
from tasks.core.references import Features, Night, Partition
from tasks.core.staging import night_folder
from tasks.features.build import features
from tasks.monitoring.challenger import challenge
from tasks.monitoring.drift import drift
from tasks.monitoring.nightly_report import report_matured
from tasks.notifications.notify import notify_doubts, notify_failure
from tasks.notifications.prefect_artifacts import show_night
from tasks.operations.liveness import live_run
from tasks.publishing.ledger import Ledger, find_committed, record_failure
from tasks.publishing.publish import publish, publish_waiting
from tasks.registry.versions import find_champion
from tasks.scoring.score import score
from tasks.source.ingest import ingest
from tasks.training.retraining import ensure_models
from tasks.validation.validate import validate


@flow(name="nightly", flow_run_name=run_name)
def nightly(config: Path, day: date, force: bool = False, due: bool = True) -> Night:
    """Scores one partition and commits it; the same source, model and configuration again is a no-op.

    due: whether somebody is to be told where the source has no such date.
    """
    settings = load_settings(config)
    ledger = ledger_of(settings)
    with live_run(settings.files), notify_failure(settings.notify, settings.name, day, due=due):
        waited = publish_waiting(ledger, settings.files, besides=day)
        with night_folder(settings.files, day, anew=force) as staging:
            with record_failure(ledger, day):
                step = Steps(staging, settings.config_hash)
                partition = step(ingest, settings, day)
                champion = find_champion(recipe_of(settings), settings.warehouse, day)
                done = find_committed(ledger, partition, champion) if champion and not force else None
                night = done or score_partition(settings, ledger, step, partition, staging, force)
            after_commit(settings, night, staging)
    show_night(settings.name, night)
    notify_doubts(settings.notify, settings.name, [*waited, night])
    return night


def score_partition(
    settings: Settings, ledger: Ledger, step: Steps, partition: Partition, staging: Path, force: bool
) -> Night:
    """From a partition to its committed scores; a step that an earlier run of the date has finished is not
    repeated.
    """
    clean = clean_rows(settings, step, partition, staging)
    scorers = step(ensure_models, recipe_of(settings), settings.warehouse, settings.notify, partition.date)
    scored = step.kept(score, settings, clean, scorers, settings.threshold, staging)
    return step(publish, ledger, clean, scored, scorers.champion, step.durations, staging, force)


def clean_rows(settings: Settings, step: Steps, partition: Partition, staging: Path) -> Features:
    """The features of the rows that pass the gate."""
    validated = step.kept(
        validate, settings, partition, staging, settings.files / "data-docs" / f"{partition.date}.html"
    )
    return step.kept(features, settings, validated, recipe_of(settings).label_delay_days, staging)


def after_commit(settings: Settings, night: Night, staging: Path) -> None:
    """What a committed night is good for: its drift, what the labels known by its end say of earlier nights,
    and of the challengers.
    """
    drift(recipe_of(settings), settings.warehouse, settings.notify, night)
    report_matured(bench_of(settings), night.date, settings.files / "reports", staging)
    challenge(bench_of(settings), settings.challenger, settings.notify, night.date)
