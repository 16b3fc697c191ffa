"""CSV sources: no value changes from day to day, and what does not fit is seen."""

import csv
import gzip
from collections.abc import Callable
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from sql import identifier
from tasks.core.csv_settings import CsvSettings
from tasks.core.dataset import Dataset
from tasks.core.errors import NightError, PartitionRejected, SourceError
from tasks.core.source_settings import SourceSettings
from tasks.source.connection import connect, list_dates
from tasks.source.csv_types import does_not_fit, typed
from tasks.source.ingest import read_partition
from tasks.source.view import create_view
from tasks.validation.validate import validate_partition

DAY = date(2024, 3, 6)
TYPES = {"id": "BIGINT", "at": "TIMESTAMP", "amount": "DOUBLE", "is_fraud": "BIGINT"}
HEADER = "id,at,amount,channel,is_fraud\n"
ROWS = [f"{n},2024-03-06 10:00:0{n},{n}.5,00{n},0\n" for n in range(9)]


def dataset(folder: Path, name: str = "{date}.csv", **source: Any) -> Dataset:
    return Dataset.model_validate(
        {
            "name": "cards",
            "source": {"path": f"{folder}/{name}", "types": TYPES, **source},
            "columns": {"id": "id", "time": "at", "label": "is_fraud"},
            "features": {"numeric": ["amount"], "categorical": ["channel"]},
            "quality": {"max_bad_share": 0.5},
        }
    )


def write(folder: Path, text: str, name: str = "2024-03-06.csv") -> Path:
    (folder / name).write_text(text, newline="")
    return folder / name


def rows_of(data: Dataset) -> pl.DataFrame:
    with connect(data.source) as con:
        view = create_view(con, data, "found", [DAY])
        return con.sql(f"select {', '.join(map(identifier, view.types))} from found").pl().sort("id")


def message_of(data: Dataset) -> str:
    with pytest.raises(SourceError) as caught:
        read_partition(data, DAY)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    ("kind", "fitting", "unfit"),
    [
        (
            "BIGINT",
            {"7": 7, " -7 ": -7, "0": 0},
            ["007", "+7", "7.0", "1e3", "1_000", "0x1F", "9" * 19, "x", "-0", "1 2"],
        ),
        (
            "DOUBLE",
            {"0.1": 0.1, "007": 7.0, "1e3": 1000.0, ".5": 0.5},
            ["1,5", "1_0", "1e999", "0x1", "1.2.3", "1 2", "1e", "1d", "1f", "--1", "١"],
        ),
        ("DECIMAL(9, 2)", {"1.50": Decimal("1.5"), "1.500": Decimal("1.5")}, ["1.005", "1e1", "99999999.5"]),
        ("BOOLEAN", {"true": True, "F": False}, ["maybe", "2"]),
        (
            "DATE",
            {"2024-3-5": date(2024, 3, 5)},
            ["2024-03-05 10:00", "2024-02-30", "infinity"],
        ),
        (
            "TIMESTAMP",
            {
                "2024-03-05T10:00:00.5": datetime(2024, 3, 5, 10, 0, 0, 500_000),
                "2024-03-05": datetime(2024, 3, 5),
            },
            ["2024-03-05 10:00:00+01:00", "2024-03-05T10:00:00Z", "10:00", "epoch"],
        ),
        ("VARCHAR", {"007": "007", " x ": " x "}, []),
    ],
)
def test_a_text_fits_a_type_or_is_seen(kind: str, fitting: dict[str, object], unfit: list[str]) -> None:
    with duckdb.connect() as con:
        for text, value in {**fitting, **dict.fromkeys(unfit)}.items():
            con.execute("create or replace table t as select ? as c", [text])
            value_of = typed("c", kind, CsvSettings())
            query = f"select {value_of}, {does_not_fit('c', value_of)} from t"
            read, is_unfit = con.sql(query).fetchall()[0]
            assert (read, is_unfit) == (value, text in unfit), text


@pytest.mark.parametrize(
    ("kind", "text", "csv", "value"),
    [
        ("DATE", "05.03.2024", {"date_format": "%d.%m.%Y"}, "2024-03-05"),
        ("TIMESTAMP", "05/03/2024 10:00", {"timestamp_format": "%d/%m/%Y %H:%M"}, "2024-03-05 10:00:00"),
        ("TIMESTAMPTZ", "2024-03-05T10:00:00+01:00", {}, "2024-03-05 09:00:00+00"),
        ("TIMESTAMPTZ", "2024-03-05T10:00:00", {}, None),
        ("DOUBLE", "1,5", {"decimal": ",", "delimiter": ";"}, "1.5"),
    ],
)
def test_formats_of_the_dialect(kind: str, text: str, csv: dict[str, str], value: str | None) -> None:
    with duckdb.connect() as con:
        con.execute("set timezone = 'UTC'")
        con.execute("create table t as select ? as c", [text])
        read = typed("c", kind, CsvSettings.model_validate(csv))
        assert con.sql(f"select cast({read} as varchar) from t").fetchall() == [(value,)]


