"""The gate: every bad input has its result, and the bad rows are exactly those that an independent reading finds."""

import gc
import json
import logging
import math
import weakref
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tasks import expectations
from tasks import validate as gate
from tasks.dataset import Dataset
from tasks.errors import PartitionRejected, SourceError
from tasks.references import Partition, Validated
from tasks.source import read_partition
from tasks.validate import validate, validate_partition

DAY = date(2018, 7, 25)
NOON = datetime(2018, 7, 25, 12)
ROWS = 40


def rows(count: int = ROWS) -> pl.DataFrame:
    """A day without fault."""
    return pl.DataFrame(
        {
            "id": np.arange(count),
            "at": [NOON] * count,
            "card": [f"card-{i % 7}" for i in range(count)],
            "amount": np.linspace(1.0, 90.0, count),
            "channel": ["web", "pos"] * (count // 2) + ["web"] * (count % 2),
            "fraud": [0, 1] * (count // 2) + [0] * (count % 2),
        }
    )


def replaced(column: str, values: dict[int, Any], dtype: Any = None, count: int = ROWS) -> pl.DataFrame:
    """The day with some values of one column replaced."""
    frame = rows(count)
    changed = [values.get(i, value) for i, value in enumerate(frame[column])]
    return frame.with_columns(pl.Series(column, changed, dtype=dtype or frame[column].dtype, strict=False))


def configure(folder: Path, **changes: Any) -> Dataset:
    """The dataset of `rows`; `changes` replace keys of its sections."""
    sections: dict[str, Any] = {
        "source": {"path": f"{folder}/{{date}}.parquet"},
        "columns": {"id": "id", "time": "at", "entity": "card", "label": "fraud"},
        "features": {"numeric": ["amount"], "categorical": ["channel"]},
        "quality": {"max_bad_share": 0.5, "columns": {"amount": {"nullable": False, "min": 0, "max": 100}, "channel": {"allowed": ["web", "pos"]}}},
    }
    return Dataset.model_validate({"name": "cards", **{name: section | changes.get(name, {}) for name, section in sections.items()}})


def judge(folder: Path, frame: pl.DataFrame, **changes: Any) -> Validated:
    frame.write_parquet(folder / f"{DAY}.parquet")
    dataset = configure(folder, **changes)
    return validate_partition(dataset, read_partition(dataset, DAY), folder)


def broken(validated: Validated) -> list[tuple[int, str, str]]:
    return pl.read_parquet(validated.quarantine).select("row", "rule", "column").rows()


@contextmanager
def watched(monkeypatch: pytest.MonkeyPatch, seen: list[pd.DataFrame]) -> Iterator[None]:
    """Keeps the frames that Great Expectations is given."""
    original = gate.gate

    @contextmanager
    def spy(day: date) -> Iterator[Any]:
        with original(day) as check:
            yield lambda frame, rules: (seen.append(frame), check(frame, rules))[1]

    with monkeypatch.context() as patch:
        patch.setattr(gate, "gate", spy)
        yield


def test_a_good_day_passes_with_an_empty_quarantine(tmp_path: Path) -> None:
    validated = judge(tmp_path, rows())
    assert (validated.rows, validated.rows_quarantined, validated.notes) == (ROWS, 0, ())
    quarantine = pl.read_parquet(validated.quarantine)
    assert dict(quarantine.schema) == {"row": pl.Int64, "id": pl.String, "rule": pl.String, "column": pl.String, "content": pl.String}
    assert quarantine.is_empty()
    assert validated.data_docs.read_text().startswith("<!DOCTYPE html>")


def test_the_task_is_the_function(tmp_path: Path) -> None:
    rows().write_parquet(tmp_path / f"{DAY}.parquet")
    dataset = configure(tmp_path)
    partition = read_partition(dataset, DAY)
    assert validate.fn(dataset, partition, tmp_path) == validate_partition(dataset, partition, tmp_path)


@pytest.mark.parametrize("column", ["id", "at", "card", "amount", "channel", "fraud"])
def test_a_missing_column_rejects_and_names_the_columns_there_are(tmp_path: Path, column: str) -> None:
    with pytest.raises(PartitionRejected, match=rf"2018-07-25: missing columns: {column} \(there are id|at.*\)"):
        judge(tmp_path, rows().drop(column))


@pytest.mark.parametrize(
    "changes",
    [{"columns": {"weight": "absent"}}, {"columns": {"private": ["absent"]}}, {"quality": {"columns": {"absent": {}}}}],
    ids=["weight", "private", "quality"],
)
def test_every_configured_column_must_be_there(tmp_path: Path, changes: dict[str, Any]) -> None:
    with pytest.raises(PartitionRejected, match="missing columns: absent"):
        judge(tmp_path, rows(), **changes)


def test_features_of_feature_sql_are_not_looked_for_in_the_source(tmp_path: Path) -> None:
    features = {"sql": "features/any.sql", "numeric": ["amount_1d"], "categorical": []}
    assert judge(tmp_path, rows().with_columns(extra=1), features=features).notes == ()


def test_an_unknown_column_is_noted_and_left_alone(tmp_path: Path) -> None:
    assert judge(tmp_path, rows().with_columns(extra=1)).notes == ("column extra is not configured; it was left alone",)


@pytest.mark.parametrize(
    ("column", "kind", "found"),
    [
        ("amount", pl.String, "VARCHAR and must be an integer"),
        ("at", pl.String, "VARCHAR and must be a timestamp"),
        ("fraud", pl.Date, "DATE and must be a boolean"),
    ],
)
def test_a_wrong_type_rejects_and_names_column_and_type(tmp_path: Path, column: str, kind: Any, found: str) -> None:
    with pytest.raises(PartitionRejected, match=f"column {column} is {found}"):
        judge(tmp_path, rows().with_columns(pl.col(column).cast(kind)))


@pytest.mark.parametrize("kind", [pl.Float32, pl.Int8, pl.UInt64, pl.Decimal(12, 2), pl.Boolean])
def test_every_kind_of_number_is_a_number(tmp_path: Path, kind: Any) -> None:
    assert judge(tmp_path, rows().with_columns(pl.col("amount").cast(kind))).rows == ROWS


@pytest.mark.parametrize("kind", [pl.Date, pl.Datetime("ns"), pl.Datetime("ms")])
def test_every_kind_of_time_is_a_time(tmp_path: Path, kind: Any) -> None:
    assert judge(tmp_path, rows().with_columns(pl.col("at").cast(kind))).rows == ROWS


ROW_FAULTS: dict[str, tuple[pl.DataFrame, list[tuple[int, str, str]]]] = {
    "null id": (replaced("id", {3: None}), [(3, "not_null", "id")]),
    "null ids are no duplicates": (replaced("id", {3: None, 4: None}), [(3, "not_null", "id"), (4, "not_null", "id")]),
    "NaN id": (replaced("id", {3: math.nan}, pl.Float64), [(3, "not_null", "id")]),
    "duplicate id": (replaced("id", {5: 1, 9: 1}), [(5, "unique_id", "id"), (9, "unique_id", "id")]),
    "duplicate string id": (rows().with_columns(id=pl.format("tx-{}", pl.col("id") // 2 * 2 if False else pl.col("id").clip(1))), [(1, "unique_id", "id")]),
    "null time": (replaced("at", {0: None}), [(0, "not_null", "at")]),
    "earlier date": (replaced("at", {2: NOON - timedelta(days=1)}), [(2, "date_in_partition", "at")]),
    "next midnight": (replaced("at", {2: datetime(2018, 7, 26)}), [(2, "date_in_partition", "at")]),
    "absurd time": (replaced("at", {2: 1_515_680_380_800_000_000}, pl.Int64).with_columns(pl.col("at").cast(pl.Datetime("us"))) if False else replaced("at", {2: datetime(9999, 12, 31)}), [(2, "date_in_partition", "at")]),
    "null amount": (replaced("amount", {7: None}), [(7, "not_null", "amount")]),
    "NaN amount": (replaced("amount", {7: math.nan}), [(7, "not_null", "amount")]),
    "absurd amount": (replaced("amount", {7: -0.5, 8: 1e300}), [(7, "range", "amount"), (8, "range", "amount")]),
    "infinite amount": (replaced("amount", {7: -math.inf}), [(7, "finite", "amount"), (7, "range", "amount")]),
    "unknown channel": (replaced("channel", {1: "phone", 2: None}), [(1, "allowed", "channel")]),
    "two rules": (replaced("amount", {7: 101.0}).with_columns(channel=pl.lit("web")), [(7, "range", "amount")]),
}
