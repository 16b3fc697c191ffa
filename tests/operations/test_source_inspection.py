"""`nightscore init`: an inspected source becomes a configuration that loads without changes."""

import gzip
import tomllib
from datetime import date, datetime, timedelta
from pathlib import Path

import duckdb
import numpy as np
import polars as pl
import pytest

from flows.settings import Settings
from models.settings import HeadSettings, ThresholdSettings
from tasks.core.errors import SourceError
from tasks.core.source_settings import SourceSettings
from tasks.evaluation.settings import EvaluationSettings
from tasks.operations.new_configuration import render_toml
from tasks.operations.source_inspection import look_at
from tasks.operations.source_look import SourceLook
from tasks.source.connection import list_dates
from tasks.source.ingest import read_partition
from tasks.validation.validate import validate_partition

ROWS = 300
UNGUESSED = {"private", "details", "label_positive", "label_kind"}
DAYS = [date(2024, 3, 1) + timedelta(days=offset) for offset in range(3)]


def day_of_rows(day: date) -> pl.DataFrame:
    """A day of card payments with a column of every kind that init must recognise."""
    draw = np.random.default_rng(day.toordinal())
    fraud = np.arange(ROWS) % 30 == 0
    return pl.DataFrame(
        {
            "payment_id": [f"{day}-{number}" for number in range(ROWS)],
            "created_at": [
                datetime(day.year, day.month, day.day) + timedelta(seconds=number) for number in range(ROWS)
            ],
            "cardId": draw.integers(0, 40, ROWS),
            "terminal_id": draw.integers(0, 90, ROWS),
            "amount": draw.lognormal(3, 1, ROWS),
            "age": draw.integers(18, 90, ROWS),
            "channel": draw.choice(["web", "chip", 'the "other"'], ROWS),
            "risk_class": draw.integers(0, 5, ROWS),
            "comment": [f"text {number}" for number in draw.integers(0, 250, ROWS)],
            "currency": ["EUR"] * ROWS,
            "is_fraud": fraud.astype(int),
            "how": np.where(fraud, draw.choice(["stolen", "lost"], ROWS), "-"),
            "chargeback_day": draw.integers(0, 30, ROWS),
            "weight": np.ones(ROWS),
        }
    )


def write_days(folder: Path, name: str) -> Path:
    for day in DAYS:
        file = folder / name.format(date=day)
        file.parent.mkdir(parents=True, exist_ok=True)
        day_of_rows(day).write_parquet(file)
    return folder


def load(look: SourceLook) -> Settings:
    """The configuration as the command line would read it; but for the head and its reserve, only the
    source's sections are not defaults.
    """
    settings = Settings.model_validate(tomllib.loads(render_toml(look, "cards")))
    defaults = Settings(
        name="cards",
        source=settings.source,
        columns=settings.columns,
        features=settings.features,
        head=HeadSettings(kind="auto"),
        threshold=ThresholdSettings(reserve=0.5),
        evaluation=EvaluationSettings(outside="hold"),
    )
    assert settings == defaults
    return settings


@pytest.mark.parametrize(
    ("name", "pattern"),
    [
        ("date={date}/part-0.parquet", "date={date}/*.parquet"),
        ("{date}/hour/part-0.parquet", "{date}/*/*.parquet"),
        ("payments-{date}.parquet", "payments-{date}.parquet"),
        ("in/payments-{date}_full.parquet", "in/payments-{date}_full.parquet"),
        ("tx_{date:%Y%m%d}.parquet", "tx_{date:%Y%m%d}.parquet"),
        ("{date:%Y/%m/%d}/part-0.parquet", "{date:%Y}/{date:%m}/{date:%d}/*.parquet"),
        (
            "year={date:%Y}/month={date.month}/day={date.day}/part-0.parquet",
            "year={date:%Y}/month={date:%m}/day={date:%d}/*.parquet",
        ),
        ("year={date:%Y}/m={date.month}/{date}.parquet", "year={date:%Y}/m={date:%m}/{date}.parquet"),
    ],
)
def test_the_date_is_found_in_the_path(tmp_path: Path, name: str, pattern: str) -> None:
    folder = write_days(tmp_path, name)
    look = look_at(str(folder), None, None)
    assert look.source.path == f"{folder}/{pattern}"
    assert list(look.dates) == DAYS == list_dates(look.source)
    assert look == look_at(look.source.path, None, None), "a path with {date} is taken as it is"
    assert read_partition(load(look), DAYS[0]).rows == ROWS


