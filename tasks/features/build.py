"""Builds the features of one day: by the dataset's feature SQL over the day and its look-back, or from the
source's columns.
"""

import logging
import math
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import duckdb
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
from duckdb.sqltypes import DuckDBPyType

import sql
from models.encoding.layout import rows_at_once
from sql import identifier, literal
from tasks.core.atomic_files import atomic_path
from tasks.core.canonical import as_number, canonical_text
from tasks.core.dataset import Dataset, FeatureSettings
from tasks.core.errors import FeatureError, SourceError, first_line
from tasks.core.filesystem import exact_pattern
from tasks.core.masking import mask_quoted
from tasks.core.references import Features, Validated
from tasks.core.row_sums import row_sum
from tasks.core.step import step
from tasks.features.views import create_clean, create_history
from tasks.source.connection import connect, readable
from tasks.source.view import SourceView, Types

log = logging.getLogger(__name__)
ROW_GROUP_ROWS = 122_880
# Differences between the clean rows of the day and the rows that the SQL returned: each query returns the
# number of ids and one of them.
FEATURE = "feature "  # before the names of the features in the file, where the keys have names of their own
KEYS = ("id", "entity", "event_time")


@dataclass(frozen=True)
class FeatureBatch:
    """Some clean rows of one day.

    keys: id str, entity str or null, event_time datetime (us) or null. features: numeric float64 (null if
    missing), categorical str (canonical text), images unchanged: Binary, List or Array. Both have the same
    rows in the same order, which no other read of the day needs to have.
    """

    keys: pl.DataFrame
    features: pl.DataFrame

    def filter(self, chosen: pl.Series) -> "FeatureBatch":
        """Returns the chosen rows. chosen: bool (rows,)."""
        return FeatureBatch(self.keys.filter(chosen), self.features.filter(chosen))


@step
def features(dataset: Dataset, validated: Validated, label_delay_days: int, staging: Path) -> Features:
    """Builds the features of one day's clean rows; see `build_features`."""
    return build_features(dataset, validated, label_delay_days, staging)


def build_features(
    dataset: Dataset,
    validated: Validated,
    label_delay_days: int,
    staging: Path,
    *,
    reordered: bool = False,
) -> Features:
    """Returns the reference to the features of one day's clean rows; with feature SQL, they are written to
    `staging`/features.parquet.

    The SQL reads the view `history`: the source's columns and `_partition_date`, over the look-back and the
    clean rows of the day. It may use the parameters $partition_date and $label_delay_days, and returns the id
    and the features, one row per clean row. Labels of dates after `partition date - label_delay_days` are
    null, because they were not known on the night.
    reordered: whether the SQL reads the same rows in another order.
    Raises FeatureError if the SQL fails, lacks a feature, or does not return each clean row once; SourceError
    if the source cannot be read.
    """
    if dataset.features.sql is None:
        return Features(validated, path=None)
    day, path = validated.partition.date, staging / "features.parquet"
    with connect(dataset.source) as con:
        with readable(dataset.source, *validated.partition.look_back, day):
            clean = create_history(con, dataset, validated, label_delay_days)
            if reordered:
                _reorder_history(con, dataset)
        with atomic_path(path) as staged:
            _write(con, dataset, clean, day, label_delay_days, staged)
        _check(con, dataset, clean, validated, path)
    log.info(
        "%s  features   %s features of %s rows by %s",
        day,
        len(dataset.features.names),
        f"{validated.rows:,}",
        dataset.features.sql,
    )
    return Features(validated, path)


def feature_batches(dataset: Dataset, features: Features, batch_rows: int) -> Iterator[FeatureBatch]:
    """Yields the dataset's features of one day's clean rows, at most `batch_rows` at a time, or fewer if
    images are large, so that memory does not depend on the size of the day.

    Raises SourceError if the source cannot be read.
    """
    batch_rows = _bounded(dataset, batch_rows)
    named = {f"{FEATURE}{name}": name for name in dataset.features.names}
    for batch in _batches(dataset, features, batch_rows):
        for part in batch.iter_slices(batch_rows):  # DuckDB's batches have at least the rows of one vector
            yield FeatureBatch(part.select(KEYS), part.select(*named).rename(named))


