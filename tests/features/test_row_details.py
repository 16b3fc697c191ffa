"""Source columns beside the scores: the unchanged values of the clean rows, as strictly valid JSON."""

import json
import math
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pytest

from tasks.core.dataset import Dataset
from tasks.core.references import Features
from tasks.features.row_details import read_details
from tasks.source.ingest import read_partition
from tasks.validation.validate import validate_partition

DAY = date(2024, 3, 1)
ROWS = pl.DataFrame(
    {
        "id": [1, 2, 3, 4, 5],
        "amount": [12.5, math.nan, math.inf, None, -1.0],
        "terminal": ['a "quoted" one', "\x01\n", "é", None, "x"],
        "trail": [[1.0, math.nan], [], None, [math.inf], [2.0]],
        "scan": [b"abc", b"", None, b"\x00\xff", b"z"],
        "net": [5.0, 1.0, 2.0, 3.0, -1.0],
    },
    schema_overrides={"amount": pl.Float32},
)
NAMES = ("terminal", "amount", "trail", "scan")


def configure(source: dict[str, Any]) -> Dataset:
    return Dataset.model_validate(
        {
            "name": "cards",
            "source": source,
            "columns": {"id": "id", "details": NAMES},
            "features": {"numeric": ["net"]},
            "quality": {"max_bad_share": 0.5, "columns": {"net": {"min": 0}}},
        }
    )


def strict(text: str) -> Any:
    """Parses JSON, and refuses the NaN and Infinity that Python's parser accepts."""

    def refuse(word: str) -> None:
        raise AssertionError(f"{word} is no JSON")

    return json.loads(text, parse_constant=refuse)


@pytest.fixture(params=["parquet", "table"])
def data(request: pytest.FixtureRequest, tmp_path: Path) -> Dataset:
    if request.param == "parquet":
        ROWS.write_parquet(tmp_path / f"{DAY}.parquet")
        return configure({"path": f"{tmp_path}/{{date}}.parquet"})
    with duckdb.connect(str(tmp_path / "bank.duckdb")) as con:
        con.register("rows", ROWS.with_columns(booked=pl.lit(DAY)).to_arrow())
        con.execute("create table payments as from rows")
    return configure(
        {"database": str(tmp_path / "bank.duckdb"), "table": "payments", "date_column": "booked"}
    )


def test_every_clean_row_has_its_values_as_valid_json(data: Dataset, tmp_path: Path) -> None:
    validated = validate_partition(data, read_partition(data, DAY), tmp_path)
    details = read_details(data, Features(validated, path=None)).sort("id")
    assert details["id"].to_list() == ["1", "2", "3", "4"]  # the fifth breaks the rule of `net`
    found = [strict(text) for text in details["details"]]
    assert {tuple(values) for values in found} == {NAMES}
    assert [values["terminal"] for values in found] == ROWS["terminal"].to_list()[:4]
    assert [values["amount"] for values in found] == [12.5, "nan", "inf", None]
    assert [values["scan"] for values in found] == ["<3 bytes>", "<0 bytes>", None, "<2 bytes>"]
    assert [values["trail"] for values in found] == ["[1.0, nan]", "[]", None, "[inf]"]


def test_the_quarantine_is_valid_json_too(data: Dataset, tmp_path: Path) -> None:
    changed = data.model_copy(update={"quality": data.quality.model_copy(update={"max_bad_share": 1.0})})
    rule = changed.quality.columns["net"].model_copy(update={"max": 2.5})
    changed = changed.model_copy(
        update={"quality": changed.quality.model_copy(update={"columns": {"net": rule}})}
    )
    validated = validate_partition(changed, read_partition(changed, DAY), tmp_path)
    contents = [strict(text) for text in pl.read_parquet(validated.quarantine).sort("row")["content"]]
    assert [content["trail"] for content in contents] == ["[1.0, nan]", "[inf]", "[2.0]"]
