"""The type of a column whose files write it with several types, or without a value."""

from collections.abc import Iterable, Sequence

from duckdb.sqltypes import BLOB, INTEGER, SQLNULL, TIMESTAMP, VARCHAR, DuckDBPyType

from tasks.core.dataset import Dataset
from tasks.core.duckdb_types import is_integer, is_time


def kinds_of(kinds: Iterable[DuckDBPyType]) -> tuple[DuckDBPyType, ...]:
    """Returns the different types among these, but for those of columns without a value."""
    return tuple({str(kind): kind for kind in kinds if kind != SQLNULL}.values())


def type_if_null(dataset: Dataset, name: str) -> DuckDBPyType:
    """Returns the type of a column that is null in all files: one that its role can have."""
    if name == dataset.columns.time:
        return TIMESTAMP
    image = dataset.features.image
    return BLOB if image and image.column == name and dataset.features.sql is None else INTEGER


def target_type(kinds: Sequence[DuckDBPyType], is_event_time: bool) -> DuckDBPyType | None:
    """Returns the type of a column whose files have these types; None if it is theirs."""
    if not kinds:
        return None
    if all(map(is_time, kinds)):
        return TIMESTAMP if is_event_time and len(kinds) > 1 else None
    return None if len(kinds) == 1 or all(map(is_integer, kinds)) else VARCHAR