def read_clean_ids(dataset: Dataset, validated: Validated) -> pl.Series:
    """Returns the ids of the clean rows of a day, as the source is now. Raises SourceError if it cannot be
    read.
    """
    with connect(dataset.source) as con, readable(dataset.source, validated.partition.date):
        clean = create_clean(con, dataset, validated)
        return con.sql(f"select {clean.id} as id from clean").pl()["id"]


def _batches(dataset: Dataset, features: Features, batch_rows: int) -> Iterator[pl.DataFrame]:
    if features.path is not None:
        with pq.ParquetFile(features.path) as file:
            yield from map(_frame, file.iter_batches(batch_rows))
        return
    with connect(dataset.source) as con, readable(dataset.source, features.date):
        clean = create_clean(con, dataset, features.validated)
        selected = ", ".join([*_keys(clean), *cast_features(dataset.features, clean.types)])
        reader = con.execute(f"select {selected} from clean").to_arrow_reader(batch_rows)
        try:
            yield from map(_frame, reader)
        except (pa.ArrowException, OSError) as error:  # raised if DuckDB fails while Arrow reads from it
            raise SourceError(
                f"{features.date}: the features cannot be read from the source: {first_line(error)}; "
                "deliver it again"
            ) from error


def _write(
    con: duckdb.DuckDBPyConnection,
    dataset: Dataset,
    clean: SourceView,
    day: date,
    label_delay_days: int,
    path: Path,
) -> None:
    """Writes every row that the SQL returns, with the keys of its clean row."""
    query, mentioned = _feature_sql(con, dataset, day)
    parameters = {"partition_date": day, "label_delay_days": label_delay_days}
    bound = {name: value for name, value in parameters.items() if name in mentioned}
    try:
        described = con.execute(f"select * from ({query}\n) limit 0", bound).description
        returned = {column[0].lower(): DuckDBPyType(str(column[1])) for column in described}
        names = (dataset.columns.id, *dataset.features.names)
        if missing := [name for name in names if name.lower() not in returned]:
            raise _feature_error(
                dataset, day, f"does not return {', '.join(missing)}; add what is missing, or fix [features]"
            )
        types = {name: returned[name.lower()] for name in names}
        row_id = canonical_text(identifier(dataset.columns.id), types[dataset.columns.id])
        keys = ", ".join(f"clean.{getattr(clean, key)} as {key}" for key in KEYS[1:])
        con.execute(
            f"""
            copy (
                select computed.{clean.id} as id, {keys}, computed.* exclude ({clean.id})
                from (
                    select {", ".join([f"{row_id} as {clean.id}", *cast_features(dataset.features, types)])}
                    from ({query}\n)
                ) as computed
                left join clean on clean.{clean.id} = computed.{clean.id}
                order by 1
            ) to {literal(str(path))}
            (format parquet, compression zstd, row_group_size {_bounded(dataset, ROW_GROUP_ROWS)})
            """,
            bound,
        )
    except duckdb.Error as error:
        raise _failed(dataset, day, error) from error


def _reorder_history(con: duckdb.DuckDBPyConnection, dataset: Dataset) -> None:
    """Gives the view `history` its rows in an order that follows neither the source nor any column."""
    by = f"hash({identifier(dataset.columns.id)})"
    con.execute(f"create or replace temp table reordered as from history order by {by}")
    con.execute("create or replace temp view history as from reordered")


