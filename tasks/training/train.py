"""Training: the window of dates whose labels are known, and a version learnt from it."""

import hashlib
import json
import logging
from datetime import date, timedelta
from pathlib import Path

import polars as pl
from prefect import task
from prefect.cache_policies import NO_CACHE
from pydantic import TypeAdapter, ValidationError

from models.checks.gates import Gate, check, withholding_reason
from models.detector import artifacts, detector
from models.detector.detector import Detector
from models.errors import ArtifactError
from models.flagging.thresholds import fixed_threshold
from models.networks.fitting import OnEpoch
from models.settings import TrainingSettings
from tasks.core.atomic_files import write_atomically
from tasks.core.errors import GateFailed
from tasks.core.recipe import Recipe
from tasks.core.references import Partition, Version
from tasks.core.staging import work_folder
from tasks.labels.known_labels import known_labels
from tasks.notifications.notify import notify_promotion
from tasks.notifications.prefect_artifacts import TrainingProgress
from tasks.notifications.settings import NotifySettings
from tasks.pages.model_card import CardFacts, write_card
from tasks.registry.artifact_store import Artifact, load, put, root_of, verify
from tasks.registry.promotions import promote
from tasks.registry.versions import find_champion, find_version, register
from tasks.training.window import KEYS, TrainingRows, find_unconfirmed, prepare, read_window, training_rows
from tasks.warehouse.settings import WarehouseSettings

log = logging.getLogger(__name__)
_ARTIFACT = TypeAdapter(Artifact)


@task(cache_policy=NO_CACHE)
def train(
    recipe: Recipe,
    warehouse: WarehouseSettings,
    notify: NotifySettings,
    as_of: date,
    why: str,
    *,
    promoted: bool = False,
) -> Version:
    """A version from the labels known at the start of `as_of`; see `train_version`.

    It is a challenger, unless no version of its configuration is champion of that date and it may become one
    without a person: then, or where it is to be `promoted` in any case, it is champion from that date on, and
    that is told.
    Raises GateFailed where the version is kept out of service.
    """
    version = train_version(recipe, warehouse, as_of)
    if version.withheld:
        raise GateFailed(
            f"{as_of}: {version.name} is kept out of service: {version.withheld} See {version.card}; "
            "mend the features or the training "
            '(training.gate = "warn" lets usefulness pass)'
        )
    champion = find_champion(recipe, warehouse, as_of)
    if promoted or (champion is None and recipe.training.promotion == "automatic"):
        if promote(warehouse, recipe.dataset.name, version, why):
            notify_promotion(notify, recipe.dataset.name, version.name, version.as_of, why)
    elif champion != version:
        log.info(
            "%s  train      %s is a challenger of %s",
            as_of,
            version.name,
            champion.name if champion else "nobody yet",
        )
    return version


def train_version(recipe: Recipe, warehouse: WarehouseSettings, as_of: date) -> Version:
    """Learns a version, checks it, writes its model card and registers it; the same rows, labels and
    configuration give the stored one.

    Two processes do not learn the same version at once: the second waits for the first, and uses what that
    has stored.

    Raises TrainingError where the window has no rows to learn from, or what was learnt is no detector.
    """
    first, last = recipe.window(as_of)
    partitions = read_window(recipe.dataset, first, last)
    dataset, labels = (
        recipe.dataset.name,
        known_labels(recipe.dataset, warehouse, first, last, as_of - timedelta(days=1)),
    )
    unconfirmed = find_unconfirmed(recipe, warehouse, first, last, labels)
    name = f"{as_of}-{_digest(recipe, partitions, labels, unconfirmed)[:8]}"
    with work_folder(recipe.files, f"train-{name}") as staging:
        if known := find_version(warehouse, dataset, name):
            log.info(
                (
                    "%s  train      %s was trained from the same rows, labels and configuration; it is "
                    "used as it is"
                ),
                as_of,
                name,
            )
            return known
        rows = training_rows(recipe, prepare(recipe, partitions, staging), labels, unconfirmed)
        log.info(
            "%s  train      %s rows of %s..%s; %s",
            as_of,
            f"{rows.normals.height:,}",
            first,
            last,
            rows.left_out,
        )
        note = recipe.files / "models" / f"{name}.json"
        artifact = _learnt_earlier(note, as_of) or _learn(
            recipe, rows, as_of, staging / name, root_of(warehouse, dataset)
        )
        write_atomically(note, _ARTIFACT.dump_json(artifact).decode())
        version = _register(recipe, warehouse, artifact, name, as_of, rows)
        note.unlink(missing_ok=True)
        return (
            find_version(warehouse, dataset, name) or version
        )  # a process on another machine may have been faster


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
    recipe: Recipe,
    warehouse: WarehouseSettings,
    artifact: Artifact,
    name: str,
    as_of: date,
    rows: TrainingRows,
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
        *recipe.window(as_of),
        artifact.path,
        artifact.sha256,
        recipe.files / "cards" / f"{name}.html",
        withheld=withholding_reason(gates, strict=recipe.training.gate == "strict"),
    )
    write_card(version, learnt, _card_facts(recipe, learnt, rows, gates))
    register(recipe, warehouse, version, learnt, rows.normals.height, rows.left_out, gates)
    return version


def _learn(recipe: Recipe, rows: TrainingRows, as_of: date, folder: Path, root: str) -> Artifact:
    """Learns a detector, saves it in the folder, and copies it to the store below `root`."""
    features, training = recipe.dataset.features, recipe.training
    progress = TrainingProgress(recipe.dataset.name, as_of, recipe.model.members, training.epochs)
    learnt = detector.train(
        rows.normals,
        features.numeric,
        features.categorical,
        recipe.model,
        training,
        _epoch_logger(as_of, training, progress),
        image=features.image,
        anomalies=rows.frauds,
        unconfirmed=rows.unconfirmed.to_numpy(),
    )
    progress.done()
    artifacts.save(learnt, folder)
    return put(folder, root)


def _card_facts(recipe: Recipe, learnt: Detector, rows: TrainingRows, gates: tuple[Gate, ...]) -> CardFacts:
    threshold = recipe.threshold
    return CardFacts(
        dataset=recipe.dataset.name,
        rows=rows.normals.height,
        left_out=rows.left_out,
        rule=f"{threshold.strategy} {threshold.value:g}",
        threshold=fixed_threshold(learnt.calibration, threshold),
        gates=gates,
        private=recipe.dataset.columns.private,
    )


def _digest(
    recipe: Recipe, partitions: list[Partition], labels: pl.DataFrame, unconfirmed: pl.DataFrame
) -> str:
    """Identifies what a version is learnt from: configuration, content of the window, its known frauds and
    its unconfirmed rows.
    """
    ids = [
        "\n".join(rows.select(pl.concat_str(KEYS, separator="/")).to_series().sort())
        for rows in (labels.filter(pl.col("label")), unconfirmed)
    ]
    content = [recipe.training_hash, [partition.fingerprint for partition in partitions], *ids]
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()


def _epoch_logger(as_of: date, training: TrainingSettings, progress: TrainingProgress) -> OnEpoch:
    def log_epoch(epoch: int, loss: float, validation_loss: float) -> None:
        progress.epoch(epoch, loss, validation_loss)
        if epoch == 1 or epoch % 5 == 0:
            log.info(
                "%s  train      epoch %2d of at most %d: loss %.4f, held out %.4f",
                as_of,
                epoch,
                training.epochs,
                loss,
                validation_loss,
            )

    return log_epoch