@pytest.mark.parametrize(
    ("names", "suffix"), [("2024-03-06.csv", "csv"), ("2024-03-06.CSV.GZ", "CSV.GZ")], ids=["csv", "gz"]
)
def test_a_day_of_csv_is_its_rows_by_name(tmp_path: Path, names: str, suffix: str) -> None:
    """Leading zeros stay, columns may change their order, and new ones are text."""
    data, file = dataset(tmp_path, f"{{date}}*.{suffix}"), tmp_path / names
    pack: Callable[[bytes], bytes] = gzip.compress if suffix.endswith("GZ") else bytes
    file.write_bytes(pack((HEADER + "".join(ROWS[:6])).encode()))
    first = read_partition(data, DAY)
    assert rows_of(data)["channel"].to_list() == [f"00{n}" for n in range(6)]
    turned = [f'00{n},0,2024-03-06 10:00:0{n},"{n}",{n}.5\r\n' for n in range(6)]
    file.write_bytes(pack("".join(["channel,is_fraud, AT ,id,amount\r\n", *turned]).encode()))
    assert read_partition(data, DAY).fingerprint == first.fingerprint
    (tmp_path / f"2024-03-06b.{suffix}").write_bytes(
        pack(b"id,at,amount,channel,is_fraud,mcc\n7,2024-03-06,1,x,,012\n")
    )
    (tmp_path / f"2024-03-06c.{suffix}").write_bytes(pack(b"id,amount\n"))
    assert rows_of(data)["mcc"].to_list() == [None] * 6 + ["012"]
    assert list_dates(data.source) == [DAY]
    assert validate_partition(data, read_partition(data, DAY), tmp_path).rows_quarantined == 0


def test_an_empty_field_is_null_quoted_or_not(tmp_path: Path) -> None:
    write(tmp_path, HEADER + '1,2024-03-06,,"",""\n2,2024-03-06,"","NULL",\n3,2024-03-06,  ,x,1\n')
    found = rows_of(dataset(tmp_path, csv={"nulls": ["NULL"]}))
    assert found["amount"].null_count() == 3
    assert found["channel"].to_list() == [None, None, "x"]
    assert found["is_fraud"].to_list() == [None, None, 1]


def test_a_value_that_does_not_fit_is_quarantined_with_its_row(tmp_path: Path) -> None:
    rows = [*ROWS[:6], "006,2024-03-06,1.0,x,0\n", "7,2024-03-06,lots,x,0\n", "8,2024-03-06,1.0,x,maybe\n"]
    write(tmp_path, HEADER + "".join(rows))
    data = dataset(tmp_path)
    found = validate_partition(data, read_partition(data, DAY), tmp_path)
    bad = pl.read_parquet(found.quarantine)
    assert found.rows_quarantined == 2
    assert sorted(bad.select("rule", "column").iter_rows()) == [
        ("fits_type", "amount"),
        ("fits_type", "id"),
        ("not_null", "id"),
    ]
    contents = "".join(bad["content"])
    assert '"id":"006"' in contents
    assert '"amount":"lots"' in contents
    assert "1 values of the label column is_fraud are no label, such as 'maybe'" in "".join(found.notes)
    before = read_partition(data, DAY).fingerprint
    write(tmp_path, (HEADER + "".join(rows)).replace("lots", "much"))
    assert read_partition(data, DAY).fingerprint != before
    write(tmp_path, (HEADER + "".join(rows[:-1])).replace(".5", ",5"))
    with pytest.raises(NightError, match=r"line 2 has 6 values, and the file 5 columns"):
        read_partition(data, DAY)
    write(tmp_path, (HEADER + "".join(rows[:6])).replace("-03-", "/03/"))
    with pytest.raises(PartitionRejected, match="at fits_type 6"):
        validate_partition(data, read_partition(data, DAY), tmp_path)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (HEADER + ROWS[0] + "1,2\n", "line 3 has 2 values, and the file 5 columns; deliver it again"),
        (HEADER + "1,2024-03-06,1,x,0,9\n", "line 2 has 6 values, and the file 5 columns"),
        (HEADER + '1,2024-03-06,1,"x,0\n', "line 2 has a quote that does not end"),
        ("".join(ROWS), "its first line has none of the columns of source.types, so that it is no header"),
        ("", "its first line has none of the columns"),
        ("id,amount,ID\n1,2,3\n", "its header has the name id twice"),
        ("id,,amount\n1,2,3\n", "its header has no name for column 2"),
    ],
    ids=["short", "long", "quote", "no header", "empty", "twice", "unnamed"],
)
def test_a_malformed_file_is_refused_with_its_line(tmp_path: Path, content: str, words: str) -> None:
    file = write(tmp_path, content)
    message = message_of(dataset(tmp_path))
    assert message.startswith(f"{DAY}: {file} cannot be read: ")
    assert words in message


