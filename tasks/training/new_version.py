"""One new version: the window whose labels are known, the detector learnt from it, its checks, its card."""

import hashlib
import json
import logging
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import polars as pl
from pydantic import TypeAdapter, ValidationError

from models.checks.gates import Gate, check, withholding_reason
from models.detector import artifacts, detector
from models.detector.detector import Detector
from models.errors import ArtifactError
from models.flagging.reserve import known_rule
from models.flagging.thresholds import fixed_threshold
from models.head.rows import HeadTraining
from models.networks.fitting import OnEpoch
from models.networks.schedule import Schedule
from models.settings import TrainingSettings
from tasks.core.atomic_files import write_atomically
from tasks.core.dataset import Dataset
from tasks.core.dates import date_range
from tasks.core.errors import dated
from tasks.core.identity import training_identity
from tasks.core.references import DateLeftOut, Partition, Version
from tasks.core.staging import naming_full_disk, work_folder
from tasks.labels.known_labels import known_labels
from tasks.labels.origins import count_selected
from tasks.notifications.prefect_artifacts import TrainingProgress
from tasks.pages.model_card import CardFacts, write_card
from tasks.registry.artifact_store import Artifact, load, put, root_of, verify
from tasks.registry.versions import find_version, register
from tasks.training.head_rows import HeadWindow, head_training, read_head_window
from tasks.training.window import (
    KEYS,
    TrainingRows,
    find_kept,
    find_unconfirmed,
    prepare,
    read_window,
    require_half,
    training_rows,
)
from tasks.warehouse.connection import Warehouse

log = logging.getLogger(__name__)
_ARTIFACT = TypeAdapter(Artifact)


def train_version(dataset: Dataset, warehouse: Warehouse, as_of: date, prepared: Path) -> Version:
    """Trains a version, checks it, writes its model card and registers it; see `_trained`.

    prepared: a folder for the days that it learns from; see `prepare`.
    """
    with dated(as_of), naming_full_disk(as_of, warehouse.files):
        return _trained(dataset, warehouse, as_of, prepared)


def _trained(dataset: Dataset, warehouse: Warehouse, as_of: date, prepared: Path) -> Version:
    """Trains and registers a version.

    The same rows, labels and configuration give the version that is registered already. Of two processes that
    train the same version the second waits for the first, and uses what that has registered.

    Raises TrainingError where the window has no rows to learn from, or what was learnt is no detector.
    """
    first, last = dataset.training_window(as_of)
    partitions, left_out = read_window(dataset, first, last, warehouse.files)
    labels = known_labels(dataset, warehouse, first, last, as_of - timedelta(days=1))
    unconfirmed = find_unconfirmed(dataset, warehouse, first, last, labels)
    kept = find_kept(warehouse, first, last)
    window = read_head_window(dataset, warehouse, as_of)
    names = [
        f"{as_of}-{_digest(training_hash, partitions, labels, unconfirmed, kept, window)[:8]}"
        for training_hash in training_identity(dataset).hashes
    ]
    name = names[0]
    with work_folder(warehouse.files, f"train-{name}") as staging:
        if known := next(filter(None, (find_version(warehouse, each) for each in names)), None):
            log.info(
                (
                    "%s  train      %s was trained from the same rows, labels and configuration; it is "
                    "used as it is"
                ),
                as_of,
                known.name,
            )
            return known
        days, unusable = prepare(dataset, partitions, prepared)
        left_out += unusable
        require_half(left_out, days)
        rows = training_rows(dataset, days, labels, unconfirmed, kept)
        count = f"{rows.normals.height:,}"
        log.info("%s  train      %s rows of %s..%s; %s", as_of, count, first, last, rows.left_out)
        note = warehouse.files / "models" / f"{name}.json"
        artifact = _learnt_earlier(note, as_of)
        if artifact is None:
            head = None
            if window is not None and window.why_none is None:
                head = head_training(dataset, window, days, rows, prepared)
            artifact = _learn(dataset, rows, head, as_of, staging / name, root_of(warehouse))
        write_atomically(note, _ARTIFACT.dump_json(artifact).decode())
        known_count = labels["label"].count()
        version = _register(dataset, warehouse, artifact, name, as_of, rows, left_out, known_count, window)
        note.unlink(missing_ok=True)
        return find_version(warehouse, name) or version  # another machine may have registered it first


def _learnt_earlier(note: Path, as_of: date) -> Artifact | None:
    """What a run has learnt that ended before it could register the version."""
    try:
        artifact = _ARTIFACT.validate_json(note.read_bytes())
        verify(artifact.path, artifact.sha256)
    except (FileNotFoundError, ValidationError, ArtifactError):
        return None
    log.info("%s  train      %s was learnt by an earlier run", as_of, note.stem)
    return artifact


