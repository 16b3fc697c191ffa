"""Reading the source: what a day is, what its fingerprint depends on, and the errors if it cannot be read."""

import os
import tempfile
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pytest

from sql import identifier, literal
from tasks.core import instances
from tasks.core.dataset import Dataset
from tasks.core.dates import date_range
from tasks.core.errors import SourceError
from tasks.core.source_settings import SourceSettings
from tasks.source import connection
from tasks.source.connection import connect, list_dates, readable
from tasks.source.ingest import ingest, read_partition
from tasks.source.simulation import simulate, write_partitions
from tasks.source.view import create_view

FIRST = date(2024, 3, 1)
DAY = date(2024, 3, 6)
FRAME = simulate(FIRST, 6, customers=60, terminals=120, seed=5)


def dataset(
    lookback_days: int = 3,
    features: dict[str, Any] | None = None,
    columns: dict[str, Any] | None = None,
    quality: dict[str, Any] | None = None,
    **source: Any,
) -> Dataset:
    return Dataset.model_validate(
        {
            "name": "cards",
            "source": {"lookback_days": lookback_days, **source},
            "columns": {
                "id": "transaction_id",
                "time": "tx_time",
                "entity": "customer_id",
                "label": "is_fraud",
            }
            | (columns or {}),
            "features": features or {"sql": "features/card_transactions.sql", "numeric": ["amount"]},
            "quality": quality or {},
        }
    )


def parquet(folder: Path, frame: pl.DataFrame = FRAME, **settings: Any) -> Dataset:
    write_partitions(frame, folder)
    return dataset(path=f"{folder}/date={{date}}/*.parquet", **settings)


def table(
    database: Path,
    frame: pl.DataFrame = FRAME,
    name: str = "transactions",
    date_column: str = "tx_time",
    **settings: Any,
) -> Dataset:
    with duckdb.connect(str(database)) as con:
        con.register("frame", frame.to_arrow())
        con.execute(f"create or replace table {'.'.join(map(identifier, name.split('.')))} as from frame")
    return dataset(database=str(database), table=name, date_column=date_column, **settings)


def rows_of(data: Dataset, first: date, last: date) -> pl.DataFrame:
    """The source's columns of these dates and the date of each row, ordered by date and id."""
    with connect(data.source) as con:
        view = create_view(con, data, "found", list(date_range(first, last)))
        columns = ", ".join([*map(identifier, view.types), f"{view.date} as _partition_date"])
        return con.sql(f"select {columns} from found").pl().sort("_partition_date", "transaction_id")


def changed(expression: pl.Expr, on: date) -> pl.DataFrame:
    """The rows, with a column of the first row of one date changed."""
    first_row = FRAME.filter(pl.col("tx_time").dt.date() == on)["transaction_id"][0]
    return FRAME.with_columns(
        pl.when(transaction_id=first_row).then(expression).otherwise(pl.col(expression.meta.output_name()))
    )


def test_a_day_is_its_rows(tmp_path: Path) -> None:
    data = parquet(tmp_path)
    expected = FRAME.filter(pl.col("tx_time").dt.date() == DAY).sort("transaction_id")
    found = rows_of(data, DAY, DAY)
    assert found.drop("_partition_date").equals(expected)
    assert found["_partition_date"].unique().to_list() == [DAY]
    partition = ingest.plain(data, DAY, tmp_path / "files")
    assert (partition.date, partition.rows) == (DAY, expected.height)
    assert list_dates(data.source) == [FIRST + timedelta(days=n) for n in range(6)]


def test_a_table_and_files_of_the_same_rows_are_the_same(tmp_path: Path) -> None:
    files, rows = parquet(tmp_path / "files"), table(tmp_path / "bank.duckdb")
    assert read_partition(files, DAY) == read_partition(rows, DAY)
    assert rows_of(files, FIRST, DAY).equals(rows_of(rows, FIRST, DAY))
    assert list_dates(files.source) == list_dates(rows.source)


