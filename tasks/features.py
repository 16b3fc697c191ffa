"""The features of one day: the dataset's feature SQL over the day and its look-back, or the source's own columns."""

import logging
import re
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import duckdb
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
from prefect import task
from prefect.cache_policies import NO_CACHE

import sql
from sql import identifier
from tasks.dataset import Dataset
from tasks.errors import FeatureError, SourceError
from tasks.history import create_clean, create_history
from tasks.labels import read_labels as read_labels
from tasks.references import Features, Validated
from tasks.source import connect, first_history_date, first_line, readable

log = logging.getLogger(__name__)
ROW_GROUP_ROWS = 122_880
KEYS = "_row as row, _id as id, _entity as entity, _event_time as event_time"
# What must not be found between the clean rows of the day and what the SQL returned: how many ids, and one of them.
CHECKS = {
    "lost": "select count(*), min(clean._id) from clean anti join computed on computed._id = clean._id",
    "returned more than once": "select count(*), min(_id) from (select _id from computed group by _id having count(*) > 1)",
    "returned that are no clean rows of the day": "select count(*), min(_id) from computed anti join clean on computed._id = clean._id",
}


@task(cache_policy=NO_CACHE)
def features(dataset: Dataset, validated: Validated, label_delay_days: int, staging: Path) -> Features:
    """The features of one day's clean rows; see `build_features`."""
    return build_features(dataset, validated, label_delay_days, staging)


def build_features(dataset: Dataset, validated: Validated, label_delay_days: int, staging: Path) -> Features:
    """The reference to the features of one day's clean rows, written to `staging`/features.parquet where there is feature SQL.

    The SQL reads the view `history`: the source's columns and `_partition_date`, over the look-back and the clean rows of the day.
    It may use the parameters $partition_date and $label_delay_days, and returns the id and the features, one row per clean row.
    Labels of dates after `partition date - label_delay_days` are null, as nobody knew them on the night.
    Raises FeatureError where the SQL fails, lacks a feature, or does not return each clean row once; SourceError where the
    source cannot be read.
    """
    if dataset.features.sql is None:
        return Features(validated, path=None)
    day, path = validated.partition.date, staging / "features.parquet"
    with connect(dataset.source) as con:
        with readable(dataset.source, day, first_history_date(dataset, day)):
            create_clean(con, dataset, validated)
            create_history(con, dataset, day, label_delay_days)
        _compute(con, dataset, day, label_delay_days)
        _check(con, dataset, day)
        columns = ", ".join(f"computed.{identifier(name)}" for name in dataset.features.names)
        joined = f"select {KEYS}, {columns} from clean join computed using (_id) order by row"
        con.sql(joined).write_parquet(str(path), compression="zstd", row_group_size=ROW_GROUP_ROWS)
    log.info("%s  features   %s features of %s rows by %s", day, len(dataset.features.names), f"{validated.rows:,}", dataset.features.sql)
    return Features(validated, path)


def feature_batches(dataset: Dataset, features: Features, batch_rows: int) -> Iterator[pl.DataFrame]:
    """The features of one day's clean rows, at most `batch_rows` at a time, however large the day is.

    Each batch has row int64 (position in the partition), id str, entity str or null, event_time datetime (us) or null,
    numeric features float64 (null where missing), categorical features str. Raises SourceError where the source cannot be read.
    """
    if features.path is not None:
        with pq.ParquetFile(features.path) as file:
            yield from map(_frame, file.iter_batches(batch_rows))
        return
    with connect(dataset.source) as con, readable(dataset.source, features.date):
        create_clean(con, dataset, features.validated)
        columns = ", ".join(_cast_features(dataset))
        reader = con.execute(f"select {KEYS}, {columns} from clean").to_arrow_reader(batch_rows)
        try:
            yield from map(_frame, reader)
        except (pa.ArrowException, OSError) as error:  # what DuckDB raises while Arrow reads from it
            raise SourceError(
                f"{features.date}: the features cannot be read from the source: {first_line(error)}; deliver it again"
            ) from error


def _compute(con: duckdb.DuckDBPyConnection, dataset: Dataset, day: date, label_delay_days: int) -> None:
    """Table `computed`: `_id` and the features as the SQL returns them."""
    query, mentioned = _feature_sql(con, dataset, day)
    parameters = {"partition_date": day, "label_delay_days": label_delay_days}
    bound = {name: value for name, value in parameters.items() if name in mentioned}
    try:
        returned = {column[0].lower() for column in con.execute(f"select * from ({query}\n) limit 0", bound).description}
        wanted = (dataset.columns.id, *dataset.features.names)
        if missing := [name for name in wanted if name.lower() not in returned]:
            raise _refusal(dataset, day, f"does not return {', '.join(missing)}; add what is missing, or mend [features]")
        columns = ", ".join([f"cast({identifier(dataset.columns.id)} as varchar) as _id", *_cast_features(dataset)])
        con.execute(f"create temp table computed as select {columns} from ({query}\n)", bound)
    except duckdb.Error as error:
        raise _refusal(dataset, day, f"failed: {_without_values(dataset, error)}; mend the SQL") from error


def _feature_sql(con: duckdb.DuckDBPyConnection, dataset: Dataset, day: date) -> tuple[str, set[str]]:
    """The one statement of the feature SQL, and the names of the parameters in it."""
    assert dataset.features.sql is not None
    try:
        statements = con.extract_statements(sql.read(dataset.features.sql))
    except OSError as error:
        raise FeatureError(f"{day}: there is no feature SQL {dataset.features.sql}; mend features.sql") from error
    except duckdb.Error as error:
        raise _refusal(dataset, day, f"failed: {_without_values(dataset, error)}; mend the SQL") from error
    if len(statements) != 1:
        raise _refusal(dataset, day, f"has {len(statements)} statements; write one, with a common table expression for each step")
    return _without_semicolon(statements[0].query), set(statements[0].named_parameters)


def _without_semicolon(query: str) -> str:
    """The statement up to its closing semicolon, wherever it stands among comments."""
    ends = [offset for offset, _ in duckdb.tokenize(query) if query.encode()[offset : offset + 1] == b";"]
    return query.encode()[: ends[0]].decode() if ends else query


def _check(con: duckdb.DuckDBPyConnection, dataset: Dataset, day: date) -> None:
    """Raises FeatureError unless the SQL returned each clean row exactly once."""
    for trouble, query in CHECKS.items():
        count, example = con.sql(query).fetchall()[0]
        if count:
            shown = "" if dataset.columns.id in dataset.columns.private else f", such as {example}"
            hint = "return one row per row of history where _partition_date = $partition_date"
            raise _refusal(dataset, day, f"does not return one row per clean row: {count:,} ids {trouble}{shown}; {hint}")


def _cast_features(dataset: Dataset) -> list[str]:
    kinds = dict.fromkeys(dataset.features.numeric, "double") | dict.fromkeys(dataset.features.categorical, "varchar")
    return [f"cast({identifier(name)} as {kind}) as {identifier(name)}" for name, kind in kinds.items()]


def _refusal(dataset: Dataset, day: date, what: str) -> FeatureError:
    return FeatureError(f"{day}: {dataset.features.sql} {what}")


def _without_values(dataset: Dataset, error: Exception) -> str:
    """What DuckDB says; the values that it quotes are masked where some column is private."""
    return re.sub(r"'.*'", "'***'", first_line(error)) if dataset.columns.private else first_line(error)


def _frame(batch: pa.RecordBatch) -> pl.DataFrame:
    frame = pl.from_arrow(batch)
    assert isinstance(frame, pl.DataFrame)
    return frame