def test_files_of_one_day_with_different_names_are_one_partition(tmp_path: Path) -> None:
    write_days(tmp_path, "tx_{date}_a.parquet")
    write_days(tmp_path, "tx_{date}_b.parquet")
    look = look_at(f"{tmp_path}/*.parquet", None, None)
    assert look.source.path == f"{tmp_path}/tx_{{date}}_*.parquet"
    assert read_partition(load(look), DAYS[0]).rows == 2 * ROWS


def test_each_column_gets_its_role(tmp_path: Path) -> None:
    look = look_at(str(write_days(tmp_path, "{date}.parquet")), None, None)
    dataset = load(look)
    assert dataset.columns.model_dump(exclude=UNGUESSED) == {
        "id": "payment_id",
        "time": "created_at",
        "entity": "cardId",
        "label": "is_fraud",
        "weight": "weight",
    }
    assert dataset.features.numeric == ("amount", "age")
    assert dataset.features.categorical == ("channel", "risk_class")
    assert look.left_out.keys() == {"terminal_id", "comment", "currency", "how", "chargeback_day"}
    text = render_toml(look, "cards")
    assert f"{ROWS * len(DAYS):,} distinct in {ROWS * len(DAYS):,} rows" in text
    assert '"how": it predicts the label' in text
    assert "3 dates seen, 2024-03-01 to 2024-03-03, none between them missing" in text


def test_missing_dates_nulls_and_repeated_ids_are_reported(tmp_path: Path) -> None:
    folder = write_days(tmp_path, "{date}.parquet")
    (folder / f"{DAYS[1]}.parquet").unlink()
    gaps = day_of_rows(DAYS[2]).with_columns(
        pl.lit("same").alias("payment_id"),
        pl.when(pl.col("age") > 50).then(pl.col("amount")).otherwise(float("nan")),
    )
    gaps.write_parquet(folder / f"{DAYS[2]}.parquet")
    text = render_toml(look_at(str(folder), None, None), "cards")
    assert "2 dates seen, 2024-03-01 to 2024-03-03, 1 between them missing" in text
    assert "rows that share their id are quarantined" in text
    assert "of it null" in text


def test_images_are_left_out_with_the_key_that_they_need(tmp_path: Path) -> None:
    rows = day_of_rows(DAYS[0]).with_columns(
        scan=pl.Series([bytes(k % 7 + 1) for k in range(ROWS)]),
        pixels=pl.Series([[0.5, float(k)] for k in range(ROWS)]),
        prices=pl.Series([[k] for k in range(ROWS)], dtype=pl.List(pl.Decimal(10, 2))),
    )
    rows.write_parquet(tmp_path / f"{DAYS[0]}.parquet")
    look = look_at(str(tmp_path), None, None)
    assert not {"scan", "pixels", "prices"} & set(load(look).features.names)
    assert all("set features.image" in look.left_out[name] for name in ("scan", "pixels", "prices"))
    rows.select("payment_id", "scan").write_parquet(tmp_path / f"{DAYS[0]}.parquet")
    with pytest.raises(
        SourceError,
        match=r"no column looks like a feature \(scan: BLOB, perhaps images: then set features.image",
    ):
        look_at(str(tmp_path), None, None)


