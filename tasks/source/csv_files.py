"""CSV files, read as parts: by the names of their columns, with the types of [source.types]."""

import csv
import gzip
import re
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from typing import IO

import duckdb

from sql import folded, identifier, literal
from tasks.core.csv_settings import CsvSettings
from tasks.core.errors import first_line, shown
from tasks.core.filesystem import exact_pattern, filesystem_of
from tasks.core.source_settings import SourceSettings
from tasks.source.csv_types import does_not_fit, typed
from tasks.source.part import Part, date_literal

CHUNK = 1 << 20  # bytes of a packed file that are read at once


def csv_parts(
    con: duckdb.DuckDBPyConnection, source: SourceSettings, dated: Mapping[str, date | None]
) -> Iterator[Part]:
    """Yields files by their date and the names of their columns in order. Files without rows are left out,
    unless no file has any. A column that source.types does not name is text.

    Raises duckdb.Error if a file cannot be read, or has no header where it should.
    """
    columns = {file: _columns(source, file) for file in dated}
    headers = {file: read_header(file, source.dialect) for file in dated}
    filled = [file for file, head in headers.items() if head.has_more or not source.dialect.header]
    groups: dict[tuple[date | None, tuple[str, ...], bool], list[str]] = {}
    for file in filled or dated:
        groups.setdefault((dated[file], columns[file], _is_packed(file)), []).append(file)
    for (day, names, _), alike in groups.items():
        yield _part(con, source, day, names, alike)


def csv_reason(error: duckdb.Error) -> str | None:
    """Returns what is wrong with a line of a CSV file, in words without its values; None if the error is not
    of that kind.
    """
    text = str(error)
    if (line := re.search(r"CSV Error on Line: (\d+)", text)) is None:
        return None
    if found := re.search(r"Expected Number of Columns: (\d+) Found: (\d+)", text):
        return f"line {line[1]} has {found[2]} values, and the file {found[1]} columns"
    for sign, meaning in {
        "unterminated quote": "has a quote that does not end",
        "Invalid unicode": "is not in source.csv.encoding",
        "Maximum line size": "is longer than 2 MB",
    }.items():
        if sign in text:
            return f"line {line[1]} {meaning}"
    return f"line {line[1]} is no line of CSV by source.csv"


def read_lines(names: Sequence[str], files: Sequence[str], dialect: CsvSettings) -> str:
    """Returns a relation with the values of CSV files as text, null where a field is empty, quoted or not.

    files: all of them packed, or none.
    """
    listed = ", ".join(literal(exact_pattern(file)) for file in files)
    columns = ", ".join(f"{literal(name)}: 'VARCHAR'" for name in names)
    nulls = ", ".join(map(literal, ("", *dialect.nulls)))
    return (
        f"read_csv([{listed}], auto_detect = false, header = {str(dialect.header).lower()}, "
        f"columns = {{{columns}}}, delim = {literal(dialect.delimiter)}, quote = {literal(dialect.quote)}, "
        f"escape = {literal(dialect.escape)}, encoding = {literal(dialect.encoding)}, nullstr = [{nulls}], "
        f"compression = {literal('gzip' if _is_packed(files[0]) else 'none')}, "
        "allow_quoted_nulls = true, null_padding = false, strict_mode = true, hive_partitioning = false)"
    )


@dataclass(frozen=True)
class Header:
    """The first line of a file. names: its values, without blanks around them. has_more: if others follow."""

    names: tuple[str, ...]
    has_more: bool


def read_header(file: str, dialect: CsvSettings) -> Header:
    """Returns the first line of a file.

    Raises duckdb.IOException if it cannot be read, or if the file is packed and not whole: DuckDB would read
    what is there.
    """
    filesystem = filesystem_of(file)
    info = filesystem.info(file)
    changed = str(info.get("ETag") or info.get("mtime") or info.get("LastModified"))
    return _header(file, info["size"], changed, dialect.model_dump_json())


