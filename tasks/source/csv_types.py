"""Reads the text of a CSV file as a type, by rules under which no value changes: what does not fit is null.

An integer has no leading zero and no sign but a minus, so that 007 never becomes 7; a decimal has no more
digits after its point than its type; a time has a zone if its type has one, and only then.
"""

import re

from sql import literal
from tasks.core.csv_settings import CsvSettings

NUMBER = r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)"
NO_NUMBER = ("nan", "inf", "+inf", "-inf", "infinity", "+infinity", "-infinity")
DATE = "[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}"
CLOCK = r"[ T][0-9]{1,2}:[0-9]{2}(:[0-9]{2}(\.[0-9]+)?)?"
ZONE = r" ?(Z|UTC|[+-][0-9]{2}(:?[0-9]{2})?)"


def typed(column: str, kind: str, csv: CsvSettings) -> str:
    """Returns an SQL expression for a quoted column of text as a type; null where the text does not fit."""
    text = f"trim({column})"
    if kind == "VARCHAR":
        return column
    if kind == "BOOLEAN":
        return f"try_cast({text} as boolean)"
    if kind in ("DATE", "TIMESTAMP", "TIMESTAMPTZ"):
        return _time(text, kind, csv)
    if kind in ("FLOAT", "DOUBLE"):
        return _float(column if csv.decimal == "." else f"replace({column}, ',', '.')", kind)
    if kind.startswith("DECIMAL"):
        return _decimal(text if csv.decimal == "." else f"replace({text}, ',', '.')", kind)
    return _integer(text, kind)


def does_not_fit(column: str, value: str) -> str:
    """Returns an SQL expression, BOOLEAN, for whether a quoted column of text holds what is no value of a
    type; blanks alone are a null. value: the column as that type.
    """
    return f"({value} is null and coalesce(trim({column}) <> '', false))"


def _integer(text: str, kind: str) -> str:
    number = f"try_cast({text} as {kind})"
    return f"case when cast({number} as varchar) = {text} then {number} end"


def _decimal(text: str, kind: str) -> str:
    scale = re.search(r", ?(\d+)\)", kind)
    assert scale is not None
    digits = f"length(rtrim(split_part({text}, '.', 2), '0')) <= {scale[1]}"
    return _where(text, NUMBER, f"case when {digits} then try_cast({text} as {kind}) end")


def _float(text: str, kind: str) -> str:
    number, named = f"try_cast({text} as {kind})", ", ".join(map(literal, NO_NUMBER))
    # DuckDB takes 1_000 for a number, and 1e999 for infinite; all else that it takes for one is one.
    finite = f"case when not contains({text}, '_') and isfinite({number}) then {number} end"
    return f"coalesce({finite}, case when lower(trim({text})) in ({named}) then {number} end)"


def _time(text: str, kind: str, csv: CsvSettings) -> str:
    written = csv.date_format if kind == "DATE" else csv.timestamp_format
    if written is not None:
        return f"cast(try_strptime({text}, {literal(written)}) as {kind})"
    value = f"try_cast({text} as {kind})"
    shape = {"DATE": DATE, "TIMESTAMP": f"{DATE}({CLOCK})?", "TIMESTAMPTZ": f"{DATE}{CLOCK}{ZONE}"}[kind]
    # Most values are as DuckDB writes them, which is found sooner than their shape.
    plain = f"isfinite({value}) and cast({value} as varchar) = {text}" if kind != "TIMESTAMPTZ" else "false"
    return f"case when {plain} or regexp_full_match({text}, {literal(shape)}) then {value} end"


def _where(text: str, shape: str, value: str) -> str:
    return f"case when regexp_full_match({text}, {literal(shape)}) then {value} end"
