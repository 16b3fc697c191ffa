"""The versions of a dataset: which there are, and which one is champion when."""

import json
import logging
from collections.abc import Sequence
from dataclasses import asdict
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any

import duckdb

import sql
from models.checks.gates import Gate
from models.detector.detector import Detector
from tasks.core.recipe import Recipe
from tasks.core.references import LeftOut, Version
from tasks.registry.artifact_store import as_found, as_stored
from tasks.warehouse.connection import look_up, transact
from tasks.warehouse.settings import WarehouseSettings

log = logging.getLogger(__name__)


def find_champion(recipe: Recipe, warehouse: WarehouseSettings, day: date) -> Version | None:
    """The champion of a date, if it was trained with this configuration."""
    champion = look_up(warehouse, recipe.dataset.name, "registry/find_champion", {"partition_date": day})
    if champion is None or champion[-1] != recipe.training_hash:
        return None
    return stored_version(warehouse, champion[:-1])


def find_version(warehouse: WarehouseSettings, dataset: str, name: str) -> Version | None:
    """A registered version by its name, where its artifact is still there."""
    found = look_up(warehouse, dataset, "registry/find_version", {"version": name})
    return stored_version(warehouse, found[:-1]) if found else None


def stored_version(warehouse: WarehouseSettings, found: Sequence[Any]) -> Version:
    """The reference to a registered version, from the columns that `find_version` selects but for the
    last.
    """
    name, as_of, first, last, path, sha256, card, withheld = found
    card = Path(warehouse.files) / card
    return Version(
        name, as_of, first, last, path=as_found(warehouse, path), sha256=sha256, card=card, withheld=withheld
    )


def register(
    recipe: Recipe,
    warehouse: WarehouseSettings,
    version: Version,
    learnt: Detector,
    rows: int,
    left_out: LeftOut,
    gates: Sequence[Gate],
) -> None:
    """Adds a trained version to the table `models`, once, or says of a pruned one that it is there again.

    Nothing uses it until it is promoted.

    rows: training rows.
    """
    last = learnt.history[-1]
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
        "architecture": learnt.settings.architecture,
        "score": learnt.settings.score,
        "training_hash": recipe.training_hash,
        "metrics": json.dumps(
            {"epochs": last.epoch, "loss": last.loss, "validation_loss": last.validation_loss}
        ),
        "gates": json.dumps([asdict(gate) for gate in gates]),
        "withheld": version.withheld,
        "artifact_path": as_stored(warehouse, version.path),
        "artifact_sha256": version.sha256,
        "card_path": str(version.card.relative_to(warehouse.files)),
        "device": learnt.device,
    }
    transact(warehouse, recipe.dataset.name, partial(_insert_model, model))


def _insert_model(model: dict[str, Any], con: duckdb.DuckDBPyConnection) -> None:
    con.execute(sql.read("publish/lock_dataset"))
    con.execute(
        sql.read("registry/restore_version"),
        {name: model[name] for name in ("version", "artifact_path", "artifact_sha256")},
    )
    con.execute(sql.read("registry/insert_version"), model)