@pytest.mark.parametrize("table", ["payments", "main.payments", "bank.cards", None])
def test_a_table_of_a_duckdb_file(tmp_path: Path, table: str | None) -> None:
    file = tmp_path / "warehouse.duckdb"
    rows = pl.concat([day_of_rows(day).with_columns(pl.lit(day).alias("booked_on")) for day in DAYS])
    with duckdb.connect(file) as con:
        con.execute("create schema bank")
        con.execute(f"create table {table or 'payments'} as from rows")
    look = look_at(None, str(file), table)
    assert look.source.date_column == "booked_on"
    assert list(look.dates) == DAYS
    assert "booked_on" not in load(look).features.names
    assert (
        read_partition(load(look), DAYS[0]).rows == rows.filter(pl.col("booked_on") == DAYS[0]).height == ROWS
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "separator", "decimal"),
    [
        ("tx_{date:%Y%m%d}.csv", ",", "."),
        ("{date:%Y}/{date:%m}/{date:%d}.csv.gz", ";", ","),
        ("part-{date.day}.tsv", "\t", "."),
    ],
)
def test_csv_gets_its_dialect_and_the_types_that_keep_every_value(
    tmp_path: Path, name: str, separator: str, decimal: str
) -> None:
    for day in DAYS:
        rows = day_of_rows(day).with_columns(
            cardId=pl.format("{}{}", pl.lit("00"), pl.col("cardId")),
            created_at=pl.col("created_at").dt.strftime("%d/%m/%Y %H:%M:%S"),
            age=pl.when(pl.col("age") > 80).then(None).otherwise("age").cast(pl.String).fill_null("NULL"),
        )
        file = tmp_path / name.format(date=day)
        file.parent.mkdir(parents=True, exist_ok=True)
        text = rows.write_csv(separator=separator, decimal_comma=decimal == ",").encode()
        file.write_bytes(gzip.compress(text) if name.endswith("gz") else text)
    look = look_at(str(tmp_path), None, None)
    data = load(look)
    assert (
        look.source.types | {"created_at": "TIMESTAMP", "cardId": "VARCHAR", "age": "BIGINT"}
        == look.source.types
    )
    assert (look.source.types["amount"], look.source.dialect.decimal) == ("DOUBLE", decimal)
    assert (data.columns.time, data.columns.entity) == ("created_at", "cardId")
    assert look.source.date_column == ("created_at" if name.startswith("part") else None)
    assert list(look.dates) == DAYS
    found = validate_partition(data, read_partition(data, DAYS[0]), tmp_path)
    assert (found.partition.rows, found.rows_quarantined) == (ROWS, 0)


def test_files_without_a_date_in_their_path_are_dated_by_a_column(tmp_path: Path) -> None:
    for number, day in enumerate(DAYS):
        day_of_rows(day).write_parquet(tmp_path / f"part-{number}.parquet")
    look = look_at(str(tmp_path), None, None)
    assert look.source == SourceSettings(path=f"{tmp_path}/**/*.parquet", date_column="created_at")
    assert list(look.dates) == DAYS
    assert read_partition(load(look), DAYS[1]).rows == ROWS


def test_a_label_that_is_not_known_yet_is_still_found(tmp_path: Path) -> None:
    day_of_rows(DAYS[0]).with_columns(pl.lit(None, pl.Int8).alias("is_fraud")).write_parquet(
        tmp_path / f"{DAYS[0]}.parquet"
    )
    look = look_at(str(tmp_path), None, None)
    assert look.roles.label == "is_fraud"
    assert look.left_out.keys() == {"terminal_id", "comment", "currency", "chargeback_day"}, (
        "without labels nothing can tell what `how` is"
    )


