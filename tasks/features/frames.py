"""Features of a frame in memory, of polars, pandas or Arrow, as a night reads them from its source."""

from typing import Any, TypeVar, cast

import duckdb
import polars as pl

from sql import identifier, literal
from tasks.core.canonical import canonical_text
from tasks.core.column_settings import ColumnSettings
from tasks.core.dataset import FeatureSettings
from tasks.core.errors import FrameRefused, first_line
from tasks.core.masking import mask_quoted
from tasks.features.build import FEATURE, FeatureBatch, cast_features

F = TypeVar("F")
Frame = pl.DataFrame
CONFIG: dict[str, str | bool | int | float | list[str]] = {
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
    "enable_external_access": "false",
}


def read_frame(
    frame: Any, features: FeatureSettings, columns: ColumnSettings | None = None, timezone: str = "UTC"
) -> FeatureBatch:
    """Returns the features of all rows in their order, cast as those of a night are, and the keys id and
    entity where the frame has their columns.

    columns: without it there are no keys. timezone: in which instants become text. With feature SQL, the
    frame holds what the SQL returns: the SQL looks back, so it cannot be run on a frame alone.
    Raises FrameRefused where a column is missing, or a numeric one has text that is no number.
    """
    rows = as_polars(frame)
    _require(rows, features)
    keys = {name: getattr(columns, name, None) for name in ("id", "entity")}
    found = {name: column for name, column in keys.items() if column in rows.columns}
    with duckdb.connect(config=CONFIG) as con:
        con.execute(f"set timezone = {literal(timezone)}")
        con.register("rows", rows.select(*dict.fromkeys([*found.values(), *features.names])).to_arrow())
        table = con.table("rows")
        types = dict(zip(table.columns, table.types, strict=True))
        texts = [f"{canonical_text(identifier(c), types[c])} as {name}" for name, c in found.items()]
        try:
            cast = con.sql(f"select {', '.join([*texts, *cast_features(features, types)])} from rows").pl()
        except duckdb.Error as error:
            message = mask_quoted(first_line(error)) if columns and columns.private else first_line(error)
            raise FrameRefused(
                f"the frame: {message}; convert the column, or list it as categorical"
            ) from error
    named = {name: name.removeprefix(FEATURE) for name in cast.columns if name.startswith(FEATURE)}
    return FeatureBatch(cast.select(*found), cast.select(*named).rename(named))


def as_polars(frame: Any) -> pl.DataFrame:
    """Returns a frame of polars, pandas or Arrow as one of polars. Raises FrameRefused where it is none."""
    if isinstance(frame, pl.DataFrame):
        return frame
    if not hasattr(frame, "__arrow_c_stream__"):
        raise FrameRefused(f"a frame is of polars, pandas or Arrow; got {type(frame).__name__}")
    try:
        return pl.from_pandas(frame) if _kind(frame) == "pandas" else pl.DataFrame(frame)
    except Exception as error:  # every library has errors of its own
        raise FrameRefused(f"the frame cannot be read: {first_line(error)}; mend its columns") from error


def as_kind_of(frame: F, result: pl.DataFrame) -> F:
    """Returns a result as a frame of the same kind, of pandas with the same index; else of polars."""
    if _kind(frame) == "pandas":
        found = result.to_pandas()
        found.index = frame.index  # type: ignore[attr-defined]
        return cast("F", found)
    return cast("F", result.to_arrow() if _kind(frame) == "pyarrow" else result)


def _kind(frame: Any) -> str:
    return type(frame).__module__.partition(".")[0]


def _require(rows: pl.DataFrame, features: FeatureSettings) -> None:
    if missing := [name for name in features.names if name not in rows.columns]:
        needed = f"what {features.sql} returns" if features.sql else "the features"
        raise FrameRefused(
            f"the frame lacks {', '.join(missing)}; it must have {needed}: {', '.join(features.names)}"
        )
