"""How large a year of results is: 365 nights of 10,000 rows through the publishing of every night, into a
real DuckDB file.

Prints one JSON object; `make bench-size` runs it. The rows are drawn; everything from the staged Parquet on
is the real code: the transaction, the ledger, the labels as they mature. The floor is what the same rows take
in Parquet files compressed with zstd. One whole night, trained, scored and judged, tells what its pages and
its version take beside the warehouse.
"""

import argparse
import json
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import duckdb
import numpy as np
import polars as pl

import sql
from flows.settings import Settings, load_settings
from tasks.core.identity import training_identity
from tasks.core.references import Features, Partition, Scored, Validated, Version
from tasks.core.row_sums import sum_of_ids
from tasks.labels.known_labels import store_labels
from tasks.publishing.commit import publish_night
from tasks.publishing.staged_night import stage_night
from tasks.warehouse.connection import Warehouse

NIGHTS, ROWS, MOST_BYTES_PER_ROW = 365, 10_000, 400
FIRST, NIGHT = (
    date(2025, 1, 1),
    date(2025, 1, 16),
)  # NIGHT: the first one with a whole training window of matured dates
DELAY, RETRAIN_EVERY = 7, 7
CARDS, TERMINALS, CALIBRATION = 5_000, 10_000, 20_000
FEATURES = 15
NAMES = ["amount", *(f"v{number:02d}" for number in range(1, FEATURES))]
THRESHOLD = 30.0
TABLES = ("runs", "score_rows", "quarantine", "labels")
CONFIG = f"""
name = "size"

[source]
path = "transactions/date={{date}}/*.parquet"

[columns]
id = "transaction_id"
time = "tx_time"
entity = "customer_id"
label = "is_fraud"

[features]
numeric = {json.dumps(NAMES)}
categorical = ["channel"]

[quality.columns.amount]
min = 0.0

[training]
window_days = 7
label_delay_days = {DELAY}
retrain_every_days = {RETRAIN_EVERY}
epochs = 3
"""