def _register(
    dataset: Dataset,
    warehouse: Warehouse,
    artifact: Artifact,
    name: str,
    as_of: date,
    rows: TrainingRows,
    left_out: list[DateLeftOut],
    labels: int,
    head: HeadWindow | None,
) -> Version:
    """Checks what was learnt, writes its model card, and registers it."""
    learnt = load(artifact.path, artifact.sha256)
    gates = check(learnt)
    for gate in gates:
        log.log(
            logging.WARNING if gate.passed is False else logging.INFO,
            "%s  train      %s: %s",
            as_of,
            gate.name,
            gate.finding,
        )
    version = Version(
        name,
        as_of,
        *dataset.training_window(as_of),
        artifact.path,
        artifact.sha256,
        warehouse.files / "cards" / f"{name}.html",
        withheld=withholding_reason(gates, strict=dataset.training.gate == "strict"),
    )
    facts = _card_facts(dataset, learnt, rows, left_out, gates, as_of)
    window = (version.first_date, version.last_date, as_of - timedelta(days=1))
    facts = replace(facts, labels=labels, selected=count_selected(warehouse, *window))
    if head is not None:
        selected = count_selected(warehouse, head.first, head.last, window[2])
        count = head.labels["label"].count()
        facts = replace(facts, head_labels=count, head_selected=selected, why_no_head=head.why_none)
    write_card(version, learnt, facts)
    register(dataset, warehouse, version, learnt, rows.normals.height, rows.left_out, gates)
    return version


def _learn(
    dataset: Dataset, rows: TrainingRows, head: HeadTraining | None, as_of: date, folder: Path, root: str
) -> Artifact:
    """Learns a detector, saves it in the folder, and copies it to the store below `root`."""
    features, training = dataset.features, dataset.training
    progress = TrainingProgress(dataset.name, as_of, dataset.model.members, Schedule.of(training).rounds)
    learnt = detector.train(
        rows.normals,
        features.numeric,
        features.categorical,
        dataset.model,
        training,
        _epoch_logger(as_of, training, progress),
        image=features.image,
        anomalies=rows.frauds,
        unconfirmed=rows.unconfirmed.to_numpy(),
        head=head,
    )
    progress.done()
    artifacts.save(learnt, folder)
    return put(folder, root)


def _card_facts(
    dataset: Dataset,
    learnt: Detector,
    rows: TrainingRows,
    left_out: list[DateLeftOut],
    gates: tuple[Gate, ...],
    as_of: date,
) -> CardFacts:
    reasons = {each.date: each.reason for each in left_out}
    window = date_range(*dataset.training_window(as_of))
    return CardFacts(
        dataset=dataset.name,
        rows=rows.normals.height,
        left_out=rows.left_out,
        dates=rows.dates,
        gaps=tuple(
            DateLeftOut(day, reasons.get(day, "no partition")) for day in window if day not in rows.dates
        ),
        rule=dataset.threshold.rule,
        config_hash=training_identity(dataset).current,
        threshold=fixed_threshold(
            learnt.calibration, known_rule(dataset.threshold, has_head=learnt.blend is not None)
        ),
        reserve=dataset.threshold.reserve if learnt.blend else 0.0,
        gates=gates,
        private=dataset.columns.private,
    )


def _digest(
    training_hash: str,
    partitions: list[Partition],
    labels: pl.DataFrame,
    unconfirmed: pl.DataFrame,
    kept: pl.DataFrame,
    head: HeadWindow | None,
) -> str:
    """Identifies what a version is trained from: configuration, partitions, known frauds and unconfirmed
    rows, and those of the head where there is one.
    """

    def ids_of(rows: pl.DataFrame) -> str:
        return "\n".join(rows.select(pl.concat_str(KEYS, separator="/")).to_series().sort())

    strange = ids_of(labels.filter("is_strange"))
    of_head = []
    if head is not None:
        of_head = [
            _digest("", head.earlier, head.labels, head.unconfirmed, head.kept, None),
            ids_of(head.known_then),
        ]
    content = [
        training_hash,
        [partition.fingerprint for partition in partitions],
        ids_of(labels.filter("label")),
        ids_of(unconfirmed),
        *([strange] if strange else []),  # keys that leave the names of other versions as they were
        *([["kept", ids_of(kept)]] if kept.height else []),
        *of_head,
    ]
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()


def _epoch_logger(as_of: date, training: TrainingSettings, progress: TrainingProgress) -> OnEpoch:
    most = Schedule.of(training).rounds

    def log_epoch(epoch: int, loss: float, validation_loss: float) -> None:
        progress.epoch(epoch, loss, validation_loss)
        if epoch == 1 or epoch % 5 == 0:
            log.info(
                "%s  train      epoch %2d of at most %d: loss %.4f, held out %.4f",
                as_of,
                epoch,
                most,
                loss,
                validation_loss,
            )

    return log_epoch
