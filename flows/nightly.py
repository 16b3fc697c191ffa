"""The night: one day of transactions, from the source to committed scores and a report."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path

from flows.settings import Settings, load_settings
from flows.steps import Steps
from tasks.core.errors import dated, first_line
from tasks.core.references import Features, Night, Partition
from tasks.core.staging import naming_full_disk, night_folder, scratch_folder
from tasks.labels.known_labels import labels
from tasks.monitoring.challenger import decide_challengers
from tasks.monitoring.drift import drift
from tasks.monitoring.nightly_report import report_matured
from tasks.notifications.notify import notify_failure, notify_warnings
from tasks.notifications.prefect_artifacts import show_night
from tasks.operations.liveness import track_run
from tasks.publishing.held import find_held, name_held
from tasks.publishing.ledger import find_committed, record_failure
from tasks.publishing.publish import publish, publish_waiting
from tasks.registry.versions import find_champion
from tasks.source.ingest import ingest, require_same_source
from tasks.training.retraining import ensure_models
from tasks.warehouse.connection import Warehouse

log = logging.getLogger(__name__)


def score_night(config: Path, day: date, force: bool = False, due: bool = True) -> Night:
    """Scores one partition and commits it; the same source, version and configuration again is a no-op.

    due: whether a source that lacks the date is notified.
    """
    settings = load_settings(config)
    warehouse = settings.open_warehouse()
    with track_run(settings.files):
        with open_night(settings, warehouse, day, force=force, due=due) as step:
            partition = step(ingest, settings, day, settings.files)
            known = None if force else find_same_night(settings, warehouse, partition)
            night = known or commit_night(settings, warehouse, step, partition, force=force)
        follow_up(settings, warehouse, night)
    return night


def commit_night(
    settings: Settings, warehouse: Warehouse, step: Steps, partition: Partition, *, force: bool
) -> Night:
    """From a partition to its committed scores; a step that an earlier run has finished is not repeated."""
    from tasks.scoring.score import score  # loads TensorFlow

    featured = clean_features(settings, step, partition)
    models = step(ensure_models, settings, warehouse, settings.notify, partition.date)
    scored = step.kept(score, settings, featured, models, settings.threshold, step.staging)
    require_same_source(settings, partition, settings.files)
    return step(
        publish,
        settings,
        warehouse,
        settings.evaluation.brake,
        featured,
        scored,
        models.champion,
        step.started_at,
        step.durations,
        step.staging,
        force,
    )


def clean_features(settings: Settings, step: Steps, partition: Partition) -> Features:
    """The features of the rows that pass the gate."""
    from tasks.features.build import features
    from tasks.validation.validate import validate  # loads Great Expectations

    page = settings.files / "data-docs" / f"{partition.date}.html"
    validated = step.kept(validate, settings, partition, step.staging, page)
    return step.kept(features, settings, validated, settings.label_delay_days, step.staging)


def follow_up(settings: Settings, warehouse: Warehouse, night: Night) -> None:
    """What follows a night that is committed or held: the first is monitored, and both are announced."""
    if not night.is_held:
        monitor(settings, warehouse, night)
    with committed_already(night.date, "notify"):
        show_night(settings.name, night)
        notify_warnings(settings.notify, settings.name, [night])


def monitor(settings: Settings, warehouse: Warehouse, night: Night) -> None:
    """What follows a commit: drift, what is known by now, the report of the nights whose labels are known,
    decisions on challengers. What fails here leaves the night committed: it is a warning.
    """
    day, evaluation = night.date, settings.evaluation
    with scratch_folder(settings.files) as staging:
        with committed_already(day, "drift"):
            drift(settings, warehouse, settings.notify, night)
        with committed_already(day, "labels"):
            labels(settings, warehouse, evaluation.relabel_days, day)
        with committed_already(day, "report"):
            report_matured(settings, warehouse, evaluation, settings.notify, settings.report, day, staging)
        with committed_already(day, "challenge"):
            decide_challengers(settings, warehouse, evaluation, settings.challenger, settings.notify, day)


@contextmanager
def committed_already(day: date, step: str) -> Iterator[None]:
    """Turns whatever fails after the commit of a night into a warning."""
    try:
        yield
    except Exception as error:
        reason = first_line(error) or type(error).__name__
        message = "%s  %-9s  failed: %s; the night is committed, and the next run of the date tries again"
        log.warning(message, day, step, reason, exc_info=log.isEnabledFor(logging.DEBUG))


def find_same_night(settings: Settings, warehouse: Warehouse, partition: Partition) -> Night | None:
    """The held or committed night of this partition, by the champion of its date and this configuration; else
    None. A held one is the newer: whatever is committed of its date has superseded it.
    """
    champion = find_champion(settings, warehouse, partition.date)
    if champion is None:
        return None
    held = find_held(settings, warehouse, partition, champion)
    return held or find_committed(settings, warehouse, partition, champion)


@contextmanager
def open_night(
    settings: Settings, warehouse: Warehouse, day: date, *, force: bool, due: bool = True
) -> Iterator[Steps]:
    """The steps of a night in its folder, after the nights that waited were committed and the held ones
    named; failures are recorded and notified.

    Another process that works on the date is waited for.
    """
    with notify_failure(settings.notify, settings.name, day, due=due):
        waited = publish_waiting(settings, warehouse, settings.evaluation.brake, besides=day)
        notify_warnings(settings.notify, settings.name, waited)
        name_held(warehouse, besides=day)
        with (
            night_folder(settings.files, day, anew=force) as staging,
            record_failure(settings, warehouse, day),
            naming_full_disk(day, settings.files),
            dated(day),
        ):
            yield Steps(staging, settings)