def test_an_unusable_source_is_refused_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    write_days(tmp_path / "mixed", "a_{date}.parquet")
    write_days(tmp_path / "mixed", "b/{date}.parquet")
    day_of_rows(DAYS[0]).drop("created_at").write_parquet(tmp_path / "undated.parquet")
    for name, columns in {
        "no_id": ["amount"],
        "repeats": ["age", "amount"],
        "label": ["is_fraud", "amount"],
        "no_feature": ["payment_id", "comment"],
    }.items():
        (tmp_path / name).mkdir()
        day_of_rows(DAYS[0]).select(columns).write_parquet(tmp_path / name / f"{DAYS[0]}.parquet")
    (tmp_path / "torn").mkdir()
    (tmp_path / "torn" / f"{DAYS[0]}.parquet").write_bytes(b"PAR1")
    with duckdb.connect(tmp_path / "two.duckdb") as con:
        con.execute("create table a (day date); create table b (x int)")
    refused: list[tuple[str | None, str | None, str | None, str]] = [
        (None, None, None, "name one source"),
        ("x", "y", None, "name one source"),
        ("empty", None, None, "no .parquet or .csv files"),
        ("absent", None, None, "no .parquet or .csv files"),
        ("mixed", None, None, "several kinds of files"),
        ("undated.parquet", None, None, "neither a date such as YYYY-MM-DD"),
        (".", None, None, "several kinds of files"),
        ("no_id", None, None, "can identify the rows"),
        ("repeats", None, None, "age comes nearest, and 228 of 300 rows have no value of their own"),
        ("label", None, None, "can identify the rows"),
        ("no_feature", None, None, "no column looks like a feature"),
        ("torn", None, None, "cannot be read"),
        (None, "absent.duckdb", "a", "no DuckDB file"),
        (None, "two.duckdb", None, "name one of: a, b"),
        (None, "two.duckdb", "c", "has no table c; fix source.table (there are: a, b)"),
        (None, "two.duckdb", "a", "no rows of any date"),
        (None, "two.duckdb", "b", "no date or timestamp column"),
    ]
    for path, database, table, message in refused:
        with pytest.raises(SourceError) as refusal:
            look_at(path and str(tmp_path / path), database and str(tmp_path / database), table)
        assert message in str(refusal.value)
        assert "\n" not in str(refusal.value)


def test_the_public_card_transactions(shared_data: Path) -> None:
    look = look_at(str(shared_data / "card_transactions"), None, None)
    dataset = load(look)
    assert dataset.columns.model_dump(exclude_none=True, exclude=UNGUESSED) == {
        "id": "transaction_id",
        "time": "tx_time",
        "entity": "customer_id",
        "label": "is_fraud",
    }
    assert dataset.features.names == ("amount",)
    assert "second label" in look.left_out["fraud_scenario"]


ODD = """
    d || '-' || i as "an 'id'",
    case when i = 3 then 'infinity' else timestamp '2024-03-01' + interval (d) day end as ts,
    case when i % 9 = 0 then 'infinity'::date else date '2020-01-01' + i::int end as day,
    {'a': i, 'b\nc': 'x'} as struct, [i, i + 1] as list, map {'a': i} as map,
    make_time(i % 24, 0, 0) as clock, interval (i) day as span, uuid() as uuid,
    i::hugeint * 1000000000000 as huge, (i / 7)::decimal(18, 4) as dec,
    case when i % 9 = 0 then 'infinity' when i % 7 = 0 then 'nan' else i::double end as float,
    'a' || chr(10) || (i % 2) as "two\nlines", null as nothing, ''::blob as bytes, '{"a": 1}'::json as json,
    case when i % 30 = 0 then 'Y' else 'N' end as "is_fraud\n"
"""


def test_columns_of_every_type_and_with_any_name(tmp_path: Path) -> None:
    with duckdb.connect(tmp_path / "odd.duckdb") as con:
        con.execute(
            f"create table odd as select date '2024-03-01' + d::int as booked, {ODD} "
            "from range(3) as d(d), range(60) as i(i)"
        )
    look = look_at(None, str(tmp_path / "odd.duckdb"), None)
    settings = Settings.model_validate(tomllib.loads(render_toml(look, look.name)))
    assert settings.columns == look.roles
    assert (look.roles.id, look.roles.label, look.roles.label_positive) == ("an 'id'", "is_fraud\n", ("Y",))
    others = {"booked", "day", "struct", "list", "map", "clock", "span", "uuid", "nothing", "bytes", "json"}
    assert look.left_out.keys() == others
    assert look.left_out["nothing"] == "it is null in every row"
