"""A table for people, on standard output."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any, Literal

from rich.console import Console
from rich.table import Table
from rich.text import Text

FOLDED = 40  # characters: a longer text may be folded to that many


def data_table(columns: Sequence[str], rows: Sequence[Sequence[Any]], title: str | None = None) -> None:
    """A table as wide as the terminal, or as wide as it needs where the output is no terminal; numbers stand
    at the right.

    Long texts are folded so that ids and numbers stay whole; where even that is too wide for the terminal,
    each row is a list.
    """
    table = Table(title=title and Text(title), title_justify="left", header_style="bold")
    for number, column in enumerate(columns):
        values = [row[number] for row in rows if row[number] is not None]
        long = any(len(_cell(value)) > FOLDED for value in values)
        side: Literal["left", "right"] = "right" if values and all(map(_is_number, values)) else "left"
        table.add_column(
            Text(column), justify=side, no_wrap=not long, min_width=FOLDED if long else None, overflow="fold"
        )
    for row in rows:
        table.add_row(*map(_text, row))
    terminal, endless = Console(), Console(width=10_000)
    if not terminal.is_terminal:
        endless.print(table)
    elif endless.measure(table).minimum <= terminal.width:
        terminal.print(table)
    else:
        terminal.print(_records(columns, rows))


def _records(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> Table:
    """One line per value, and an empty one between rows."""
    records = Table.grid(padding=(0, 2))
    for number, row in enumerate(rows):
        if number:
            records.add_row()
        for column, value in zip(columns, row, strict=True):
            records.add_row(Text(column, style="bold"), _text(value))
    return records


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float | Decimal) and not isinstance(value, bool)


def _text(value: Any) -> Text:
    """What stands in a cell; as Text, for of a plain string rich would obey a [tag]."""
    return Text("" if value is None else _cell(value))


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4g}" if abs(value) < 1e4 else f"{value:,.0f}"
    if isinstance(value, list):
        return "; ".join(map(_cell, value))
    if isinstance(value, dict):
        return " ".join(_cell(part) for part in value.values() if part is not None)
    return str(value)
