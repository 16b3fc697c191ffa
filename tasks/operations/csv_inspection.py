"""Infers the dialect of CSV files and the types of their columns, once, for `nightscore init`."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import duckdb

from sql import identifier, literal
from tasks.core.csv_settings import CsvSettings
from tasks.core.errors import SourceError, first_line
from tasks.core.filesystem import exact_pattern
from tasks.core.source_settings import SourceSettings
from tasks.source.connection import connect
from tasks.source.csv_files import read_header, read_lines
from tasks.source.csv_types import does_not_fit, typed

SAMPLED_FILES, SAMPLED_ROWS = 7, 20_000
KINDS = ("BIGINT", "DOUBLE", "BOOLEAN", "DATE", "TIMESTAMP", "TIMESTAMPTZ")  # the first that all values fit
NULLS = ("NULL", "null", r"\N", "NA", "N/A", "n/a", "None", "#N/A")
# A number that would lose its leading zeros, its plus or its last digits is text.
PLAIN = r"-?(0|[1-9][0-9]{0,14})?([.,][0-9]*)?([eE][+-]?[0-9]+)?|(?i)nan|-?inf(inity)?"


@dataclass(frozen=True)
class CsvLook:
    """The inferred dialect, and the type of each column in the order of the newest file; text is VARCHAR."""

    dialect: CsvSettings
    types: dict[str, str]


def look_at_csv(files: Sequence[str]) -> CsvLook:
    """Infers dialect and types of files, ordered by date, from rows of the newest and some others.

    Raises SourceError if they cannot be read as CSV with a header.
    """
    newest, step = files[-1], max(1, len(files) // (SAMPLED_FILES - 1))
    sampled = [*files[:-1:step], newest]
    with connect(
        SourceSettings(path=newest, date_column="_", types={"_": "VARCHAR"}, csv=CsvSettings())
    ) as con:
        try:
            found, formats = _sniff(con, newest)
            names = read_header(newest, found).names
            _create_sample(con, sampled, found)
            looks = [_look(con, names, dialect) for dialect in _variants(con, names, found, formats)]
        except duckdb.Error as error:
            raise SourceError(f"{newest} cannot be read as CSV: {first_line(error)}") from error
    return max(looks, key=lambda look: sum(kind != "VARCHAR" for kind in look.types.values()))


def _sniff(con: duckdb.DuckDBPyConnection, file: str) -> tuple[CsvSettings, dict[str, str]]:
    """Returns the dialect that DuckDB finds, and the formats of dates and times as settings."""
    place = literal(exact_pattern(file))
    fields = "Delimiter, Quote, Escape, HasHeader, SkipRows, DateFormat, TimestampFormat"
    for encoding in ("utf-8", "latin-1"):
        try:
            delimiter, quote, escape, header, skipped, day, time = con.sql(
                f"select {fields} from sniff_csv({place}, encoding = {literal(encoding)})"
            ).fetchall()[0]
        except duckdb.Error:
            if encoding == "latin-1":
                raise
            continue
        break
    if skipped:
        raise SourceError(f"{file} has {skipped} lines before its header; deliver it without them")
    if not header:
        raise SourceError(
            f"{file} has no header, the line with the names of its columns; write [source.types] by hand, "
            "and source.csv.header = false"
        )
    one = '"' if quote == "(empty)" else quote
    given: dict[str, Any] = {
        "delimiter": delimiter,
        "quote": one,
        "escape": one if escape in ("(empty)", "") else escape,
        "encoding": encoding,
    }
    formats = {"date_format": day, "timestamp_format": time}
    return CsvSettings.model_validate(given), {key: text for key, text in formats.items() if text}


def _create_sample(con: duckdb.DuckDBPyConnection, files: Sequence[str], dialect: CsvSettings) -> None:
    rows = SAMPLED_ROWS // len(files)
    parts = [
        f"(from {read_lines(read_header(file, dialect).names, [file], dialect)} limit {rows})"
        for file in files
    ]
    con.execute(f"create temp table sample as {' union all by name '.join(parts)}")


def _variants(
    con: duckdb.DuckDBPyConnection, names: Sequence[str], found: CsvSettings, formats: Mapping[str, str]
) -> Iterator[CsvSettings]:
    """Yields the dialect, also with formats, a decimal comma and texts for null, where there may be any."""
    listed = ", ".join(map(literal, NULLS))
    query = " union ".join(
        f"select {identifier(name)} from sample where {identifier(name)} in ({listed})" for name in names
    )
    nulls = tuple(sorted(row[0] for row in con.sql(query).fetchall()))
    decimals = [".", ","] if found.delimiter != "," else ["."]
    for decimal, written, null in product(decimals, [{}, formats] if formats else [{}], {(), nulls}):
        yield found.model_copy(update={"decimal": decimal, **written, "nulls": null})


def _look(con: duckdb.DuckDBPyConnection, names: Sequence[str], dialect: CsvSettings) -> CsvLook:
    nulls = ", ".join(map(literal, ("", *dialect.nulls)))
    texts = {
        name: f"case when {identifier(name)} not in ({nulls}) then {identifier(name)} end" for name in names
    }
    fits = ", ".join(_fits(text, kind, dialect) for text in texts.values() for kind in KINDS)
    (row,) = con.sql(f"select {fits} from sample").fetchall()
    found = {name: row[number * len(KINDS) : (number + 1) * len(KINDS)] for number, name in enumerate(names)}
    types = {
        name: next((kind for kind, fit in zip(KINDS, each, strict=True) if fit), "VARCHAR")
        for name, each in found.items()
    }
    return CsvLook(dialect, types)


def _fits(text: str, kind: str, dialect: CsvSettings) -> str:
    """Returns an SQL expression, BOOLEAN, for whether a column has values, and all of them fit a type."""
    odd = does_not_fit(text, typed(text, kind, dialect))
    if kind == "DOUBLE":
        odd = f"({odd} or not coalesce(regexp_full_match(trim({text}), {literal(PLAIN)}), true))"
    if kind == "BOOLEAN":
        odd = f"({odd} or not coalesce(lower(trim({text})) in ('true', 'false'), true))"
    return f"count({text}) > 0 and not bool_or({odd})"
