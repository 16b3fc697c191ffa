"""Validation: every bad input has its result, and the bad rows are exactly those that an independent check
finds.
"""

import base64
import gc
import json
import logging
import math
import weakref
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tasks.core.column_settings import ColumnRule
from tasks.core.dataset import Dataset
from tasks.core.errors import PartitionRejected, SourceError
from tasks.core.references import Partition, Validated
from tasks.core.row_sums import sum_of_ids
from tasks.source.ingest import read_partition
from tasks.validation import gate, judge, rules
from tasks.validation import validate as validation
from tasks.validation.validate import validate, validate_partition

DAY = date(2018, 7, 25)
NOON = datetime(2018, 7, 25, 12)
ROWS = 40


def rows(count: int = ROWS) -> pl.DataFrame:
    """A day of good rows."""
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
        "quality": {
            "max_bad_share": 0.5,
            "columns": {
                "amount": {"nullable": False, "min": 0, "max": 100},
                "channel": {"allowed": ["web", "pos"]},
            },
        },
    }
    return Dataset.model_validate(
        {"name": "cards", **{name: section | changes.get(name, {}) for name, section in sections.items()}}
    )


def validated_day(folder: Path, frame: pl.DataFrame, **changes: Any) -> Validated:
    frame.write_parquet(folder / f"{DAY}.parquet")
    dataset = configure(folder, **changes)
    return validate_partition(dataset, read_partition(dataset, DAY), folder)


def broken(validated: Validated) -> list[tuple[int | None, str, str]]:
    """The id of each bad row, and a rule that it breaks; the ids of `rows` count from 0."""
    lines = pl.read_parquet(validated.quarantine)
    return lines.select(pl.col("id").cast(pl.Int64), "rule", "column").rows()


@contextmanager
def watched(monkeypatch: pytest.MonkeyPatch, seen: list[pd.DataFrame]) -> Iterator[None]:
    """Collects the frames that Great Expectations gets."""
    original = validation.gate

    @contextmanager
    def spy(day: date) -> Iterator[Any]:
        with original(day) as check:
            yield lambda frame, rules, identities: (seen.append(frame), check(frame, rules, identities))[1]

    with monkeypatch.context() as patch:
        patch.setattr(validation, "gate", spy)
        yield


def test_a_good_day_passes_with_an_empty_quarantine(tmp_path: Path) -> None:
    validated = validated_day(tmp_path, rows())
    assert (validated.rows, validated.rows_quarantined, validated.notes) == (ROWS, 0, ())
    quarantine = pl.read_parquet(validated.quarantine)
    assert dict(quarantine.schema) == {
        "row": pl.Int64,
        "id": pl.String,
        "copy": pl.Int64,
        "rule": pl.String,
        "column": pl.String,
        "content": pl.String,
    }
    assert quarantine.is_empty()
    refused = pl.read_parquet(validated.refused)
    assert dict(refused.schema) == {"id": pl.String, "copy": pl.Int64, "is_repeated": pl.Boolean}
    assert refused.is_empty()
    assert validated.found == validated.clean == sum_of_ids(rows()["id"].cast(pl.String))
    assert validated.data_docs.read_text().startswith("<!DOCTYPE html>")


def test_the_task_is_the_function(tmp_path: Path) -> None:
    rows().write_parquet(tmp_path / f"{DAY}.parquet")
    dataset = configure(tmp_path)
    partition = read_partition(dataset, DAY)
    page = tmp_path / "docs" / "page.html"
    assert validate.plain(dataset, partition, tmp_path, page) == validate_partition(
        dataset, partition, tmp_path, page
    )
    assert page.is_file()


@pytest.mark.parametrize("column", ["id", "at", "card", "amount", "channel"])
def test_a_missing_column_rejects_and_lists_the_existing_columns(tmp_path: Path, column: str) -> None:
    with pytest.raises(
        PartitionRejected, match=rf"2018-07-25: missing columns: {column} \(there are id|at.*\)"
    ):
        validated_day(tmp_path, rows().drop(column))


def test_blanks_in_the_name_of_a_column_show(tmp_path: Path) -> None:
    named = r"missing columns: amount \(there are id, at, card, ' amount', channel, fraud\)"
    with pytest.raises(PartitionRejected, match=named):
        validated_day(tmp_path, rows().rename({"amount": " amount"}))


@pytest.mark.parametrize("column", ["id", "card", "amount", "channel"])
def test_a_file_that_lacks_a_column_is_named(tmp_path: Path, column: str) -> None:
    dataset = configure(tmp_path, source={"path": f"{tmp_path}/{{date}}*.parquet"})
    rows().head(20).write_parquet(tmp_path / f"{DAY}.parquet")
    rows().tail(20).drop(column).write_parquet(tmp_path / f"{DAY}-b.parquet")
    named = f"2018-07-25: missing columns: {column} in {tmp_path}/{DAY}-b.parquet"
    with pytest.raises(PartitionRejected, match=named):
        validate_partition(dataset, read_partition(dataset, DAY), tmp_path)


