"""The lines of a file of labels or answers as text, each numbered as an editor or a reader does."""

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import duckdb
import polars as pl

from sql import identifier
from tasks.core.canonical import canonical_text
from tasks.core.errors import LabelsRefused, first_line

WRITE_AGAIN = "write it again"


@dataclass(frozen=True)
class Layout:
    """The columns that such a file must have, and those that it may have; others are ignored."""

    needed: tuple[str, ...]
    optional: tuple[str, ...]

    @property
    def columns(self) -> tuple[str, ...]:
        return self.needed + self.optional


LABELS = Layout(("id", "label", "known_at", "source"), ("partition_date", "kind"))
ANSWERS = Layout(("id", "answer"), ("date", "note"))


@dataclass(frozen=True)
class LabelLines:
    """frame: `line`, and the columns of the layout as text, null where a value is missing. word: what a line
    is called.
    """

    frame: pl.DataFrame
    word: str


def read_label_lines(path: Path, layout: Layout) -> LabelLines:
    """Returns the lines of a CSV or Parquet file; empty ones are left out.

    Raises LabelsRefused, naming the file and the line, where it cannot be read as such.
    """
    readers = {".parquet": _parquet, ".csv": _csv}
    if path.suffix.lower() not in readers:
        raise LabelsRefused(f"{path} is neither .parquet nor .csv; write it as one of them")
    if not path.is_file():
        raise LabelsRefused(f"there is no file {path}; name an existing one")
    return readers[path.suffix.lower()](path, layout)


def _csv(path: Path, layout: Layout) -> LabelLines:
    """The header is line 1, a quoted value may hold line breaks, and blanks around a value do not count."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            records = list(_records(path, csv.reader(file, skipinitialspace=True, strict=True)))
    except UnicodeDecodeError as error:
        raise LabelsRefused(f"{path} is not UTF-8 text; save it as UTF-8") from error
    except (csv.Error, OSError) as error:
        raise LabelsRefused(f"{path} cannot be read: {first_line(error)}; {WRITE_AGAIN}") from error
    if not records:
        raise LabelsRefused(
            f"{path} is empty; its first line must name the columns {', '.join(layout.needed)}"
        )
    (_, header), *lines = records
    _require_columns(path, header, layout)
    places = {name: header.index(name) for name in layout.columns if name in header}
    columns = {name: [values[place] or None for _, values in lines] for name, place in places.items()}
    frame = pl.DataFrame({"line": [line for line, _ in lines]} | columns, schema=_schema(columns))
    return LabelLines(_whole(frame, layout), "line")


def _records(path: Path, reader: Iterator[list[str]]) -> Iterator[tuple[int, list[str]]]:
    """The number of the first line of each record that is not empty, and its values without blanks around
    them. Raises LabelsRefused where one has another number of values than the first.
    """
    width, line = None, 1
    for record in reader:
        values = [value.strip() for value in record]
        if any(values):
            width = width or len(values)
            if len(values) != width:
                raise LabelsRefused(
                    f"{path} cannot be read: line {line} has {len(values)} values, and the header {width}; "
                    f"{WRITE_AGAIN}"
                )
            yield line, values
        line = reader.line_num + 1  # type: ignore[attr-defined]


def _parquet(path: Path, layout: Layout) -> LabelLines:
    try:
        found = pl.read_parquet(path, glob=False)
    except (pl.exceptions.PolarsError, OSError) as error:
        raise LabelsRefused(f"{path} cannot be read: {first_line(error)}; {WRITE_AGAIN}") from error
    _require_columns(path, found.columns, layout)
    chosen = found.select(name for name in layout.columns if name in found.columns)
    if nested := [name for name, kind in chosen.schema.items() if kind.is_nested() or kind == pl.Binary]:
        raise LabelsRefused(
            f"{path}: column {nested[0]} has type {chosen.schema[nested[0]]}; write one value per row, "
            "as text, a number or a date"
        )
    return LabelLines(_whole(_canonical(chosen).with_row_index("line", offset=1), layout), "row")


def _canonical(rows: pl.DataFrame) -> pl.DataFrame:
    """The values as canonical text: an id of a Parquet file is the same whatever its type."""
    with duckdb.connect() as con:
        con.register("rows", rows.to_arrow())
        found = con.sql("from rows")
        values = [
            f"{canonical_text(identifier(name), kind)} as {identifier(name)}"
            for name, kind in zip(found.columns, found.types, strict=True)
        ]
        return con.sql(f"select {', '.join(values)} from rows").pl()


def _whole(frame: pl.DataFrame, layout: Layout) -> pl.DataFrame:
    absent = [pl.lit(None, pl.String).alias(name) for name in layout.columns if name not in frame.columns]
    return frame.with_columns(absent).select(pl.col("line").cast(pl.Int64), *layout.columns)


def _schema(columns: dict[str, list[str | None]]) -> dict[str, type[pl.DataType]]:
    return {"line": pl.Int64} | dict.fromkeys(columns, pl.String)


def _require_columns(path: Path, found: list[str], layout: Layout) -> None:
    if missing := [name for name in layout.needed if name not in found]:
        raise LabelsRefused(
            f"{path} has no column {', '.join(missing)} (it has {', '.join(found)}); add what is missing"
        )
    if twice := [name for name in layout.columns if found.count(name) > 1]:
        raise LabelsRefused(f"{path} has the column {twice[0]} more than once; leave one of them")
