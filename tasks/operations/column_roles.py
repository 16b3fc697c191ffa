"""Guesses the role of each column of a source from its name, its type and how its values repeat."""

import re
from collections.abc import Callable
from dataclasses import dataclass

from duckdb.sqltypes import DuckDBPyType

from tasks.core.dataset import ColumnSettings, FeatureSettings
from tasks.core.duckdb_types import (
    is_boolean,
    is_bytes,
    is_integer,
    is_list_of,
    is_number,
    is_text,
    is_timestamp,
)
from tasks.core.errors import SourceError

MAX_CATEGORIES = 100  # distinct texts that a categorical feature may have
MAX_CODES = 10  # an integer column with more distinct values is numeric, not categorical
# In order of preference.
TIMES = ("time", "timestamp", "datetime", "ts", "at")
ENTITIES = ("customer", "card", "account", "client", "user", "terminal", "merchant", "device", "host", "ip")
LABELS = ("fraud", "label", "class", "target", "anomaly", "outlier", "attack")
OUTCOMES = frozenset({"fraud", "label", "anomaly", "outlier", "attack", "chargeback"})
ID = re.compile(
    rf"((transaction|tx|payment|order|event|{'|'.join(ENTITIES)})?id|uuid|guid|key|number|nr|row|iban|pan)"
)


@dataclass(frozen=True)
class ColumnLook:
    """One column in the sampled rows.

    nulls: number of nulls, NaN included. distinct: number of distinct values.
    smallest, largest: of a column of numbers; otherwise None.
    """

    name: str
    type: DuckDBPyType
    rows: int
    nulls: int
    distinct: int
    smallest: float | None
    largest: float | None

    @property
    def words(self) -> tuple[str, ...]:
        """The words of its name in lower case, the same for `terminal_id` and `terminalId`."""
        return tuple(re.findall(r"[a-z]+", re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", self.name).lower())) or (
            self.name,
        )

    @property
    def is_identifier(self) -> bool:
        """Whether it is a column of integers or text with the name of an identifier."""
        return self.is_of(is_integer, is_text) and ID.fullmatch(self.words[-1]) is not None

    @property
    def unique(self) -> bool:
        return self.distinct == self.rows

    @property
    def summary(self) -> str:
        nulls = f", {self.nulls / self.rows:.4g} of it null" if self.nulls else ""
        return f"{self.type}, {self.distinct:,} distinct in {self.rows:,} rows{nulls}"

    def is_of(self, *predicates: Callable[[DuckDBPyType], bool]) -> bool:
        return any(predicate(self.type) for predicate in predicates)


def guess_roles(columns: tuple[ColumnLook, ...]) -> ColumnSettings:
    """Returns the guessed role of each column.

    Raises SourceError if no column of integers or text can identify the rows.
    """
    keys = [column for column in columns if column.is_of(is_integer, is_text)]
    if not keys:
        raise SourceError(
            "no column of integers or text can identify the rows; add one that is different in every row"
        )
    key = max(keys, key=lambda column: (column.unique, column.is_identifier, column.distinct))
    repeated = [column for column in keys if column is not key and 2 < column.distinct < column.rows]
    entities = [column for column in repeated if column.is_identifier or column.words[-1] in ENTITIES]
    times = [column for column in columns if column.is_of(is_timestamp)]
    binary = [column for column in columns if column.is_of(is_boolean) or _is_zero_or_one(column)]
    weights = [column for column in columns if column.is_of(is_number) and column.words[-1] == "weight"]
    return ColumnSettings(
        id=key.name,
        time=_preferred(times, TIMES) or next((column.name for column in times), None),
        entity=_preferred(entities, ENTITIES),
        label=_preferred(binary, LABELS),
        weight=weights[0].name if weights else None,
    )


def _is_zero_or_one(column: ColumnLook) -> bool:
    """Whether it is a column of numbers that are all 0, 1 or null."""
    return (
        column.is_of(is_number)
        and column.distinct <= 2
        and {column.smallest, column.largest} <= {0.0, 1.0, None}
    )


def _preferred(columns: list[ColumnLook], names: tuple[str, ...]) -> str | None:
    """Returns the column with the first of these words in its name; None if there is none."""
    return next((column.name for name in names for column in columns if name in column.words), None)


def guess_features(
    columns: tuple[ColumnLook, ...], roles: ColumnSettings, second_labels: frozenset[str]
) -> tuple[FeatureSettings, dict[str, str]]:
    """Returns the guessed features, and the columns that are neither a feature nor have a role, each with the
    reason.

    second_labels: columns that predict the label almost perfectly. Raises SourceError if no feature is left.
    """
    taken = {roles.id, roles.time, roles.entity, roles.label, roles.weight}
    free = [column for column in columns if column.name not in taken]
    left_out = {column.name: reason for column in free if (reason := _why_no_feature(column, second_labels))}
    features = [column for column in free if column.name not in left_out]
    categorical = [
        column
        for column in features
        if not column.is_of(is_number) or (column.is_of(is_integer) and column.distinct <= MAX_CODES)
    ]
    if not features:
        found = (
            "; ".join(f"{name}: {reason}" for name, reason in left_out.items())
            or "there are no other columns"
        )
        raise SourceError(
            f"no column looks like a feature ({found}); add numbers or categories to the source"
        )
    numeric = tuple(column.name for column in features if column not in categorical)
    return FeatureSettings(
        numeric=numeric, categorical=tuple(column.name for column in categorical)
    ), left_out


def _why_no_feature(column: ColumnLook, second_labels: frozenset[str]) -> str | None:
    may_be_images = is_bytes(column.type) or is_list_of(column.type, is_number)
    reasons = {
        f"{column.type}, perhaps images: then set features.image instead": may_be_images,
        "it predicts the label almost perfectly, as a second label does": column.name in second_labels,
        "its name suggests an outcome, known only when the label is": bool(OUTCOMES & set(column.words)),
        "it is the same in every row": column.distinct <= 1,
        "it is an identifier": column.is_identifier,
        f"{column.distinct:,} different texts": column.is_of(is_text) and column.distinct > MAX_CATEGORIES,
        f"{column.type} is neither a number nor a category": not column.is_of(is_number, is_text, is_boolean),
    }
    return next((reason for reason, applies in reasons.items() if applies), None)