@pytest.mark.parametrize("column", ["id", "at", "amount"])
def test_a_day_whose_column_has_no_value_is_rejected_for_its_rows(tmp_path: Path, column: str) -> None:
    with pytest.raises(
        PartitionRejected, match=rf"40 of 40 rows are bad, a share of 1 \({column} not_null 40"
    ):
        validated_day(tmp_path, rows().with_columns(pl.lit(None).alias(column)))


@pytest.mark.parametrize(
    "changes",
    [
        {"columns": {"private": ["absent"]}},
        {"columns": {"details": ["absent"]}},
        {"quality": {"columns": {"absent": {}}}},
    ],
    ids=["private", "details", "quality"],
)
def test_every_configured_column_must_exist(tmp_path: Path, changes: dict[str, Any]) -> None:
    with pytest.raises(PartitionRejected, match="missing columns: absent"):
        validated_day(tmp_path, rows(), **changes)


@pytest.mark.parametrize("role", ["label", "weight"])
def test_a_day_without_its_label_or_weight_column_is_scored_and_noted(tmp_path: Path, role: str) -> None:
    validated = validated_day(tmp_path, rows().drop("fraud"), columns={"label": None, role: "fraud"})
    assert (validated.rows, validated.rows_quarantined) == (ROWS, 0)
    assert validated.notes == (f"there is no {role} column fraud; its {role}s are not known",)


def test_features_of_feature_sql_need_not_be_in_the_source(tmp_path: Path) -> None:
    features = {"sql": "features/any.sql", "numeric": ["amount_1d"], "categorical": []}
    assert validated_day(tmp_path, rows().with_columns(extra=1), features=features).notes == ()


def test_an_unknown_column_is_noted_and_ignored(tmp_path: Path) -> None:
    assert validated_day(tmp_path, rows().with_columns(extra=1)).notes == (
        "column extra is not configured; it was ignored",
    )


@pytest.mark.parametrize(
    ("column", "kind", "found"),
    [
        ("amount", pl.String, "VARCHAR and must be an integer"),
        ("at", pl.String, "VARCHAR and must be a timestamp"),
    ],
)
def test_a_wrong_type_rejects_and_names_column_and_type(
    tmp_path: Path, column: str, kind: Any, found: str
) -> None:
    with pytest.raises(PartitionRejected, match=f"column {column} is {found}"):
        validated_day(tmp_path, rows().with_columns(pl.col(column).cast(kind)))


@pytest.mark.parametrize("kind", [pl.Float32, pl.Int8, pl.UInt64, pl.Decimal(12, 2), pl.Boolean])
def test_every_kind_of_number_is_a_number(tmp_path: Path, kind: Any) -> None:
    assert validated_day(tmp_path, rows().with_columns(pl.col("amount").cast(kind))).rows == ROWS


@pytest.mark.parametrize("kind", [pl.Date, pl.Datetime("ns"), pl.Datetime("ms")])
def test_every_kind_of_time_is_a_time(tmp_path: Path, kind: Any) -> None:
    assert validated_day(tmp_path, rows().with_columns(pl.col("at").cast(kind))).rows == ROWS


FAULTS: dict[str, tuple[pl.DataFrame, list[tuple[int | None, str, str]]]] = {
    "null ids, which are no duplicates": (
        replaced("id", {3: None, 4: None}),
        [(None, "not_null", "id"), (None, "not_null", "id")],
    ),
    "NaN id": (replaced("id", {3: math.nan}, pl.Float64), [(None, "not_null", "id")]),
    "one row of three with an id stays": (
        replaced("id", {5: 1, 9: 1}),
        [(1, "unique_id", "id"), (1, "unique_id", "id")],
    ),
    "an id that a float cannot count": (
        replaced("id", {3: 2.0**53}, pl.Float64),
        [(2**53, "id_exact", "id")],
    ),
    "null time": (replaced("at", {0: None}), [(0, "not_null", "at")]),
    "the day before": (
        replaced("at", {2: datetime(2018, 7, 24, 23, 59, 59, 999_999)}),
        [(2, "date_in_partition", "at")],
    ),
    "next midnight": (replaced("at", {2: datetime(2018, 7, 26)}), [(2, "date_in_partition", "at")]),
    "null amount": (replaced("amount", {7: None}), [(7, "not_null", "amount")]),
    "NaN amount": (replaced("amount", {7: math.nan}), [(7, "not_null", "amount")]),
    "huge amount": (
        replaced("amount", {7: -0.5, 8: 1e300}),
        [(7, "range", "amount"), (8, "range", "amount")],
    ),
    "infinite amount breaks two rules": (
        replaced("amount", {7: -math.inf}),
        [(7, "finite", "amount"), (7, "range", "amount")],
    ),
    "unknown channel, but not a null one": (
        replaced("channel", {1: "phone", 2: None}),
        [(1, "allowed", "channel")],
    ),
}