def main() -> None:
    """Publishes a year, runs one whole night, and prints what both take on disk."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--nights", type=int, default=NIGHTS, help="how many nights are published")
    parser.add_argument("--rows", type=int, default=ROWS, help="rows of each night")
    asked = parser.parse_args()
    with TemporaryDirectory(prefix="nightscore-size-") as folder:
        warehouse = measure(Path(folder) / "year", asked.nights, asked.rows)
        pages = page_bytes(Path(folder) / "night", asked.rows)
        print(json.dumps(warehouse | beside(pages, asked.rows, float(warehouse["bytes_per_row"]))))


def measure(folder: Path, nights: int, rows: int) -> dict[str, Any]:
    """Publishes the nights and stores their labels; gives bytes per published row of the warehouse and of
    the floor.
    """
    settings = found(folder)
    for offset in range(nights + DELAY):
        day, matured = FIRST + timedelta(days=offset), FIRST + timedelta(days=offset - DELAY)
        if offset < nights:
            source = transactions(day, rows)
            write_partition(folder, day, source)
            publish(settings, day, source, folder / "staging")
        if FIRST <= matured < FIRST + timedelta(days=nights):
            store_labels(settings, Warehouse(settings.warehouse, settings.name), matured, matured, as_of=day)
    size = Path(settings.warehouse.uri).stat().st_size
    published, floor = as_parquet(settings, folder)
    total = published["score_rows"]
    return {
        "nights": nights,
        "rows_a_night": rows,
        "rows": published,
        "warehouse_mb": round(size / 1e6, 1),
        "bytes_per_row": round(size / total, 1),
        "most_bytes_per_row": MOST_BYTES_PER_ROW,
        "accepted": size / total <= MOST_BYTES_PER_ROW,
        "parquet_bytes_per_row": round(floor / total, 1),
        "times_parquet": round(size / floor, 2),
    }


def found(folder: Path) -> Settings:
    """The dataset in a folder of its own, that nobody has scored yet."""
    folder.mkdir(parents=True)
    (folder / "nightscore.toml").write_text(CONFIG)
    (folder / "staging").mkdir()
    return load_settings(folder / "nightscore.toml")


def transactions(day: date, rows: int) -> pl.DataFrame:
    """One day of card payments in order of time; in a thousand one has a negative amount, and eight are
    frauds that stand out.
    """
    draw = np.random.default_rng(day.toordinal())
    first, fraud = (day - FIRST).days * rows + 1_000_000, draw.random(rows) < 0.008
    seconds = np.sort(draw.normal(43_200, 20_000, rows).clip(0, 86_399).astype(np.int64))
    amount = (
        draw.gamma(2.0, 25.0, rows).round(2)
        * np.where(fraud, 5, 1)
        * np.where(draw.random(rows) < 0.001, -1, 1)
    )
    numbers = draw.normal(size=(rows, FEATURES - 1)) + 2.0 * fraud[:, None]
    return pl.DataFrame(
        {
            "transaction_id": np.arange(first, first + rows),
            "tx_time": np.datetime64(day, "us") + seconds.astype("timedelta64[s]"),
            "customer_id": draw.integers(0, CARDS, rows),
            "terminal_id": draw.integers(0, TERMINALS, rows),
            "channel": draw.choice(["chip", "online", "tap"], rows, p=[0.5, 0.2, 0.3]),
            "amount": amount.round(2),
            "is_fraud": fraud.astype(np.int8),
            **dict(zip(NAMES[1:], numbers.T, strict=True)),
        }
    )


def write_partition(folder: Path, day: date, source: pl.DataFrame) -> None:
    """The day where the configuration looks for it."""
    path = folder / "transactions" / f"date={day}" / "part-0.parquet"
    path.parent.mkdir(parents=True)
    source.write_parquet(path)


def publish(settings: Settings, day: date, source: pl.DataFrame, staging: Path) -> None:
    """Stages a night's rows as scoring and validation do, and publishes them."""
    scores = staged(source, staging / "scores.parquet")
    refused, quarantine = staging / "refused.parquet", staging / "quarantine.parquet"
    bad = quarantined(source)
    bad.write_parquet(quarantine)
    bad.select("id", "copy", is_repeated=False).write_parquet(refused)
    fingerprint = f"{day.toordinal():064x}"
    warehouse = Warehouse(settings.warehouse, settings.name)
    page = settings.files / "data-docs" / f"{day}.html"
    version = registered(settings, day - timedelta(days=(day - FIRST).days % RETRAIN_EVERY))
    rows = pl.read_parquet(scores, columns=["id", "is_flagged"])
    validated = Validated(
        Partition(day, source.height, fingerprint),
        refused,
        quarantine,
        bad.height,
        found=sum_of_ids(source["transaction_id"].cast(pl.String)),
        clean=sum_of_ids(rows["id"]),
        data_docs=page,
    )
    features = Features(validated, path=None)
    flagged = int(rows["is_flagged"].sum())
    scored = Scored(scores, source.height - bad.height, flagged, threshold=THRESHOLD)
    durations = dict.fromkeys(("ingest", "validate", "features", "score"), 1.234)
    night = stage_night(settings, features, scored, version, datetime.now(UTC), durations)
    publish_night(settings, warehouse, settings.evaluation.brake, night)


def registered(settings: Settings, as_of: date) -> Version:
    """The version of a date in the table `models`, as training registers it; there is nothing on disk."""
    name = f"{as_of}-{as_of.toordinal():08x}"
    path, card = settings.files / "models" / name, settings.files / "cards" / f"{name}.html"
    version = Version(
        name,
        as_of,
        as_of - timedelta(days=14),
        as_of - timedelta(days=8),
        str(path),
        f"{as_of.toordinal():064x}",
        card,
    )
    model = {
        "version": name,
        "as_of": as_of,
        "first_date": version.first_date,
        "last_date": version.last_date,
        "rows": 70_000,
        "dates": 7,
        "known_frauds": 560,
        "unconfirmed": 0,
        "contamination": 560 / 70_560,
        "architecture": "dense",
        "score": "whitened",
        "training_hash": training_identity(settings).current,
        "metrics": json.dumps({"epochs": 40, "loss": 0.1234, "validation_loss": 0.2345}),
        "gates": "[]",
        "withheld": None,
        "artifact_path": str(path.relative_to(settings.warehouse.files)),
        "artifact_sha256": version.sha256,
        "card_path": str(card.relative_to(settings.warehouse.files)),
        "device": "cpu",
    }
    Warehouse(settings.warehouse, settings.name).transact(
        lambda con: con.execute(sql.read("registry/insert_version"), model)
    )
    return version


