"""The versions of a dataset: which there are, and which one is champion when."""

import json
import logging
from collections.abc import Sequence
from dataclasses import asdict
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb

from tasks.core.dataset import Dataset
from tasks.core.identity import training_identity
from tasks.core.references import LeftOut, Version
from tasks.registry.artifact_store import as_found, as_stored
from tasks.warehouse.connection import Warehouse
from tasks.warehouse.statements import Row, execute

if TYPE_CHECKING:  # the detector starts TensorFlow, which a look-up need not wait for
    from models.checks.gates import Gate
    from models.detector.detector import Detector

log = logging.getLogger(__name__)


def find_champion(dataset: Dataset, warehouse: Warehouse, day: date) -> Version | None:
    """The champion of a date, if it was trained with this configuration."""
    champion = warehouse.row("registry/find_champion", partition_date=day)
    if champion is None or champion["training_hash"] not in training_identity(dataset):
        return None
    return stored_version(warehouse, champion)


def find_version(warehouse: Warehouse, name: str) -> Version | None:
    """A registered version by its name, where its artifact is still there."""
    found = warehouse.row("registry/find_version", version=name)
    return stored_version(warehouse, found) if found else None


def find_reduced_version(dataset: Dataset, warehouse: Warehouse, as_of: date) -> Version | None:
    """The version that was trained as of this date without the label-derived features; None where there is
    none.
    """
    hashes = list(training_identity(dataset.without_label_derived()).hashes)
    found = warehouse.row("registry/find_reduced_version", as_of=as_of, training_hashes=hashes)
    return stored_version(warehouse, found) if found else None


def stored_version(warehouse: Warehouse, row: Row) -> Version:
    """The reference to a registered version, from a row with its columns of the table `models`."""
    return Version(
        name=row["version"],
        as_of=row["as_of"],
        first_date=row["first_date"],
        last_date=row["last_date"],
        path=as_found(warehouse, row["artifact_path"]),
        sha256=row["artifact_sha256"],
        card=Path(warehouse.settings.files) / row["card_path"],
        withheld=row["withheld"],
    )


def register(
    dataset: Dataset,
    warehouse: Warehouse,
    version: Version,
    learnt: "Detector",
    rows: int,
    left_out: LeftOut,
    gates: "Sequence[Gate]",
) -> None:
    """Inserts a trained version into the table `models`, once, or restores one that was pruned.

    Nothing uses it until it is promoted. rows: training rows.
    """
    last = learnt.history[-1]
    learning = {
        "epochs": last.epoch,
        "loss": last.loss,
        "validation_loss": last.validation_loss,
        "held_out": len(learnt.calibration.held_out),
    }
    if learnt.head_report is not None:
        learning["head"] = learnt.head_report.used
    model = {
        "version": version.name,
        "as_of": version.as_of,
        "first_date": version.first_date,
        "last_date": version.last_date,
        "rows": rows,
        "dates": left_out.dates,
        "known_frauds": left_out.known_frauds,
        "unconfirmed": left_out.unconfirmed,
        "contamination": left_out.contamination,
        "architecture": learnt.architecture,
        "score": learnt.settings.score,
        "training_hash": training_identity(dataset).current,
        "metrics": json.dumps(learning),
        "gates": json.dumps([asdict(gate) for gate in gates]),
        "withheld": version.withheld,
        "artifact_path": as_stored(warehouse, version.path),
        "artifact_sha256": version.sha256,
        "card_path": str(version.card.relative_to(warehouse.settings.files)),
        "device": learnt.device,
    }
    warehouse.transact(lambda con: _insert_version(con, model))


def _insert_version(con: duckdb.DuckDBPyConnection, model: dict[str, Any]) -> None:
    execute(con, "publish/lock_dataset")
    artifact = {name: model[name] for name in ("version", "artifact_path", "artifact_sha256")}
    execute(con, "registry/restore_version", **artifact)
    execute(con, "registry/insert_version", **model)