def _feature_sql(con: duckdb.DuckDBPyConnection, dataset: Dataset, day: date) -> tuple[str, set[str]]:
    """Returns the one statement of the feature SQL, and the names of its parameters."""
    assert dataset.features.sql is not None
    try:
        statements = con.extract_statements(sql.read(dataset.features.sql))
    except OSError as error:
        raise FeatureError(
            f"{day}: there is no feature SQL {dataset.features.sql}; fix features.sql"
        ) from error
    except duckdb.Error as error:
        raise _failed(dataset, day, error) from error
    if len(statements) != 1:
        raise _feature_error(
            dataset,
            day,
            f"has {len(statements)} statements; write one, with a common table expression for each step",
        )
    return _without_semicolon(statements[0].query), set(statements[0].named_parameters)


def _without_semicolon(query: str) -> str:
    """Returns the statement up to its closing semicolon, which may stand between comments."""
    ends = [offset for offset, _ in duckdb.tokenize(query) if query.encode()[offset : offset + 1] == b";"]
    return query.encode()[: ends[0]].decode() if ends else query


def _check(
    con: duckdb.DuckDBPyConnection, dataset: Dataset, clean: SourceView, validated: Validated, path: Path
) -> None:
    """Raises FeatureError, and removes the file, unless the SQL returned each clean row exactly once."""
    returned = f"read_parquet({literal(exact_pattern(str(path)))})"
    con.execute(f"create or replace temp view returned as from {returned}")
    if row_sum(con, "returned") == validated.clean:
        return
    # Each query returns the number of ids and one of them. They are slow, and only needed for the message.
    queries = {
        "lost": f"select count(*), min({clean.id}) from clean anti join returned on returned.id = {clean.id}",
        "returned more than once": (
            "select count(*), min(id) from (select id from returned group by id having count(*) > 1)"
        ),
        "returned that are not clean rows": (
            f"select count(*), min(returned.id) from returned anti join clean on returned.id = {clean.id}"
        ),
    }
    found = {problem: con.sql(query).fetchall()[0] for problem, query in queries.items()}
    path.unlink()
    is_private = dataset.columns.id in dataset.columns.private
    problems = [
        f"{count:,} ids {problem}" + ("" if is_private else f", such as {example}")
        for problem, (count, example) in found.items()
        if count
    ]
    day = validated.partition.date
    if not problems:
        raise SourceError(f"{day}: the source changed after it was validated; run the night again")
    hint = "return one row per row of history where _partition_date = $partition_date"
    raise _feature_error(
        dataset, day, f"does not return one row per clean row: {'; '.join(problems)}; {hint}"
    )


def _keys(clean: SourceView) -> list[str]:
    return [f"{getattr(clean, key)} as {key}" for key in KEYS]


def cast_features(features: FeatureSettings, types: Types) -> list[str]:
    """Returns the features as SQL expressions, their names after FEATURE."""
    values = {name: as_number(identifier(name), types[name]) for name in features.numeric}
    values |= {name: canonical_text(identifier(name), types[name]) for name in features.categorical}
    values |= {features.image.column: identifier(features.image.column)} if features.image else {}
    return [f"{value} as {identifier(FEATURE + name)}" for name, value in values.items()]


def _bounded(dataset: Dataset, rows: int) -> int:
    """Returns `rows`, or fewer if that many images would not fit in memory."""
    image = dataset.features.image
    return rows_at_once(rows, math.prod(image.shape)) if image else rows


def _feature_error(dataset: Dataset, day: date, problem: str) -> FeatureError:
    return FeatureError(f"{day}: {dataset.features.sql} {problem}")


def _failed(dataset: Dataset, day: date, error: Exception) -> FeatureError:
    """Returns the error for SQL that fails; if any column is private, quoted values are masked."""
    message = mask_quoted(first_line(error)) if dataset.columns.private else first_line(error)
    return _feature_error(dataset, day, f"failed: {message}; fix the SQL")


def _frame(batch: pa.RecordBatch) -> pl.DataFrame:
    frame = pl.from_arrow(batch)
    assert isinstance(frame, pl.DataFrame)
    return frame
