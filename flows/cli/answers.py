"""How the answer of a query is written: one function per format."""

import csv
import io
import sys
from collections import Counter
from collections.abc import Callable
from datetime import date, time
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from flows.console import json_text

if TYPE_CHECKING:
    from tasks.warehouse.query import Answer

Write = Callable[["Answer"], str]


class Format(StrEnum):
    """The formats of `nightscore sql --format`."""

    table = "table"
    csv = "csv"
    json = "json"
    jsonl = "jsonl"
    markdown = "markdown"


SUFFIXES = {
    ".csv": Format.csv,
    ".json": Format.json,
    ".jsonl": Format.jsonl,
    ".md": Format.markdown,
}


def chosen_format(asked: Format | None, as_json: bool, file: Path | None) -> Format:
    """The format that is asked for, else that of the file's suffix, else a table.

    Raises typer.BadParameter where `--json` and another format are asked for.
    """
    if as_json and asked not in (None, Format.json):
        raise typer.BadParameter(f"give --json or --format {asked.value}, not both")
    if as_json or asked:
        return asked or Format.json
    return SUFFIXES.get(file.suffix.lower(), Format.table) if file else Format.table


def write_answer(answer: "Answer", form: Format, file: Path | None) -> None:
    """Writes the answer to the file, or to standard output."""
    if form is Format.table and file is None and sys.stdout.isatty():
        from flows.data_table import data_table  # loads rich

        data_table(answer.columns, answer.rows)
        return
    text = FORMATS[form](answer)
    if file is None:
        sys.stdout.write(text)
    else:
        file.write_text(text, encoding="utf-8", newline="")


def as_plain(answer: "Answer") -> str:
    """Values with tabs between them, a row a line; a tab or a line break inside a value is a backslash and a
    letter.
    """
    lines = [answer.columns, *([_plain(value) for value in row] for row in answer.rows)]
    return "".join("\t".join(map(_escaped, line)) + "\n" for line in lines)


def as_csv(answer: "Answer") -> str:
    """Comma-separated values; null is empty."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(answer.columns)
    writer.writerows([_plain(value) for value in row] for row in answer.rows)
    return text.getvalue()


def as_json(answer: "Answer") -> str:
    """One list of row objects."""
    return json_text(_objects(answer)) + "\n"


def as_jsonl(answer: "Answer") -> str:
    """One row object per line."""
    return "".join(json_text(row) + "\n" for row in _objects(answer))


def as_markdown(answer: "Answer") -> str:
    """A table of Markdown."""
    lines = [answer.columns, ["---"] * len(answer.columns)]
    lines += [[_plain(value) for value in row] for row in answer.rows]
    return "".join(f"| {' | '.join(map(_cell, line))} |\n" for line in lines)


FORMATS: dict[Format, Write] = {
    Format.table: as_plain,
    Format.csv: as_csv,
    Format.json: as_json,
    Format.jsonl: as_jsonl,
    Format.markdown: as_markdown,
}


def _objects(answer: "Answer") -> list[dict[str, Any]]:
    """Raises typer.BadParameter where two columns have one name, of which an object would lose one."""
    if twice := [name for name, count in Counter(answer.columns).items() if count > 1]:
        raise typer.BadParameter(f"the query has several columns {twice[0]}; name them apart with as")
    return [dict(zip(answer.columns, row, strict=True)) for row in answer.rows]


def _plain(value: Any) -> str:
    """A value as text, with all its digits; null is empty, and what has parts is JSON."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list | tuple | dict):
        return json_text(value)
    if isinstance(value, date | time):
        return value.isoformat()
    return str(value)


def _escaped(text: str) -> str:
    for sign, written in (("\\", "\\\\"), ("\t", "\\t"), ("\n", "\\n"), ("\r", "\\r")):
        text = text.replace(sign, written)
    return text


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\r\n", "<br>").replace("\n", "<br>")
