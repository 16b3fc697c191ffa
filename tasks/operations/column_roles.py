"""Guesses which part each column of a source plays, from its name, its type and how its values repeat."""

import re
from dataclasses import dataclass

from tasks.core.dataset import ColumnSettings, FeatureSettings
from tasks.core.errors import SourceError

MOST_CATEGORIES = 100  # distinct texts that a categorical feature still bears
MOST_CODES = 10  # distinct integers that are rather codes than amounts
INTEGER = re.compile(r"U?(TINY|SMALL|BIG|HUGE)?INT(EGER)?")
NUMBER = re.compile(rf"{INTEGER.pattern}|FLOAT|DOUBLE|DECIMAL\(.*\)")
TEXT = re.compile(r"VARCHAR|UUID|ENUM\(.*\)")
MOMENT = re.compile(r"TIMESTAMP[^\[]*")
BYTES = re.compile(r"BLOB")
NUMBERS = re.compile(rf"({NUMBER.pattern})\[\d*\]")
# In order of preference.
TIMES = ("time", "timestamp", "datetime", "ts", "at")
ENTITIES = ("customer", "card", "account", "client", "user", "terminal", "merchant", "device", "host", "ip")
LABELS = ("fraud", "label", "class", "target", "anomaly", "outlier", "attack")
VERDICTS = frozenset({"fraud", "label", "anomaly", "outlier", "attack", "chargeback"})
ID = re.compile(
    rf"((transaction|tx|payment|order|event|{'|'.join(ENTITIES)})?id|uuid|guid|key|number|nr|row|iban|pan)"
)


@dataclass(frozen=True)
class ColumnLook:
    """One column in the sampled rows.

    type: DuckDB's; nulls (NaN among them) and distinct: counts; smallest, largest: of numbers.
    """

    name: str
    type: str
    rows: int
    nulls: int
    distinct: int
    smallest: float | None
    largest: float | None

    @property
    def words(self) -> tuple[str, ...]:
        """The words of its name in lower case, alike for `terminal_id` and `terminalId`."""
        return tuple(re.findall(r"[a-z]+", re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", self.name).lower())) or (
            self.name,
        )

    @property
    def names_things(self) -> bool:
        """An integer or a text whose name says that it names something."""
        return self.is_of(INTEGER, TEXT) and ID.fullmatch(self.words[-1]) is not None

    @property
    def unique(self) -> bool:
        return self.distinct == self.rows

    @property
    def seen(self) -> str:
        nulls = f", {self.nulls / self.rows:.2%} null" if self.nulls else ""
        return f"{self.type}, {self.distinct:,} distinct in {self.rows:,} rows{nulls}"

    def is_of(self, *types: re.Pattern[str]) -> bool:
        return any(pattern.fullmatch(self.type) for pattern in types)


def guess_roles(columns: tuple[ColumnLook, ...]) -> ColumnSettings:
    """Raises SourceError where no integer or text could name the rows."""
    keys = [column for column in columns if column.is_of(INTEGER, TEXT)]
    if not keys:
        raise SourceError(
            "no column of integers or text can name the rows; add one with a value of its own in every row"
        )
    key = max(keys, key=lambda column: (column.unique, column.names_things, column.distinct))
    repeated = [column for column in keys if column is not key and 2 < column.distinct < column.rows]
    entities = [column for column in repeated if column.names_things or column.words[-1] in ENTITIES]
    moments = [column for column in columns if column.is_of(MOMENT)]
    binary = [column for column in columns if column.type == "BOOLEAN" or _is_zero_or_one(column)]
    weights = [column for column in columns if column.is_of(NUMBER) and column.words[-1] == "weight"]
    return ColumnSettings(
        id=key.name,
        time=_preferred(moments, TIMES) or next((column.name for column in moments), None),
        entity=_preferred(entities, ENTITIES),
        label=_preferred(binary, LABELS),
        weight=weights[0].name if weights else None,
    )


def _is_zero_or_one(column: ColumnLook) -> bool:
    """Numbers that are all 0 or 1, or not known yet."""
    return (
        column.is_of(NUMBER)
        and column.distinct <= 2
        and {column.smallest, column.largest} <= {0.0, 1.0, None}
    )


def _preferred(columns: list[ColumnLook], names: tuple[str, ...]) -> str | None:
    """The column with the first of these words in its name."""
    return next((column.name for name in names for column in columns if name in column.words), None)


def guess_features(
    columns: tuple[ColumnLook, ...], roles: ColumnSettings, second_labels: frozenset[str]
) -> tuple[FeatureSettings, dict[str, str]]:
    """Raises SourceError where no column is left to learn from."""
    taken = {roles.id, roles.time, roles.entity, roles.label, roles.weight}
    free = [column for column in columns if column.name not in taken]
    left_out = {column.name: reason for column in free if (reason := _why_no_feature(column, second_labels))}
    features = [column for column in free if column.name not in left_out]
    categorical = [
        column
        for column in features
        if not column.is_of(NUMBER) or (column.is_of(INTEGER) and column.distinct <= MOST_CODES)
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
    reasons = {
        f"{column.type}, perhaps images: then set features.image instead": column.is_of(BYTES, NUMBERS),
        "it tells the label nearly without error, as a second label does": column.name in second_labels,
        "by its name it is a verdict, known as late as the label": bool(VERDICTS & set(column.words)),
        "it is the same in every row": column.distinct <= 1,
        "it names things": column.names_things,
        f"{column.distinct:,} different texts": column.is_of(TEXT) and column.distinct > MOST_CATEGORIES,
        f"{column.type} is neither number nor category": not (
            column.is_of(NUMBER, TEXT) or column.type == "BOOLEAN"
        ),
    }
    return next((reason for reason, applies in reasons.items() if applies), None)
