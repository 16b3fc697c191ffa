"""The configuration of CSV files: their dialect, and the types of their columns."""

import re
from collections.abc import Mapping
from typing import Annotated, Self

from pydantic import AfterValidator, Field, model_validator

from models.settings import Section
from sql import folded

SUFFIXES = tuple(f".{kind}{packed}" for kind in ("csv", "tsv", "txt") for packed in ("", ".gz"))
NAMES = {"TEXT": "VARCHAR", "INT": "INTEGER", "TIMESTAMP WITH TIME ZONE": "TIMESTAMPTZ", "BOOL": "BOOLEAN"}
TYPES = re.compile(
    r"VARCHAR|BOOLEAN|U?(?:TINYINT|SMALLINT|INTEGER|BIGINT|HUGEINT)|FLOAT|DOUBLE|DECIMAL\(\d+, ?\d+\)|DATE"
    r"|TIMESTAMP|TIMESTAMPTZ"
)


def _check_type(text: str) -> str:
    name = NAMES.get(text.strip().upper(), text.strip().upper())
    if not TYPES.fullmatch(name):
        raise ValueError(
            f"{text!r} is no type of a column; use VARCHAR, BOOLEAN, BIGINT, DOUBLE, DECIMAL(18,2), DATE, "
            "TIMESTAMP or TIMESTAMPTZ"
        )
    return name


def check_types(types: Mapping[str, str]) -> None:
    """Raises ValueError unless the columns of CSV files have types, each column one."""
    if not types:
        raise ValueError(
            "a CSV file has no types of its own, so that [source.types] must give one to each column that is "
            'not text, such as amount = "DOUBLE"; `nightscore init` finds and writes them'
        )
    if len(set(map(folded, types))) < len(types):
        raise ValueError("types names a column twice, in capital letters and in small ones")


ColumnType = Annotated[str, AfterValidator(_check_type)]
Character = Annotated[str, Field(min_length=1, max_length=1)]


class CsvSettings(Section):
    """How CSV files are written. A format is of strptime; without one, dates and times are as in ISO 8601."""

    delimiter: Annotated[str, Field(min_length=1, max_length=4)] = ","
    """What stands between two values."""
    quote: Character = '"'
    """What stands around a value that holds a delimiter."""
    escape: Character = '"'
    """What stands before a quote in a quoted value."""
    header: bool = True
    """Whether the first line names the columns; else they are those of `[source.types]`, in order."""
    encoding: str = Field("utf-8", pattern=r"^(utf-8|utf-16|latin-1)$")
    """utf-8, utf-16 or latin-1."""
    decimal: str = Field(".", pattern=r"^[.,]$")
    """The decimal point or comma."""
    date_format: str | None = None
    """Of every DATE, such as `%d.%m.%Y`. Unset: ISO 8601."""
    timestamp_format: str | None = None
    """Of every TIMESTAMP and TIMESTAMPTZ, such as `%d.%m.%Y %H:%M:%S`. Unset: ISO 8601."""
    nulls: tuple[str, ...] = ()
    """Texts that are null beside the empty one, such as `NULL`."""

    @model_validator(mode="after")
    def _decimals_are_no_delimiters(self) -> Self:
        if self.delimiter == self.decimal:
            raise ValueError(f"delimiter and decimal are both {self.decimal!r}; set the one that differs")
        return self