def staged(source: pl.DataFrame, path: Path) -> Path:
    """The scored rows of a night: a score that is distributed like a squared distance, reasons for the least
    likely twentieth.
    """
    good = source.with_row_index("row").filter(pl.col("amount") >= 0)
    draw = np.random.default_rng(int(good["row"].sum()))
    values = good.select(NAMES).to_numpy()
    error = (
        np.square(values[:, 1:] + draw.normal(0, 0.1, values[:, 1:].shape)).mean(axis=1).astype(np.float32)
    )
    score = (error * (FEATURES - 1) * draw.uniform(0.9, 1.1, len(error))).astype(np.float32)
    held_out = np.sort(draw.chisquare(FEATURES - 1, CALIBRATION).astype(np.float32))
    p_value = (1 + len(held_out) - np.searchsorted(held_out, score)) / (len(held_out) + 1)
    good.select(
        pl.col("transaction_id").cast(pl.String).alias("id"),
        pl.col("customer_id").cast(pl.String).alias("entity"),
        pl.col("tx_time").alias("event_time"),
        pl.Series("error", error),
        pl.Series("score", score),
        pl.Series("p_value", p_value),
        pl.Series("rank", score).rank("min", descending=True).cast(pl.Int64),
        pl.Series("is_flagged", score >= THRESHOLD),
        reasons(values, score, p_value <= 0.05),
        pl.struct("amount", "terminal_id").struct.json_encode().alias("details"),
    ).write_parquet(path, compression="lz4")
    return path


def reasons(values: np.ndarray, score: np.ndarray, kept: np.ndarray) -> pl.Series:
    """Three reasons for the rows that keep any, the largest values first, as scoring writes them; null for
    the others.
    """
    order = np.argsort(-np.abs(values), axis=1)[:, :3]
    largest = np.take_along_axis(values, order, axis=1)
    text = pl.DataFrame({"observed": largest.ravel(), "expected": largest.ravel() * 0.3}).select(
        pl.all().round_sig_figs(6).cast(pl.String)
    )
    flat = text.select(
        feature=pl.Series(NAMES).gather(order.ravel()),
        contribution=(score[:, None].astype(np.float64) * np.array([0.5, 0.2, 0.1])).ravel(),
        observed="observed",
        expected="expected",
    )
    lists = flat.to_struct().reshape((len(score), 3)).cast(pl.List(pl.Struct(flat.schema)))
    return pl.select(pl.when(pl.Series(kept)).then(lists).alias("reasons")).to_series()


def quarantined(source: pl.DataFrame) -> pl.DataFrame:
    """The rows with a negative amount, whole, as validation writes them."""
    bad = source.filter(pl.col("amount") < 0).with_row_index("row")
    return bad.select(
        pl.col("row").cast(pl.Int64),
        pl.col("transaction_id").cast(pl.String).alias("id"),
        pl.lit(0, pl.Int64).alias("copy"),
        pl.lit("between").alias("rule"),
        pl.lit("amount").alias("column"),
        pl.struct(source.columns).struct.json_encode().alias("content"),
    )


def as_parquet(settings: Settings, folder: Path) -> tuple[dict[str, int], int]:
    """How many rows each table has, and the bytes of the same rows in one zstd Parquet file per table."""
    rows, size = {}, 0
    with duckdb.connect(settings.warehouse.uri, read_only=True) as con:
        con.execute(f"use {sql.identifier(settings.name)}")
        for name in TABLES:
            table, path = con.table(name), folder / f"{name}.parquet"
            table.write_parquet(str(path), compression="zstd")
            rows[name], size = table.count("*").fetchall()[0][0], size + path.stat().st_size
    return rows, size


def page_bytes(folder: Path, rows: int) -> dict[str, int]:
    """One whole night and its judgement through the real flows: bytes of its pages, and of its version."""
    from flows.console import show_progress

    show_progress()
    from flows.plain import evaluate

    settings = found(folder)
    for offset in range((NIGHT - FIRST).days + 1):
        day = FIRST + timedelta(days=offset)
        write_partition(folder, day, transactions(day, rows))
    evaluate(folder / "nightscore.toml", NIGHT, NIGHT, as_of=NIGHT + timedelta(days=DELAY))
    return {name: folder_bytes(settings.files / name) for name in ("data-docs", "reports", "models", "cards")}


def folder_bytes(folder: Path) -> int:
    """The bytes of every file in a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def beside(files: dict[str, int], rows: int, warehouse: float) -> dict[str, object]:
    """What the files of a night add to each of its rows; a version serves RETRAIN_EVERY nights."""
    nightly = files["data-docs"] + files["reports"] + (files["models"] + files["cards"]) / RETRAIN_EVERY
    return {"file_bytes": files, "bytes_per_row_with_files": round(warehouse + nightly / rows, 1)}


if __name__ == "__main__":
    main()
