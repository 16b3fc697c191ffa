"""Labels that others report: a file of an analyst's verdicts or of chargebacks, added to what is known."""

from dataclasses import dataclass
from pathlib import Path

import duckdb
import polars as pl

from sql import identifier
from tasks.core.canonical import canonical_text
from tasks.core.errors import LabelsRefused, first_line
from tasks.warehouse.connection import Warehouse
from tasks.warehouse.statements import execute, row

NEEDED, DATE = ("id", "label", "known_at", "source"), "partition_date"
READERS = {".parquet": pl.read_parquet, ".csv": lambda path: pl.read_csv(path, infer_schema=False)}


@dataclass(frozen=True)
class Recorded:
    """What became of the lines of a label file.

    added: new in the table `labels`. known: they add nothing to it. unknown: they name no scored row, and
    were left out.
    """

    added: int
    known: int
    unknown: int


def record_labels(warehouse: Warehouse, path: Path) -> Recorded:
    """Appends a Parquet or CSV file of labels to the table `labels`: all of its lines, or none where one
    cannot be meant.

    Columns: id; label (0, 1, true or false); known_at (a date: known from its end); source (who says so, such
    as analyst or chargeback; `source` is the source's own column); and, where ids repeat from day to day,
    partition_date.
    Raises LabelsRefused, naming the file, the column and the count.
    """
    lines = _lines(path)
    return warehouse.transact(lambda con: _record(con, path, lines))


def _lines(path: Path) -> pl.DataFrame:
    """The file's lines as text, numbered from 1."""
    if path.suffix.lower() not in READERS:
        raise LabelsRefused(f"{path} is neither .parquet nor .csv; write it as one of them")
    if not path.is_file():
        raise LabelsRefused(f"there is no file {path}; name an existing one")
    try:
        found = READERS[path.suffix.lower()](path)
    except (pl.exceptions.PolarsError, OSError) as error:
        raise LabelsRefused(f"{path} cannot be read: {first_line(error)}; write it again") from error
    if missing := [name for name in NEEDED if name not in found.columns]:
        raise LabelsRefused(
            f"{path} has no column {', '.join(missing)} (it has {', '.join(found.columns)}); add what "
            "is missing"
        )
    dated = found if DATE in found.columns else found.with_columns(pl.lit(None, pl.String).alias(DATE))
    return _canonical(dated.select(*NEEDED, DATE)).with_row_index("line", offset=1)


def _canonical(lines: pl.DataFrame) -> pl.DataFrame:
    """The values as canonical text: an id of a Parquet file is the same whatever its type."""
    with duckdb.connect() as con:
        con.register("lines", lines.to_arrow())
        found = con.sql("from lines")
        values = [
            f"{canonical_text(identifier(name), kind)} as {identifier(name)}"
            for name, kind in zip(found.columns, found.types, strict=True)
        ]
        return con.sql(f"select {', '.join(values)} from lines").pl()


def _record(con: duckdb.DuckDBPyConnection, path: Path, lines: pl.DataFrame) -> Recorded:
    execute(con, "publish/lock_dataset")
    con.register("lines", lines.to_arrow())
    execute(con, "labels/parse_label_file")
    if invalid := row(con, "labels/find_invalid_values"):
        raise LabelsRefused(
            f"{path}: {invalid['lines']:,} values of {invalid['column']} are not valid, the first in line "
            f"{invalid['first_line']}: {invalid['written']!r}; nothing was recorded, fix the file"
        )
    execute(con, "labels/match_scored_rows")
    counts = row(con, "labels/count_new_labels")
    assert counts is not None
    execute(con, "labels/insert_reported_labels")
    return Recorded(**counts)