def test_a_file_in_the_place_of_another_with_its_time_is_read(tmp_path: Path) -> None:
    data = parquet(tmp_path)
    file = tmp_path / f"date={DAY}" / "part-0.parquet"
    before, day = file.stat(), pl.read_parquet(file)
    first = rows_of(data, DAY, DAY)
    assert not first["amount"].is_in([7.25]).any()
    day.with_columns(pl.lit(7.25).alias("amount")).write_parquet(file)
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert rows_of(data, DAY, DAY)["amount"].unique().to_list() == [7.25]
    with connect(data.source) as con:
        found = con.execute(f"select count(*) from {literal(str(file))} where amount = 7.25").fetchall()
    assert found == [(day.height,)]


def test_rows_spill_to_a_folder_that_ends_with_the_connection(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(instances, "_idle", {})
    monkeypatch.setitem(connection.DUCKDB_CONFIG, "memory_limit", "80MB")
    source, folders = SourceSettings(path="transactions/{date}.parquet"), []
    for rows in (1, 6_000_000, 1):
        with connect(source) as con:
            con.execute(
                f"create temp table texts as select hash(n)::text || n as found from range({rows}) r(n)"
            )
            (folder,) = tmp_path.iterdir()
            folders.append(folder)
            assert any(folder.iterdir()) == (rows > 1)
    assert len(set(folders)) == 3
    assert not any(tmp_path.iterdir())


def test_how_the_rows_of_a_day_are_divided_into_files_changes_nothing(tmp_path: Path) -> None:
    data = parquet(tmp_path)
    before, rows = read_partition(data, DAY), rows_of(data, DAY, DAY)
    folder = tmp_path / f"date={DAY}"
    day = pl.read_parquet(folder / "part-0.parquet")
    (folder / "part-0.parquet").unlink()
    day.head(40).write_parquet(folder / "b.parquet")
    day.tail(-40).write_parquet(folder / "a.parquet")
    after = read_partition(data, DAY)
    assert after == before
    assert after.listing != before.listing
    assert rows_of(data, DAY, DAY).equals(rows)


@pytest.mark.parametrize(
    ("frame", "same"),
    [
        (FRAME.sample(fraction=1, shuffle=True, seed=1), True),
        (FRAME.with_columns(is_fraud=pl.lit(None, pl.Int8)), True),
        (FRAME.drop("is_fraud"), True),
        (FRAME.with_columns(weight=pl.lit(3.0)), True),
        (changed(pl.lit(7.77).alias("amount"), DAY), False),
        (changed(pl.lit(7.77).alias("amount"), DAY - timedelta(days=3)), False),
        (changed(pl.lit(7.77).alias("amount"), DAY - timedelta(days=4)), True),
        (changed(pl.lit(None, pl.Float64).alias("amount"), DAY), False),
        (FRAME.filter(pl.col("transaction_id") != FRAME["transaction_id"][-1]), False),
        (pl.concat([FRAME, FRAME.tail(1)]), False),
        (FRAME.with_columns(channel=pl.lit("web")), False),
        (FRAME.rename({"customer_id": "terminal_id", "terminal_id": "customer_id"}), False),
    ],
    ids=[
        "order",
        "labels",
        "no labels",
        "weights",
        "content",
        "look-back",
        "before the look-back",
        "null",
        "fewer",
        "twice",
        "column",
        "swap",
    ],
)
def test_the_fingerprint_is_the_content_without_labels_and_weights(
    tmp_path: Path, frame: pl.DataFrame, same: bool
) -> None:
    settings: dict[str, Any] = {"columns": {"weight": "weight"}}
    before = read_partition(parquet(tmp_path / "before", **settings), DAY).fingerprint
    after = read_partition(parquet(tmp_path / "after", frame, **settings), DAY).fingerprint
    assert (before == after) is same


def test_without_feature_sql_the_look_back_does_not_count(tmp_path: Path) -> None:
    plain = {"features": {"numeric": ["amount"]}}
    other = changed(pl.lit(7.77).alias("amount"), DAY - timedelta(days=1))
    assert read_partition(parquet(tmp_path / "a", **plain), DAY) == read_partition(
        parquet(tmp_path / "b", other, **plain), DAY
    )


def test_missing_look_back_dates_are_ignored(tmp_path: Path) -> None:
    data = parquet(tmp_path)
    (tmp_path / f"date={DAY - timedelta(days=1)}" / "part-0.parquet").unlink()
    assert read_partition(data, DAY).rows > 0
    assert read_partition(data, FIRST).rows > 0


DAMAGES = ["text", "truncated", "half", "nothing", "flipped"]


def damage_file(file: Path, damage: str) -> None:
    content = file.read_bytes()
    damaged = {
        "text": b"transaction_id,amount\n",
        "truncated": content[:-20],
        "half": content[: len(content) // 2],
        "nothing": b"",
        "flipped": content[:4] + bytes(255 - byte for byte in content[4:600]) + content[600:],
    }
    file.write_bytes(damaged[damage])


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_corrupt_file_is_named(tmp_path: Path, damage: str) -> None:
    data = parquet(tmp_path)
    file = tmp_path / f"date={DAY}" / "part-0.parquet"
    damage_file(file, damage)
    with pytest.raises(SourceError) as caught:
        read_partition(data, DAY)
    message = str(caught.value)
    assert message.startswith(f"{DAY}: ")
    assert str(file) in message
    assert "deliver it again" in message
    assert "\n" not in message


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_corrupt_date_of_the_look_back_is_left_out_and_named(
    tmp_path: Path, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    data = parquet(tmp_path)
    bad = DAY - timedelta(days=2)
    file = tmp_path / f"date={bad}" / "part-0.parquet"
    whole = read_partition(data, DAY)
    damage_file(file, damage)
    with caplog.at_level("WARNING", "tasks"):
        partition = ingest.plain(data, DAY, tmp_path / "files")
    (left_out,) = partition.left_out
    assert left_out.date == bad
    assert "cannot be read" in left_out.reason
    assert str(file) in left_out.reason
    assert "\n" not in left_out.reason
    assert partition.look_back == (DAY - timedelta(days=3), DAY - timedelta(days=1))
    assert (partition.rows, whole.left_out) == (whole.rows, ())
    assert partition.fingerprint != whole.fingerprint
    (warning,) = [record for record in caplog.records if record.levelname == "WARNING"]
    assert f"the look-back leaves out {left_out}" in warning.getMessage()


@pytest.mark.parametrize(
    "folder",
    [
        "it's",
        'say "hi"',
        "drop table; --",
        "50% off",
        "añejo ключ",
        "$x {y}",
        "../date=1999-01-01/up",
        "a+b(c)",
    ],
)
def test_odd_paths(tmp_path: Path, folder: str) -> None:
    place = tmp_path / "2023-01-01" / folder
    place.mkdir(parents=True)
    data = parquet(place)
    assert read_partition(data, DAY).rows == FRAME.filter(pl.col("tx_time").dt.date() == DAY).height
    assert list_dates(data.source)[0] == FIRST


@pytest.mark.parametrize(
    "pattern",
    [
        "{date}.parquet",
        "{date}/part-0.parquet",
        "cards-{date}-*.parquet",
        "*/{date}*.parquet",
        "**/{date}.parquet",
    ],
)
def test_where_the_date_stands_in_the_path(
    tmp_path: Path, pattern: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "2023-01-01"
    for day in (FIRST, DAY):
        file = folder / pattern.replace("{date}", day.isoformat()).replace("**", "some/where").replace(
            "*", "x"
        )
        file.parent.mkdir(parents=True, exist_ok=True)
        FRAME.filter(pl.col("tx_time").dt.date() == day).write_parquet(file)
    monkeypatch.chdir(tmp_path)
    for place in (f"{folder}/{pattern}", f"2023-01-01/{pattern}", f"../{tmp_path.name}/2023-01-01/{pattern}"):
        data = dataset(path=place)
        assert list_dates(data.source) == [FIRST, DAY]
        assert rows_of(data, DAY, DAY)["_partition_date"].unique().to_list() == [DAY]


def test_a_day_in_two_spellings_is_one_partition_of_all_its_files(tmp_path: Path) -> None:
    """As in Hive, which writes month=3, beside a tool that writes month=03."""
    data = dataset(path=f"{tmp_path}/year={{date:%Y}}/month={{date:%m}}/day={{date:%d}}/*.parquet")
    rows = FRAME.filter(pl.col("tx_time").dt.date() == DAY)
    for number, name in enumerate(("month=3/day=6", "month=03/day=06", "month=03/day=6")):
        file = tmp_path / "year=2024" / name / "part-0.parquet"
        file.parent.mkdir(parents=True)
        rows[number * 20 : (number + 1) * 20 if number < 2 else None].write_parquet(file)
    (tmp_path / "year=2024" / "month=13").mkdir()
    assert list_dates(data.source) == [DAY]
    assert rows_of(data, FIRST, DAY).drop("_partition_date").equals(rows.sort("transaction_id"))
    assert read_partition(data, DAY).rows == rows.height
    message = message_of(data, date(2024, 3, 7))
    assert (
        f"no partition at {tmp_path}/year=2024/month=03/day=07/*.parquet; the source has 1 dates" in message
    )


def test_a_folder_that_is_not_a_date_is_ignored(tmp_path: Path) -> None:
    data = parquet(tmp_path)
    for name in ("date=2024-02-31", "date=latest"):
        (tmp_path / name).mkdir()
        FRAME.write_parquet(tmp_path / name / "part-0.parquet")
    assert list_dates(data.source) == [FIRST + timedelta(days=n) for n in range(6)]


@pytest.mark.parametrize(
    "odd", ["it's", 'a "quoted" name', "select", "naïve ; drop table x --", "$partition_date", "Über%s{x}"]
)
def test_odd_names_of_tables_and_columns(tmp_path: Path, odd: str) -> None:
    frame = FRAME.rename({"tx_time": odd})
    for data in (
        table(
            tmp_path / "it's a bank.duckdb", frame, name=f"main.{odd}", date_column=odd, columns={"time": odd}
        ),
        table(
            tmp_path / "zoned.duckdb",
            frame.cast({odd: pl.Datetime("us", "UTC")}),
            name=odd,
            date_column=odd,
            columns={"time": odd},
        ),
    ):
        assert (
            rows_of(data, DAY, DAY)
            .drop("_partition_date")
            .equals(frame.filter(pl.col(odd).dt.date() == DAY).sort("transaction_id"))
        )


@pytest.mark.parametrize("file", ["bank", "copied", "memory"])
def test_tables_and_views_are_found_as_duckdb_finds_them(tmp_path: Path, file: str) -> None:
    bank = tmp_path / "bank.duckdb"
    expected = rows_of(table(bank), DAY, DAY)
    with duckdb.connect(str(bank)) as con:
        con.execute('create view dated as select *, amount as "AMOUNT2" from "bank"."main"."transactions"')
        con.execute("create view short as from bank.transactions")
        con.execute('create schema "s.t"; create view "s.t"."of main" as from transactions')
        con.execute('create table "a.b" as select * exclude (amount), amount as "Amount" from transactions')
    bank = bank.rename(tmp_path / f"{file}.duckdb")
    names = ["Transactions", '"s.t"."of main"', "S.T.of main", "a.b", '"A.B"', "short", 'MAIN."transactions"']
    for name in names:
        columns: dict[str, Any] = {"details": ["amount"]}
        data = dataset(database=str(bank), table=name, date_column="TX_Time", columns=columns)
        assert rows_of(data, DAY, DAY).select(expected.columns).equals(expected)
    columns = {"details": ["amount", "Amount2"]}
    data = dataset(database=str(bank), table="DATED", date_column="tx_time", columns=columns)
    assert rows_of(data, DAY, DAY)["Amount2"].equals(expected["amount"])


def test_a_table_that_may_be_two_and_a_view_of_another_file_are_refused(tmp_path: Path) -> None:
    bank = tmp_path / "bank.duckdb"
    table(bank)
    with duckdb.connect(str(bank)) as con:
        con.execute('create schema a; create table a.b (d date); create table "a.b" (d date)')
        con.execute(f"attach '{tmp_path}/other.duckdb' as other; create table other.t (d date)")
        con.execute("create view foreign_view as from other.main.t")
    for name, words in {
        "a.b": 'table a.b may be "bank"."a"."b" or "bank"."main"."a.b"; write source.table so',
        "foreign_view": 'cannot be read: Binder Error: Catalog "other" does not exist!; fix the view',
    }.items():
        assert words in message_of(dataset(database=str(bank), table=name, date_column="d"))


def test_two_spellings_of_a_column_are_refused() -> None:
    with pytest.raises(ValueError, match="amount and Amount are the same column to DuckDB"):
        dataset(path="{date}.parquet", columns={"details": ["amount"]}, quality={"columns": {"Amount": {}}})


def test_a_column_may_be_spelled_otherwise_in_each_file(tmp_path: Path) -> None:
    data = parquet(tmp_path)
    before, rows = read_partition(data, DAY), rows_of(data, DAY, DAY)
    file = tmp_path / f"date={DAY}" / "part-0.parquet"
    day = pl.read_parquet(file)
    day.head(-3).write_parquet(file)
    shouted = day.tail(3).cast({"terminal_id": pl.Int32})
    shouted.rename(str.upper).write_parquet(file.with_name("a.parquet"))
    assert read_partition(data, DAY).fingerprint == before.fingerprint
    assert rows_of(data, DAY, DAY).equals(rows)


def test_zoned_times_are_local_times_of_the_source_on_every_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    zoned = FRAME.with_columns(pl.col("tx_time").dt.replace_time_zone("Europe/Paris"))
    naive = parquet(tmp_path / "naive", timezone="Europe/Paris")
    before = read_partition(naive, DAY)
    for name, frame in (
        ("paris", zoned),
        ("tokyo", zoned.with_columns(pl.col("tx_time").dt.convert_time_zone("Asia/Tokyo"))),
    ):
        rows = table(tmp_path / f"{name}.duckdb", frame, timezone="Europe/Paris")
        assert rows_of(rows, FIRST, DAY).equals(rows_of(naive, FIRST, DAY))
        assert read_partition(rows, DAY) == before
    monkeypatch.setenv("TZ", "America/New_York")
    assert read_partition(rows, DAY) == before


def test_an_instant_belongs_to_the_date_of_the_source_s_zone(tmp_path: Path) -> None:
    late = datetime(2024, 3, 5, 23, 30, tzinfo=UTC)
    frame = pl.DataFrame({"transaction_id": [1], "tx_time": [late], "is_fraud": [0]})
    assert list_dates(table(tmp_path / "a.duckdb", frame, timezone="UTC").source) == [date(2024, 3, 5)]
    assert list_dates(table(tmp_path / "b.duckdb", frame, timezone="Europe/Paris").source) == [
        date(2024, 3, 6)
    ]


def test_a_file_with_a_zone_among_files_without(tmp_path: Path) -> None:
    """Files without a zone are local time of the source's zone, whatever the zone of the machine."""
    data = parquet(tmp_path, timezone="America/New_York")
    before = rows_of(data, FIRST, DAY)
    file = tmp_path / f"date={DAY}" / "part-0.parquet"
    pl.read_parquet(file).with_columns(
        pl.col("tx_time").dt.replace_time_zone("America/New_York")
    ).write_parquet(file)
    assert rows_of(data, FIRST, DAY).equals(before)


def test_a_column_that_was_added_later_is_null_before(tmp_path: Path) -> None:
    data = parquet(tmp_path)
    file = tmp_path / f"date={DAY}" / "part-0.parquet"
    day = pl.read_parquet(file)
    day.with_columns(channel=pl.lit("web")).select("channel", *reversed(day.columns)).write_parquet(file)
    found = rows_of(data, FIRST, DAY)
    assert found.group_by("_partition_date").agg(pl.col("channel").count() > 0).sort("_partition_date")[
        "channel"
    ].to_list() == [False] * 5 + [True]
    assert found.height == FRAME.height
    assert "channel" not in rows_of(data, FIRST, FIRST + timedelta(days=1)).columns
    assert read_partition(data, DAY).rows == day.height


@pytest.mark.parametrize(
    "empty",
    [
        FRAME.head(0).with_columns(pl.col("amount").cast(pl.Null)),
        FRAME.head(0).cast(dict.fromkeys(FRAME.columns, pl.String)),
        FRAME.head(0).select("transaction_id", new=pl.lit(1)),
    ],
    ids=["null", "text", "columns"],
)
def test_a_file_without_rows_changes_nothing(tmp_path: Path, empty: pl.DataFrame) -> None:
    data = parquet(tmp_path)
    before, rows = read_partition(data, DAY), rows_of(data, DAY, DAY)
    empty.write_parquet(tmp_path / f"date={DAY}" / "a.parquet")
    after = read_partition(data, DAY)
    assert (after.fingerprint, after.rows, after.left_out) == (before.fingerprint, before.rows, ())
    assert rows_of(data, DAY, DAY).equals(rows)


@pytest.mark.parametrize("column", ["transaction_id", "tx_time", "customer_id", "amount"])
def test_a_column_without_a_value_has_the_type_of_the_other_files(tmp_path: Path, column: str) -> None:
    data = parquet(tmp_path)
    file = tmp_path / f"date={DAY}" / "part-0.parquet"
    day = pl.read_parquet(file)
    day.head(-3).write_parquet(file)
    day.tail(3).with_columns(pl.lit(None).alias(column)).write_parquet(file.with_name("part-1.parquet"))
    found = rows_of(data, DAY, DAY)
    assert (found.schema, found[column].null_count()) == (rows_of(data, FIRST, FIRST).schema, 3)
    assert read_partition(data, DAY).left_out == ()
    day.with_columns(pl.lit(None).alias(column)).write_parquet(file)
    assert read_partition(data, DAY).left_out == ()


def test_a_view_is_lazy(tmp_path: Path) -> None:
    """A column that is not selected is not read, however long the look-back is."""
    data = parquet(tmp_path)
    with connect(data.source) as con:
        create_view(con, data, "found", list(date_range(FIRST, DAY)))
        plan = con.sql("explain select sum(amount) from found").fetchall()[0][1]
    assert "PARQUET" in plan
    assert "terminal_id" not in plan


def message_of(data: Dataset, day: date = DAY) -> str:
    with pytest.raises(SourceError) as caught:
        read_partition(data, day)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_missing_partition_is_reported_with_the_existing_dates(tmp_path: Path) -> None:
    late = date(2024, 5, 1)
    message = message_of(parquet(tmp_path), late)
    assert message.startswith(f"{late}: there is no partition at {tmp_path}/date={late}")
    assert "6 dates, 2024-03-01..2024-03-06" in message


def test_a_wrong_path_is_reported(tmp_path: Path) -> None:
    message = message_of(dataset(path=f"{tmp_path}/nowhere/{{date}}.parquet"))
    assert message.startswith(f"{DAY}: there is no partition at {tmp_path}/nowhere/{DAY}.parquet")
    assert "no dates at all" in message


@pytest.mark.parametrize("make", [Path.mkdir, os.mkfifo], ids=["folder", "pipe"])
def test_what_is_no_file_is_named_and_not_waited_for(tmp_path: Path, make: Callable[[Path], None]) -> None:
    data = parquet(tmp_path)
    odd = tmp_path / f"date={DAY}" / "x.parquet"
    make(odd)
    assert f"{DAY}: {odd} cannot be read: {odd} is a folder or a pipe, and no file" in message_of(data)
    assert read_partition(data, DAY - timedelta(days=1)).rows


def test_a_folder_that_may_not_be_listed_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = parquet(tmp_path)
    closed = str(tmp_path / f"date={DAY}")
    monkeypatch.setattr(os, "access", lambda path, mode: str(path) != closed)
    assert f"cannot be listed: [Errno 13] Permission denied: '{closed}'" in message_of(data)


def test_an_empty_partition_is_reported(tmp_path: Path) -> None:
    data = parquet(tmp_path / "files")
    file = tmp_path / "files" / f"date={DAY}" / "part-0.parquet"
    FRAME.clear().write_parquet(file)
    assert message_of(data).startswith(f"{DAY}: the partition is empty ({file.parent}")
    message = message_of(table(tmp_path / "bank.duckdb"), date(2024, 5, 1))
    assert "2024-05-01: the partition is empty (table transactions of " in message


def test_a_wrong_table_file_or_column_is_reported(tmp_path: Path) -> None:
    bank = tmp_path / "bank.duckdb"
    table(bank)
    for name in ("no_table", "no_schema.transactions", "no_file.main.transactions"):
        assert f"{bank} has no table {name}; fix source.table (there are: transactions)" in message_of(
            dataset(database=str(bank), table=name, date_column="tx_time")
        )
    message = message_of(dataset(database=str(bank), table="transactions", date_column="tx_date"))
    assert "table transactions has no column tx_date; fix it, or source.date_column" in message
    assert f"there is no DuckDB file {bank}x; fix source.database" in message_of(
        dataset(database=f"{bank}x", table="t", date_column="d")
    )
    (tmp_path / "text.duckdb").write_text("this is no database" * 100)
    assert "text.duckdb cannot be opened" in message_of(
        dataset(database=f"{tmp_path}/text.duckdb", table="t", date_column="d")
    )


def test_invalid_dates_are_reported(tmp_path: Path) -> None:
    data = table(tmp_path / "bank.duckdb", FRAME.with_columns(day=pl.lit("yesterday")), date_column="day")
    with pytest.raises(SourceError, match=r"bank\.duckdb") as caught:
        list_dates(data.source)
    assert "table transactions" in message_of(data)
    assert all(
        "***" in message and "yesterday" not in message for message in (str(caught.value), message_of(data))
    )  # it may be private


def test_a_date_of_the_look_back_with_a_wrong_type_is_left_out_and_named(tmp_path: Path) -> None:
    data = parquet(tmp_path, quality={"columns": {"amount": {"min": 0}}})
    bad = DAY - timedelta(days=1)
    file = tmp_path / f"date={bad}" / "part-0.parquet"
    pl.read_parquet(file).with_columns(amount=pl.lit([1.0])).write_parquet(file)
    partition = read_partition(data, DAY)
    assert [str(each) for each in partition.left_out] == [f"{bad} (column amount is DOUBLE[])"]
    assert partition.look_back == (DAY - timedelta(days=3), DAY - timedelta(days=2))


def test_an_error_of_nightscore_passes_through(tmp_path: Path) -> None:
    data = parquet(tmp_path)
    with pytest.raises(ZeroDivisionError), readable(data.source, DAY):
        raise ZeroDivisionError