@lru_cache(maxsize=4096)
def _header(file: str, size: int, changed: str, dialect_json: str) -> Header:
    """size, changed: of the file, so that a second delivery is read again."""
    dialect = CsvSettings.model_validate_json(dialect_json)
    try:
        if _is_packed(file):
            _require_whole(file)
        with _open_text(file, dialect) as lines:
            escape = dialect.escape if dialect.escape != dialect.quote else None
            read = csv.reader(lines, delimiter=dialect.delimiter, quotechar=dialect.quote, escapechar=escape)
            first = next(read, [])
            return Header(tuple(name.strip() for name in first), _has_more(read))
    except (OSError, EOFError, zlib.error, csv.Error, UnicodeError) as error:
        raise duckdb.IOException(first_line(error)) from error


def _has_more(lines: Iterator[list[str]]) -> bool:
    """Whether a line follows that is not empty. What cannot be read is named when DuckDB reads it."""
    try:
        return any(lines)
    except (csv.Error, UnicodeError):
        return True


def _open_text(file: str, dialect: CsvSettings) -> IO[str]:
    # Bytes that are no text are replaced here, since DuckDB names their line.
    encoding = "utf-8-sig" if dialect.encoding == "utf-8" else dialect.encoding
    how = {
        "compression": "gzip" if _is_packed(file) else None,
        "encoding": encoding,
        "errors": "replace",
        "newline": "",
    }
    opened: IO[str] = filesystem_of(file).open(file, "rt", **how)
    return opened


def _is_packed(file: str) -> bool:
    return file.lower().endswith(".gz")


def _require_whole(file: str) -> None:
    with filesystem_of(file).open(file, "rb") as packed, gzip.open(packed) as content:
        while content.read(CHUNK):
            pass


def _columns(source: SourceSettings, file: str) -> tuple[str, ...]:
    """Returns the columns of a file in order.

    Raises duckdb.IOException if they cannot be told: no header, a column without a name, or two of one.
    """
    first = read_header(file, source.dialect).names
    if not source.dialect.header:
        if first and len(first) != len(source.types):
            raise duckdb.IOException(
                f"its first line has {len(first)} values, and source.types {len(source.types)} columns"
            )
        return tuple(source.types)
    names = [folded(name) for name in first]
    if not set(names) & set(map(folded, source.types)):
        raise duckdb.IOException(
            "its first line has none of the columns of source.types, so that it is no header; deliver it "
            "with one, or set source.csv.header = false"
        )
    if "" in names:
        raise duckdb.IOException(f"its header has no name for column {names.index('') + 1}")
    if repeated := [name for name in names if names.count(name) > 1]:
        raise duckdb.IOException(f"its header has the name {shown(repeated[0])} twice")
    return first


def _part(
    con: duckdb.DuckDBPyConnection,
    source: SourceSettings,
    day: date | None,
    names: Sequence[str],
    files: Sequence[str],
) -> Part:
    kinds = {folded(name): kind for name, kind in source.types.items()}
    types = {name: kinds.get(folded(name), "VARCHAR") for name in names}
    checked = [name for name, kind in types.items() if kind != "VARCHAR"]
    prefix = "_" * (1 + max(len(name) - len(name.lstrip("_")) for name in names))
    unfit = {name: identifier(f"{prefix}unfit {name}") for name in checked}
    value = {name: identifier(f"{prefix}value {name}") for name in checked}
    quoted = {name: identifier(name) for name in types}
    values = [f"{typed(quoted[name], types[name], source.dialect)} as {value[name]}" for name in checked]
    selected = [f"{value.get(name, each)} as {each}" for name, each in quoted.items()]
    odd = {name: does_not_fit(quoted[name], value[name]) for name in checked}
    texts = [f"case when {odd[name]} then {quoted[name]} end as {unfit[name]}" for name in checked]
    lines = f"(select {', '.join(['*', *values])} from {read_lines(names, files, source.dialect)})"
    relation = f"(select {', '.join([*selected, *texts])} from {lines})"
    return Part(
        relation,
        {name: con.sqltype(kind) for name, kind in types.items()},
        date_literal(day),
        files=tuple(files),
        unfit=unfit,
    )