@pytest.mark.parametrize(("frame", "expected"), FAULTS.values(), ids=FAULTS)
def test_a_bad_row_is_quarantined_with_its_rule(
    tmp_path: Path, frame: pl.DataFrame, expected: list[tuple[int | None, str, str]]
) -> None:
    validated = validated_day(tmp_path, frame)
    assert broken(validated) == expected
    lines = pl.read_parquet(validated.quarantine)
    bad = lines.select("id", "copy").unique()
    assert validated.rows_quarantined == bad.height == lines["row"].n_unique()
    assert validated.rows + validated.rows_quarantined == validated.partition.rows == ROWS
    refused = pl.read_parquet(validated.refused)
    assert set(refused.select("id", "copy").rows()) == set(bad.rows())
    assert validated.found.rows == ROWS
    assert validated.clean.rows == ROWS - refused.height


def test_a_fraction_is_no_id(tmp_path: Path) -> None:
    frame = replaced("id", {3: 3.5}, pl.Float64)
    lines = pl.read_parquet(validated_day(tmp_path, frame).quarantine)
    assert lines.select("id", "copy", "rule", "column").rows() == [("3.5", 0, "id_exact", "id")]


def test_the_order_of_a_delivery_does_not_decide_which_row_of_an_id_stays(tmp_path: Path) -> None:
    frame = replaced("id", {5: 1, 9: 1, 20: None, 21: None, 30: 2, 31: 2})
    frame = pl.concat([frame, frame[30:32]])  # the copies of 2 are equal in pairs
    results = []
    for number, order in enumerate([frame, frame.reverse(), frame.sample(fraction=1, shuffle=True, seed=1)]):
        folder = tmp_path / str(number)
        folder.mkdir()
        results.append(validated_day(folder, order))
    quarantines = [pl.read_parquet(validated.quarantine) for validated in results]
    assert all(lines.equals(quarantines[0]) for lines in quarantines)
    assert len({(validated.found, validated.clean) for validated in results}) == 1
    of_ids = quarantines[0].select("id", "copy").rows()
    assert of_ids == [("1", 1), ("1", 2), ("2", 1), ("2", 2), ("2", 3), ("2", 4), (None, 0), (None, 1)]


@pytest.mark.parametrize(
    "microseconds",
    [1_515_680_380_800_000_000, -63_517_824_000_000_000, 2**63 - 1],
    ids=["year 50000", "44 BC", "infinity"],
)
def test_an_extreme_time_is_on_another_date(tmp_path: Path, microseconds: int) -> None:
    at = rows()["at"].cast(pl.Int64).to_list()
    frame = rows().with_columns(at=pl.Series([microseconds, *at[1:]], dtype=pl.Int64).cast(pl.Datetime("us")))
    assert broken(validated_day(tmp_path, frame)) == [(0, "date_in_partition", "at")]


@pytest.mark.parametrize(
    ("zoned", "timezone", "bad"),
    [
        (True, "UTC", [0]),
        (True, "Europe/Paris", [2]),
        (False, "UTC", [0]),
        (False, "Europe/Paris", [0]),
    ],
)
def test_a_date_is_the_local_date_of_the_source(
    tmp_path: Path, zoned: bool, timezone: str, bad: list[int]
) -> None:
    midnights = {0: datetime(2018, 7, 24, 22), 1: datetime(2018, 7, 25, 21, 59), 2: datetime(2018, 7, 25, 22)}
    frame = replaced("at", midnights)
    if zoned:
        frame = frame.with_columns(pl.col("at").dt.replace_time_zone("UTC"))
    validated = validated_day(tmp_path, frame, source={"timezone": timezone})
    assert broken(validated) == [(row, "date_in_partition", "at") for row in bad]


def test_text_ids_are_compared_as_text(tmp_path: Path) -> None:
    frame = rows().with_columns(
        id=pl.Series(["a", "A", "a ", "a", None, *(f"tx-{i}" for i in range(5, ROWS))])
    )
    validated = validated_day(tmp_path, frame)
    assert pl.read_parquet(validated.quarantine).select("row", "id", "copy", "rule").rows() == [
        (0, "a", 1, "unique_id"),
        (1, None, 0, "not_null"),
    ]
    assert validated.notes == (
        "1 rows repeat an id; of the rows of an id, the first by its content was kept",
    )


def test_an_entity_may_be_null_unless_quality_forbids_it(tmp_path: Path) -> None:
    frame = replaced("card", {6: None})
    assert broken(validated_day(tmp_path, frame)) == []
    assert broken(validated_day(tmp_path, frame, quality={"columns": {"card": {"nullable": False}}})) == [
        (6, "not_null", "card")
    ]