def test_bytes_that_are_no_text_and_a_packed_file_that_is_cut_are_refused(tmp_path: Path) -> None:
    (tmp_path / "2024-03-06.csv").write_bytes((HEADER + "1,2024-03-06,1,é,0\n").encode("latin-1"))
    assert "line 2 is not in source.csv.encoding" in message_of(dataset(tmp_path))
    assert rows_of(dataset(tmp_path, csv={"encoding": "latin-1"}))["channel"].to_list() == ["é"]
    packed = gzip.compress((HEADER + "".join(ROWS)).encode())
    (tmp_path / "2024-03-06.csv.gz").write_bytes(packed[:-9])
    assert "Compressed file ended before the end-of-stream" in message_of(dataset(tmp_path, "{date}.csv.gz"))


def test_a_bad_day_of_csv_in_a_look_back_is_left_out(tmp_path: Path) -> None:
    write(tmp_path, HEADER + "".join(ROWS))
    write(tmp_path, HEADER + "1,2\n", "2024-03-05.csv")
    data = dataset(tmp_path, lookback_days=1)
    sql = tmp_path / "features.sql"
    sql.write_text("select id, amount, channel from history where _partition_date = $partition_date")
    data = data.model_copy(update={"features": data.features.model_copy(update={"sql": str(sql)})})
    (left_out,) = read_partition(data, DAY).left_out
    assert "2024-03-05.csv cannot be read: line 2 has 2 values" in left_out.reason


def test_a_file_without_a_header_has_the_columns_in_the_order_of_the_types(tmp_path: Path) -> None:
    types = {
        "id": "BIGINT",
        "at": "TIMESTAMP",
        "amount": "DOUBLE",
        "channel": "VARCHAR",
        "is_fraud": "BIGINT",
    }
    write(tmp_path, "".join(ROWS))
    data = dataset(tmp_path, csv={"header": False}, types=types)
    assert rows_of(data)["channel"].to_list() == [f"00{n}" for n in range(9)]
    write(tmp_path, "1,2\n")
    assert "its first line has 2 values, and source.types 5 columns" in message_of(data)


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ({"path": "/x/{date}.csv"}, r"a CSV file has no types .* `nightscore init` finds"),
        ({"path": "/x/{date}.parquet", "types": TYPES}, "types and csv are for the path of CSV files"),
        ({"path": "/x/{date}.csv", "types": {"a": "MONEY"}}, "'MONEY' is no type of a column; use VARCHAR"),
        ({"path": "/x/{date}.csv", "types": {"a": "DATE", "A": "DATE"}}, "types names a column twice"),
        ({"path": "/x/{date}.csv", "types": TYPES, "csv": {"delimiter": ".", "decimal": "."}}, "are both"),
    ],
)
def test_a_configuration_that_leaves_values_open_is_refused(source: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        SourceSettings.model_validate(source)


@settings(
    phases=(Phase.explicit, Phase.reuse, Phase.generate),
    max_examples=40,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    texts=st.lists(st.text(st.sampled_from("a0 ,;\"'\\\n\r\t#é|"), max_size=6), min_size=1, max_size=6),
    dialect=st.sampled_from([{}, {"delimiter": ";"}, {"delimiter": "\t", "quote": "'", "escape": "'"}]),
    quoting=st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
)
def test_every_text_is_read_as_it_was_written(
    tmp_path: Path, texts: list[str], dialect: dict[str, str], quoting: int
) -> None:
    if quoting == csv.QUOTE_MINIMAL:  # Python quotes no carriage return
        texts = [text.replace("\r", "") for text in texts]
    data = dataset(tmp_path, csv=dialect)
    written = {"delimiter": data.source.dialect.delimiter, "quotechar": data.source.dialect.quote}
    with (tmp_path / "2024-03-06.csv").open("w", newline="", encoding="utf-8") as out:
        writer = csv.writer(out, quoting=quoting, lineterminator="\n", **written)
        writer.writerow(["id", "channel"])
        writer.writerows(enumerate(texts))
    assert rows_of(data)["channel"].to_list() == [text or None for text in texts]
