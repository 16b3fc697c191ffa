"""Builds the features of one day: by the dataset's feature SQL over the day and its look-back, or from the
source's columns.
"""

import logging
import math
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import duckdb
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

import sql
from models.encoding.layout import rows_at_once
from sql import identifier, literal
from tasks.core.atomic_files import atomic_path
from tasks.core.dataset import Dataset
from tasks.core.errors import FeatureError, SourceError, first_line
from tasks.core.masking import mask_quoted
from tasks.core.references import Features, Validated
from tasks.core.step import step
from tasks.features.views import create_clean, create_history
from tasks.source.connection import connect, first_history_date, readable

log = logging.getLogger(__name__)
ROW_GROUP_ROWS = 122_880
# Differences between the clean rows of the day and the rows that the SQL returned: each query returns the
# number of ids and one of them.
CHECKS = {
    "lost": "select count(*), min(clean._id) from clean anti join returned on returned.id = clean._id",
    "returned more than once": (
        "select count(*), min(id) from (select id from returned group by id having count(*) > 1)"
    ),
    "returned that are not clean rows": (
        "select count(*), min(returned.id) from returned anti join clean on returned.id = clean._id"
    ),
}


@step
def features(dataset: Dataset, validated: Validated, label_delay_days: int, staging: Path) -> Features:
    """Builds the features of one day's clean rows; see `build_features`."""
    return build_features(dataset, validated, label_delay_days, staging)


def build_features(dataset: Dataset, validated: Validated, label_delay_days: int, staging: Path) -> Features:
    """Returns the reference to the features of one day's clean rows; with feature SQL, they are written to
    `staging`/features.parquet.

    The SQL reads the view `history`: the source's columns and `_partition_date`, over the look-back and the
    clean rows of the day. It may use the parameters $partition_date and $label_delay_days, and returns the id
    and the features, one row per clean row. Labels of dates after `partition date - label_delay_days` are
    null, because they were not known on the night.
    Raises FeatureError if the SQL fails, lacks a feature, or does not return each clean row once; SourceError
    if the source cannot be read.
    """
    if dataset.features.sql is None:
        return Features(validated, path=None)
    day, path = validated.partition.date, staging / "features.parquet"
    with connect(dataset.source) as con:
        with readable(dataset.source, day, first_history_date(dataset, day)):
            create_clean(con, dataset, validated)
            create_history(con, dataset, day, label_delay_days)
        with atomic_path(path) as staged:
            _write(con, dataset, day, label_delay_days, staged)
        _check(con, dataset, day, path)
    log.info(
        "%s  features   %s features of %s rows by %s",
        day,
        len(dataset.features.names),
        f"{validated.rows:,}",
        dataset.features.sql,
    )
    return Features(validated, path)


def feature_batches(dataset: Dataset, features: Features, batch_rows: int) -> Iterator[pl.DataFrame]:
    """Yields the features of one day's clean rows, at most `batch_rows` at a time, or fewer if images are
    large, so that memory does not depend on the size of the day.

    Each batch has row int64 (position in the partition), id str, entity str or null, event_time datetime (us)
    or null, numeric features float64 (null if missing), categorical features str, images unchanged: Binary,
    List or Array.
    Raises SourceError if the source cannot be read.
    """
    batch_rows = _bounded(dataset, batch_rows)
    for batch in _batches(dataset, features, batch_rows):
        yield from batch.iter_slices(batch_rows)  # DuckDB's batches have at least the rows of one vector


def _batches(dataset: Dataset, features: Features, batch_rows: int) -> Iterator[pl.DataFrame]:
    if features.path is not None:
        with pq.ParquetFile(features.path) as file:
            yield from map(_frame, file.iter_batches(batch_rows))
        return
    with connect(dataset.source) as con, readable(dataset.source, features.date):
        create_clean(con, dataset, features.validated)
        keys = "_row as row, _id as id, _entity as entity, _event_time as event_time"
        reader = con.execute(
            f"select {keys}, {', '.join(_cast_features(dataset))} from clean"
        ).to_arrow_reader(batch_rows)
        try:
            yield from map(_frame, reader)
        except (pa.ArrowException, OSError) as error:  # raised if DuckDB fails while Arrow reads from it
            raise SourceError(
                f"{features.date}: the features cannot be read from the source: {first_line(error)}; "
                "deliver it again"
            ) from error


def _write(
    con: duckdb.DuckDBPyConnection, dataset: Dataset, day: date, label_delay_days: int, path: Path
) -> None:
    """Writes every row that the SQL returns, with the keys of its clean row, in the order of the day."""
    query, mentioned = _feature_sql(con, dataset, day)
    parameters = {"partition_date": day, "label_delay_days": label_delay_days}
    bound = {name: value for name, value in parameters.items() if name in mentioned}
    names = (dataset.columns.id, *dataset.features.names)
    computed = ", ".join(
        [f"cast({identifier(dataset.columns.id)} as varchar) as _id", *_cast_features(dataset)]
    )
    features = ", ".join(f"computed.{identifier(name)}" for name in dataset.features.names)
    try:
        returned = {
            column[0].lower()
            for column in con.execute(f"select * from ({query}\n) limit 0", bound).description
        }
        if missing := [name for name in names if name.lower() not in returned]:
            raise _feature_error(
                dataset, day, f"does not return {', '.join(missing)}; add what is missing, or fix [features]"
            )
        con.execute(
            f"""
            copy (
                select
                    clean._row as row,
                    computed._id as id,
                    clean._entity as entity,
                    clean._event_time as event_time,
                    {features}
                from (select {computed} from ({query}\n)) as computed
                left join clean on clean._id = computed._id
                order by row
            ) to {literal(str(path))}
            (format parquet, compression zstd, row_group_size {_bounded(dataset, ROW_GROUP_ROWS)})
            """,
            bound,
        )
    except duckdb.Error as error:
        raise _failed(dataset, day, error) from error


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


def _check(con: duckdb.DuckDBPyConnection, dataset: Dataset, day: date, path: Path) -> None:
    """Raises FeatureError, and removes the file, unless the SQL returned each clean row exactly once."""
    con.read_parquet(str(path)).create_view("returned")
    clean = con.sql("select count(*), sum(hash(_id)) from clean").fetchone()
    returned = con.sql("select count(*), sum(hash(id)) from returned").fetchone()
    if clean == returned:  # the same ids; the checks below are slow, and only needed for the message
        return
    found = {problem: con.sql(query).fetchall()[0] for problem, query in CHECKS.items()}
    path.unlink()
    is_private = dataset.columns.id in dataset.columns.private
    problems = [
        f"{count:,} ids {problem}" + ("" if is_private else f", such as {example}")
        for problem, (count, example) in found.items()
        if count
    ]
    hint = "return one row per row of history where _partition_date = $partition_date"
    raise _feature_error(
        dataset, day, f"does not return one row per clean row: {'; '.join(problems)}; {hint}"
    )


def _cast_features(dataset: Dataset) -> list[str]:
    kinds = dict.fromkeys(dataset.features.numeric, "double") | dict.fromkeys(
        dataset.features.categorical, "varchar"
    )
    images = [identifier(dataset.features.image.column)] if dataset.features.image else []
    return [
        f"cast({identifier(name)} as {kind}) as {identifier(name)}" for name, kind in kinds.items()
    ] + images


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