def test_an_infinite_feature_is_bad_without_any_rule_of_its_own(tmp_path: Path) -> None:
    assert broken(validated_day(tmp_path, replaced("amount", {6: math.inf}), quality={"columns": {}})) == [
        (6, "finite", "amount")
    ]


@pytest.mark.parametrize("allowed", [[1, 2], [1.0, 2.0]])
def test_allowed_numbers(tmp_path: Path, allowed: list[float]) -> None:
    frame = rows().with_columns(level=pl.Series([3, None, *[1, 2] * (ROWS // 2 - 1)]))
    assert broken(validated_day(tmp_path, frame, quality={"columns": {"level": {"allowed": allowed}}})) == [
        (0, "allowed", "level")
    ]


@pytest.mark.parametrize(
    ("column", "allowed", "words"),
    [
        ("channel", [1, 2], "column channel is VARCHAR, such as 'web', and none of its values is in "
         "quality.columns.channel.allowed (1, 2): write them as the column has them"),
        ("channel", ["pos "], "allowed ('pos ')"),
        ("amount", ["low", "high"], "column amount is DOUBLE, such as '1', and none"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("share", [0.5, 1.0])
def test_allowed_values_that_no_value_is_are_shown_beside_one(
    tmp_path: Path, column: str, allowed: list[Any], words: str, share: float
) -> None:
    quality = {"max_bad_share": share, "columns": {column: {"allowed": allowed}}}
    with pytest.raises(PartitionRejected) as caught:
        validated_day(tmp_path, rows(), quality=quality)
    assert words in str(caught.value)
    with pytest.raises(PartitionRejected) as caught:
        validated_day(tmp_path, rows(), quality=quality, columns={"id": "id", "private": [column]})
    assert f"none of its values is in quality.columns.{column}.allowed ({len(allowed)} values)" in str(
        caught.value
    )


def test_a_row_that_breaks_two_rules_counts_once_and_has_two_lines(tmp_path: Path) -> None:
    frame = (
        replaced("amount", {7: 101.0})
        .with_columns(channel=pl.lit("web"))
        .with_columns(replaced("at", {7: NOON + timedelta(days=1)})["at"])
    )
    validated = validated_day(tmp_path, frame)
    assert broken(validated) == [(7, "date_in_partition", "at"), (7, "range", "amount")]
    assert (validated.rows_quarantined, validated.rows) == (1, ROWS - 1)


def test_the_content_is_the_row_as_strict_json(tmp_path: Path) -> None:
    frame = replaced("amount", {7: math.inf}).with_columns(
        odd=pl.lit('say "no"'), none=pl.lit(None, pl.Float64), day=pl.lit(DAY)
    )
    line = pl.read_parquet(validated_day(tmp_path, frame).quarantine).row(0, named=True)

    def refuse(constant: str) -> None:
        raise AssertionError(constant)

    content = json.loads(line["content"], parse_constant=refuse)
    assert content == {
        "id": 7,
        "at": "2018-07-25 12:00:00",
        "card": "card-0",
        "amount": "inf",
        "channel": "pos",
        "fraud": 1,
        "odd": 'say "no"',
        "none": None,
        "day": "2018-07-25",
    }
    assert line["id"] == "7"


PNG = base64.b64decode(  # 3 x 2, grey
    "iVBORw0KGgoAAAANSUhEUgAAAAMAAAACCAAAAAC4HznGAAAAEElEQVR4nGNgZGJmYGFlAwAARgAWd/XIfwAAAABJRU5ErkJggg=="
)
IMAGE = {"numeric": [], "categorical": [], "image": {"column": "scan", "height": 2, "width": 3}}
NO_RULES: dict[str, Any] = {"columns": {}}
SCANS: dict[str, tuple[pl.Series, str]] = {
    "bytes": (pl.Series([PNG, None, PNG[:-9], *[PNG] * (ROWS - 3)]), "<64 bytes>"),
    "lists": (pl.Series([[0.5] * 6, None, [0.5] * 5, *[[0.5] * 6] * (ROWS - 3)]), "<5 numbers>"),
}


@pytest.mark.parametrize(("scans", "shown"), SCANS.values(), ids=SCANS)
@pytest.mark.parametrize("source", ["file", "table"])
def test_an_unreadable_image_is_quarantined_without_its_content(
    tmp_path: Path, scans: pl.Series, shown: str, source: str
) -> None:
    frame = rows().with_columns(scan=scans)
    if source == "file":
        validated = validated_day(tmp_path, frame, features=IMAGE, quality=NO_RULES)
    else:
        kind = "blob" if scans.dtype == pl.Binary else "double[]"
        with duckdb.connect(str(tmp_path / "bank.duckdb")) as con:
            con.register("frame", frame.with_columns(booked=pl.lit(DAY)).to_arrow())
            con.execute(f"create table payments as select * replace (scan::{kind} as scan) from frame")
        table = {
            "path": None,
            "database": str(tmp_path / "bank.duckdb"),
            "table": "payments",
            "date_column": "booked",
        }
        dataset = configure(tmp_path, source=table, features=IMAGE, quality=NO_RULES)
        validated = validate_partition(dataset, read_partition(dataset, DAY), tmp_path)
    assert broken(validated) == [(1, "not_null", "scan"), (2, "image", "scan")]
    contents = [json.loads(content)["scan"] for content in pl.read_parquet(validated.quarantine)["content"]]
    assert contents == [None, shown]
    page = validated.data_docs.read_text()
    assert "[image]" in page
    assert "unreadable" in page


def test_a_column_that_cannot_hold_images_rejects(tmp_path: Path) -> None:
    with pytest.raises(
        PartitionRejected, match="column scan is VARCHAR and must be bytes or lists of numbers"
    ):
        validated_day(tmp_path, rows().with_columns(scan=pl.lit("x")), features=IMAGE, quality=NO_RULES)
    with pytest.raises(PartitionRejected, match="missing columns: scan"):
        validated_day(tmp_path, rows(), features=IMAGE, quality=NO_RULES)


def test_images_of_the_source_are_checked_and_those_made_by_feature_sql_are_not(tmp_path: Path) -> None:
    features = IMAGE | {"sql": "features/any.sql"}
    assert broken(validated_day(tmp_path, rows(), features=features)) == []
    frame = rows().with_columns(scan=pl.Series([b"torn", *[PNG] * (ROWS - 1)]))
    assert broken(validated_day(tmp_path, frame, features=features)) == [(0, "image", "scan")]


def test_a_private_image_is_masked(tmp_path: Path) -> None:
    frame = rows().with_columns(scan=pl.Series([b"torn", *[PNG] * (ROWS - 1)]))
    validated = validated_day(
        tmp_path, frame, features=IMAGE, columns={"private": ["scan"]}, quality=NO_RULES
    )
    assert json.loads(pl.read_parquet(validated.quarantine)["content"][0])["scan"] == "***"


@pytest.mark.parametrize(
    ("features", "quality", "message"),
    [
        (
            IMAGE | {"numeric": ["amount"]},
            {},
            "an image cannot be combined with other features; remove image, or numeric and categorical",
        ),
        (IMAGE | {"label_derived": ["scan"]}, {}, "label_derived names columns that are not features: scan"),
        (IMAGE, {"columns": {"scan": {"nullable": False}}}, r"remove \[quality.columns.scan\]"),
        (
            {"numeric": [], "categorical": []},
            {},
            "name at least one numeric or categorical feature, or an image",
        ),
    ],
)
def test_images_that_cannot_be_configured(
    tmp_path: Path, features: dict[str, Any], quality: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        configure(tmp_path, features=features, quality=quality)


LABELS: dict[str, pl.Series] = {
    "bool": pl.Series([True, False, None]),
    "int": pl.Series([0, 1, None]),
    "float": pl.Series([0.0, 1.0, math.nan]),
    "text": pl.Series(["0", "true", None]),
    "capitals": pl.Series(["False", "True", "TRUE"]),
    "unknown": pl.Series([None, None, None], dtype=pl.Null),
    "unknown flags": pl.Series([None, None, None], dtype=pl.Boolean),
}


@pytest.mark.parametrize("labels", LABELS.values(), ids=LABELS)
def test_every_way_to_write_a_label_is_accepted(tmp_path: Path, labels: pl.Series) -> None:
    assert validated_day(tmp_path, rows(3).with_columns(fraud=labels)).rows == 3


@pytest.mark.parametrize(
    ("labels", "found"),
    [
        (pl.Series([0, 1, 2, 2]), "2 values of the label column fraud are no label, such as '2'"),
        (pl.Series([0.0, 0.5, 1.0, 1.0]), "1 values of the label column fraud are no label, such as '0.5'"),
        (
            pl.Series([0.0, math.inf, 1.0, 1.0]),
            "1 values of the label column fraud are no label, such as 'inf'",
        ),
        (
            pl.Series(["0", "1", "fraud", None]),
            "1 values of the label column fraud are no label, such as 'fraud'",
        ),
        (pl.Series([DAY] * 4), "4 values of the label column fraud are no label, such as '2018-07-25'"),
    ],
)
def test_a_row_with_another_label_is_scored_and_noted_with_count_and_example(
    tmp_path: Path, labels: pl.Series, found: str
) -> None:
    validated = validated_day(tmp_path, rows(4).with_columns(fraud=labels))
    assert (validated.rows, validated.rows_quarantined) == (4, 0)
    (note,) = validated.notes
    assert note.startswith(f"{found}; these rows are scored, and are in no metric and no training")


@pytest.mark.parametrize("weight", [None, math.nan, math.inf, -1.0])
def test_a_row_whose_weight_is_none_is_scored_and_noted(tmp_path: Path, weight: float | None) -> None:
    frame = rows(4).with_columns(weight=pl.Series([1.0, weight, 0.0, weight]))
    validated = validated_day(
        tmp_path, frame, columns={"weight": "weight"}, quality={"columns": {"weight": {"min": 0.5}}}
    )
    assert (validated.rows, validated.rows_quarantined) == (4, 0)
    (note,) = validated.notes
    assert note.startswith("2 values of the weight column weight are no weight")


def test_fewer_rows_than_min_rows_reject(tmp_path: Path) -> None:
    assert validated_day(tmp_path, rows(), quality={"min_rows": ROWS}).rows == ROWS
    with pytest.raises(
        PartitionRejected, match=r"2018-07-25: 40 rows, but quality.min_rows is 41; deliver the whole day"
    ):
        validated_day(tmp_path, rows(), quality={"min_rows": ROWS + 1})


def test_more_bad_rows_than_max_bad_share_reject(tmp_path: Path) -> None:
    frame = replaced("amount", {1: None, 2: 200.0}).with_columns(replaced("channel", {2: "phone"})["channel"])
    assert validated_day(tmp_path, frame, quality={"max_bad_share": 0.05}).rows_quarantined == 2
    with pytest.raises(
        PartitionRejected,
        match=(
            r"2018-07-25: 2 of 40 rows are bad, a share of 0.05 \(.*amount range 1.*\), and "
            r"quality.max_bad_share is 0.04"
        ),
    ):
        validated_day(tmp_path, frame, quality={"max_bad_share": 0.04})


def test_in_reject_mode_one_bad_row_rejects(tmp_path: Path) -> None:
    assert validated_day(tmp_path, rows(), quality={"on_bad_rows": "reject"}).rows == ROWS
    with pytest.raises(
        PartitionRejected, match=r"1 of 40 rows are bad, a share of 0.025 .*quality.on_bad_rows is reject"
    ):
        validated_day(tmp_path, replaced("amount", {1: None}), quality={"on_bad_rows": "reject"})


def test_a_day_without_a_good_row_is_rejected_whatever_share_is_allowed(tmp_path: Path) -> None:
    with pytest.raises(PartitionRejected, match=r"40 of 40 rows are bad, a share of 1 .*none is left"):
        validated_day(tmp_path, rows().with_columns(amount=-1.0), quality={"max_bad_share": 1})


def test_a_rejected_day_has_its_page(tmp_path: Path) -> None:
    with pytest.raises(PartitionRejected):
        validated_day(tmp_path, rows().drop("amount"))
    assert "column_exists" in (tmp_path / "data_docs.html").read_text()


def test_a_rule_that_cannot_be_evaluated_rejects(tmp_path: Path) -> None:
    rows().write_parquet(tmp_path / f"{DAY}.parquet")
    dataset = configure(tmp_path)
    never = ColumnRule.model_construct(
        nullable=True, min=5, max=1, allowed=None
    )  # what a configuration is refused for
    dataset = dataset.model_copy(
        update={"quality": dataset.quality.model_copy(update={"columns": {"amount": never}})}
    )
    message = r"2018-07-25: the rule range of column amount cannot be evaluated; fix quality.columns.amount"
    with pytest.raises(PartitionRejected, match=message):
        validate_partition(dataset, read_partition(dataset, DAY), tmp_path)


def test_an_empty_range_is_refused_with_the_configuration(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="min 5 is above max 1"):
        configure(tmp_path, quality={"columns": {"amount": {"min": 5, "max": 1}}})


def test_a_partition_that_changed_since_it_was_ingested_is_refused(tmp_path: Path) -> None:
    rows().write_parquet(tmp_path / f"{DAY}.parquet")
    with pytest.raises(SourceError, match="41 rows were ingested, but 40 are there now"):
        validate_partition(configure(tmp_path), Partition(DAY, ROWS + 1, "f"), tmp_path)


def test_private_values_appear_nowhere(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    frame = rows().with_columns(
        id=pl.Series(["4929-SECRET", "4929-SECRET", None, *(f"SECRET-{i}" for i in range(3, ROWS))]),
        card=pl.lit("SECRET-card"),
        amount=pl.lit(98_765_432.5),
        channel=pl.lit("SECRET-channel"),
    )
    private = {"private": ["id", "card", "amount", "channel"]}
    quality = {
        "max_bad_share": 1,
        "columns": {
            "card": {"allowed": ["SECRET-allowed"]},
            "amount": {"max": 1},
            "channel": {"allowed": ["web"]},
        },
    }
    with pytest.raises(PartitionRejected) as rejected:
        validated_day(tmp_path, frame, columns=private, quality=quality)
    rejected_page = (tmp_path / "data_docs.html").read_text()
    good = frame.with_columns(pl.when(pl.col("id") != "SECRET-9").then(pl.col("amount")).alias("amount"))
    good = good.with_columns(
        pl.when(pl.col("id") != "SECRET-9").then(pl.col(name)).alias(name) for name in ("card", "channel")
    )
    validated = validated_day(tmp_path, good, columns=private, quality=quality)
    quarantine = pl.read_parquet(validated.quarantine)
    assert (validated.rows, set(quarantine["id"])) == (1, {"***", None})
    assert json.loads(quarantine["content"][0])["card"] == "***"
    for text in (
        str(rejected.value),
        caplog.text,
        rejected_page,
        validated.data_docs.read_text(),
        *quarantine["content"],
        *validated.notes,
    ):
        assert "SECRET" not in text
        assert "98765432" not in text.replace(",", "").replace(".", "")


def test_a_private_label_is_not_shown_as_an_example(tmp_path: Path) -> None:
    validated = validated_day(
        tmp_path, rows(4).with_columns(fraud=pl.Series([0, 1, 77, None])), columns={"private": ["fraud"]}
    )
    (note,) = validated.notes
    assert note.startswith("1 values of the label column fraud are no label, such as ***;")
    assert "77" not in validated.data_docs.read_text().split("<header>")[1]


@pytest.mark.parametrize("cells", [1, 1 << 25])
def test_chunks_do_not_change_the_result(tmp_path: Path, cells: int, monkeypatch: pytest.MonkeyPatch) -> None:
    count = 15_000
    frame = replaced("amount", dict.fromkeys(range(0, count, 7), -1.0), count=count)
    frame = frame.with_columns(
        replaced("id", {4999: 0, 2050: 1}, count=count)["id"],
        replaced("channel", {2047: "x", 2048: "x"}, count=count)["channel"],
    )
    expected = {(row, "range", "amount") for row in range(0, count, 7)}
    expected |= {
        (0, "unique_id", "id"),
        (1, "unique_id", "id"),
        (2047, "allowed", "channel"),
        (2048, "allowed", "channel"),
    }
    monkeypatch.setattr(judge, "CHUNK_CELLS", cells)
    seen: list[pd.DataFrame] = []
    with watched(monkeypatch, seen):
        validated = validated_day(tmp_path, frame)
    lines = broken(validated)
    assert (set(lines), len(lines)) == (expected, len(expected))
    in_order = pl.read_parquet(validated.quarantine).select("row", "rule", "column").rows()
    assert in_order == sorted(in_order)
    assert len(seen) == 2 + {1: 2, 1 << 25: 1}[cells]
    assert sum(map(len, seen[2:])) == 2_145  # the rows that break a rule on single rows
    assert "2143 unexpected values found" in validated.data_docs.read_text()


def test_great_expectations_gets_numpy_columns_and_only_those_with_rules(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[pd.DataFrame] = []
    with watched(monkeypatch, seen):
        frame = rows().with_columns(
            replaced("id", {1: 0})["id"],
            replaced("channel", {2: "x"})["channel"],
            replaced("at", {3: None})["at"],
            extra=1,
            note=pl.lit("x"),
        )
        validated_day(tmp_path, frame)
    assert [(len(frame), sorted(frame.columns)) for frame in seen] == [
        (ROWS, []),
        (2, ["id"]),
        (2, [f"{rules.CANONICAL}channel", "at"]),
    ]
    assert {str(kind) for frame in seen for kind in frame.dtypes} == {"object", "float64"}


def test_no_frame_outlives_its_gate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[pd.DataFrame] = []
    with watched(monkeypatch, seen):
        validated_day(tmp_path, replaced("id", {1: 0}).with_columns(replaced("amount", {2: -1.0})["amount"]))
    watches = [weakref.ref(frame) for frame in seen]
    seen.clear()
    gc.collect()
    assert [watch() for watch in watches] == [None, None, None]


def test_nothing_is_left_in_the_temporary_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "tmp"))
    gate._context.cache_clear()
    validated_day(tmp_path, replaced("amount", {1: None}))
    assert list((tmp_path / "tmp").iterdir()) == []
    assert capfd.readouterr() == ("", "")


def test_days_may_be_validated_in_parallel(tmp_path: Path) -> None:
    folders = [tmp_path / str(number) for number in range(4)]
    for folder in folders:
        folder.mkdir()
    frames = [replaced("amount", {number: -1.0}) for number in range(4)]
    with ThreadPoolExecutor(4) as threads:
        results = list(threads.map(validated_day, folders, frames))
    assert [broken(validated) for validated in results] == [
        [(number, "range", "amount")] for number in range(4)
    ]


def test_a_table_is_validated_like_a_file(tmp_path: Path) -> None:
    frame = replaced("amount", {1: None}).with_columns(booked=pl.lit(DAY))
    with duckdb.connect(str(tmp_path / "bank.duckdb")) as con:
        con.register("frame", frame.to_arrow())
        con.execute("create table payments as from frame")
    source = {
        "path": None,
        "database": str(tmp_path / "bank.duckdb"),
        "table": "payments",
        "date_column": "booked",
    }
    dataset = configure(tmp_path, source=source)
    validated = validate_partition(dataset, read_partition(dataset, DAY), tmp_path)
    assert (broken(validated), validated.notes) == ([(1, "not_null", "amount")], ())


def test_a_real_day_of_card_transactions_is_good(tmp_path: Path, shared_data: Path) -> None:
    dataset = Dataset.model_validate(
        {
            "name": "cards",
            "source": {"path": f"{shared_data}/card_transactions/date={{date}}/*.parquet"},
            "columns": {
                "id": "transaction_id",
                "time": "tx_time",
                "entity": "customer_id",
                "label": "is_fraud",
            },
            "features": {"numeric": ["amount"], "categorical": ["terminal_id"]},
            "quality": {
                "columns": {
                    "amount": {"nullable": False, "min": 0, "max": 100_000},
                    "customer_id": {"nullable": False},
                }
            },
        }
    )
    validated = validate_partition(dataset, read_partition(dataset, DAY), tmp_path)
    assert (validated.rows, validated.rows_quarantined) == (9541, 0)
    assert validated.notes == ("column fraud_scenario is not configured; it was ignored",)


AMOUNTS = st.sampled_from([None, math.nan, math.inf, -math.inf, -0.01, 0.0, 50.0, 100.0, 100.01])
CHANNELS = st.sampled_from(["web", "pos", "WEB", "", None])
MINUTES = st.sampled_from([None, -1440, -721, -720, 0, 719, 720])
DRAWN = st.lists(
    st.tuples(st.one_of(st.none(), st.integers(0, 12)), MINUTES, AMOUNTS, CHANNELS), min_size=1, max_size=12
)


def oracle(frame: pl.DataFrame) -> set[tuple[int, str, str]]:
    """The bad rows but for repeated ids, by their positions, found independently with polars."""
    id, at, amount, channel = (pl.col(name) for name in ("id", "at", "amount", "channel"))
    rules = {
        ("not_null", "id"): id.is_null(),
        ("not_null", "at"): at.is_null(),
        ("date_in_partition", "at"): at.dt.date() != DAY,
        ("not_null", "amount"): amount.is_null() | amount.is_nan(),
        ("finite", "amount"): amount.is_infinite(),
        ("range", "amount"): amount.is_not_nan() & ~amount.is_between(0, 100),
        ("allowed", "channel"): ~channel.is_in(["web", "pos"]),
    }
    numbered = frame.with_row_index("row")
    return {(row, *key) for key, bad in rules.items() for row in numbered.filter(bad)["row"]}


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(drawn=DRAWN)
@pytest.mark.slow
def test_the_quarantined_rows_are_those_of_an_independent_check(
    tmp_path: Path, drawn: list[tuple[Any, ...]]
) -> None:
    ids, minutes, amounts, channels = zip(*drawn, strict=True)
    frame = pl.DataFrame(
        {
            "id": pl.Series(ids, dtype=pl.Int64),
            "at": pl.Series(
                [None if m is None else NOON + timedelta(minutes=m) for m in minutes], dtype=pl.Datetime("us")
            ),
            "card": "card",
            "amount": pl.Series(amounts, dtype=pl.Float64),
            "channel": pl.Series(channels, dtype=pl.String),
            "fraud": 0,
        }
    )
    numbered = frame.with_columns(position=pl.int_range(pl.len()))
    expected = oracle(frame)
    good = {id for id in ids if id is not None} - {ids[row] for row, _, _ in expected}
    try:
        validated = validated_day(tmp_path, numbered, quality={"max_bad_share": 1})
    except PartitionRejected as error:
        rejected, validated = str(error), None
    if validated is None:
        assert "none is left" in rejected
        assert not good
        return
    lines = [
        (json.loads(line["content"])["position"], line["rule"], line["column"])
        for line in pl.read_parquet(validated.quarantine).iter_rows(named=True)
    ]
    repeats = [ids[row] for row, rule, _ in lines if rule == "unique_id"]
    assert {line for line in lines if line[1] != "unique_id"} == expected
    assert len(lines) == len(expected) + len(repeats)
    assert Counter(repeats) == Counter(id for id in ids if id is not None) - Counter(set(ids))
    bad = {row for row, _, _ in lines}
    assert validated.rows + len(bad) == frame.height
    scored = [id for row, id in enumerate(ids) if row not in bad]
    assert len(scored) == len(set(scored))
    assert good <= set(scored)
    assert validated.clean == sum_of_ids(pl.Series(map(str, scored)))
