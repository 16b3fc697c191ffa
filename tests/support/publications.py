"""Scored nights as they are staged, made without scoring anything."""

from datetime import UTC, date, datetime
from pathlib import Path

import polars as pl

from models.settings import ThresholdSettings
from tasks.core.dataset import Dataset
from tasks.core.references import Features, Night, Partition, Scored, Validated, Version
from tasks.core.row_sums import sum_of_ids
from tasks.publishing.brake import Brake
from tasks.publishing.commit import publish_night
from tasks.publishing.staged_night import StagedNight, new_run_id
from tasks.warehouse.connection import Warehouse
from tasks.warehouse.settings import WarehouseSettings

DAY, VERSION = date(2026, 1, 10), "v1"
REASONS = pl.List(
    pl.Struct(
        {"feature": pl.String, "contribution": pl.Float64, "observed": pl.String, "expected": pl.String}
    )
)
REFUSED = {"id": pl.String, "copy": pl.Int64, "is_repeated": pl.Boolean}
QUARANTINE = {
    "row": pl.Int64,
    "id": pl.String,
    "copy": pl.Int64,
    **dict.fromkeys(("rule", "column", "content"), pl.String),
}


def dataset_named(name: str) -> Dataset:
    """What a commit needs to know of a dataset."""
    source = {"path": "transactions/date={date}.parquet"}
    features = {"numeric": ["amount"]}
    return Dataset.model_validate(
        {"name": name, "source": source, "columns": {"id": "id"}, "features": features}
    )


def publish(warehouse: WarehouseSettings, night: StagedNight, dataset: str = "bank") -> Night:
    return publish_night(
        dataset_named(dataset), Warehouse(warehouse, dataset), Brake(0.0, 1.0, hold=False), night
    )


def register(warehouse: WarehouseSettings, dataset: str = "bank") -> None:
    """The version that every such night was scored by."""
    add = (
        "insert into models (version, as_of, artifact_path, card_path) values ($version, $as_of, "
        "'bank/models/v1', 'bank/cards/v1.html')"
    )
    Warehouse(warehouse, dataset).transact(lambda con: con.execute(add, {"version": VERSION, "as_of": DAY}))


def scored_night(
    folder: Path, fingerprint: str, rows: int = 20, day: date = DAY, profile: Path | None = None
) -> StagedNight:
    """One day of `rows` rows, the first of which is flagged; no row is refused.

    folder: below warehouse.files.
    """
    folder.mkdir(parents=True, exist_ok=True)
    scores = folder / f"{fingerprint}.parquet"
    refused, quarantine = folder / "refused.parquet", folder / "quarantine.parquet"
    text = pl.Series([f"{fingerprint}-{row}" for row in range(rows)])
    score = pl.Series([float(rows - row) for row in range(rows)])
    pl.DataFrame(
        {
            "id": text,
            "entity": text,
            "event_time": [datetime(2026, 1, 10)] * rows,
            "error": score,
            "score": score,
            "p_value": 1 / (score + 1),
            "details": pl.Series([None] * rows, dtype=pl.String),
            "rank": pl.Series(range(1, rows + 1)),
            "is_flagged": pl.Series([row == 0 for row in range(rows)]),
            "reasons": pl.Series([[]] * rows, dtype=REASONS),
        }
    ).write_parquet(scores)
    pl.DataFrame(schema=REFUSED).write_parquet(refused)
    pl.DataFrame(schema=QUARANTINE).write_parquet(quarantine)
    every_row = sum_of_ids(text)
    validated = Validated(
        Partition(day, rows, fingerprint),
        refused,
        quarantine,
        0,
        found=every_row,
        clean=every_row,
        data_docs=folder / "docs.html",
    )
    return StagedNight(
        run_id=new_run_id(day),
        features=Features(validated, None),
        scored=Scored(scores, rows, 1, rows - 0.5, profile=profile),
        version=Version(VERSION, DAY, DAY, DAY, path=str(folder), sha256="", card=folder),
        config_hash="config",
        threshold=ThresholdSettings(),
        started_at=datetime.now(UTC),
        durations={},
        force=False,
        doubt=None,
        format=4,
    )
