"""Validates a partition: checks its schema and rows against the configuration, and quarantines bad rows."""

import logging
import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import polars as pl
from duckdb.sqltypes import DuckDBPyType

from models.settings import ImageSettings
from sql import identifier
from tasks.core.atomic_files import atomic_path
from tasks.core.dataset import Dataset
from tasks.core.duckdb_types import is_bytes, is_number_or_boolean
from tasks.core.errors import PartitionRejected, SourceError
from tasks.core.masking import MASK
from tasks.core.references import Partition, Validated
from tasks.core.sql_expressions import json_value, null_if_nan
from tasks.core.step import step
from tasks.source.connection import connect, create_view, numbered, readable
from tasks.validation.data_docs import write_page
from tasks.validation.expectations import (
    EXAMPLES,
    READABLE,
    TYPES,
    UNREADABLE,
    RuleResult,
    Rules,
    configured,
    gate,
    merge,
    partition_rules,
    row_rules,
    schema_rules,
    source_images,
)

log = logging.getLogger(__name__)

CHUNK_CELLS = 1 << 25  # values that Great Expectations checks at once: 256 MiB
VECTOR = 2048  # rows in a DuckDB vector: its batches are multiples of this


@step
def validate(dataset: Dataset, partition: Partition, staging: Path, data_docs: Path) -> Validated:
    """Validates a partition; see `validate_partition`."""
    return validate_partition(dataset, partition, staging, data_docs)


def validate_partition(
    dataset: Dataset, partition: Partition, staging: Path, data_docs: Path | None = None
) -> Validated:
    """Checks a partition against its schema and [quality], and writes `quarantine.parquet` to `staging`.

    data_docs: the path of the page, which is also written for a rejected partition; by default a file in
        `staging`.

    Of the rows with the same id, the first in the partition stays; the others are quarantined by the rule
    unique_id.
    Raises PartitionRejected, after writing the page, if the schema is wrong, more rows are bad than [quality]
    allows, or no row is good; SourceError if the partition cannot be read or is no longer the one that was
    ingested.
    """
    day = partition.date
    with connect(dataset.source) as con, readable(dataset.source, day):
        types = create_view(con, dataset, "day", day, day)
        results = _apply_rules(con, dataset, partition, types)
        broken = [result for result in results if result.rows.size and result.rule != "label_values"]
        quarantined = _count_bad_rows(broken, partition.rows)
        page = write_page(data_docs or staging / "data_docs.html", dataset, partition, results, quarantined)
        if reasons := list(_rejection_reasons(dataset, partition, types, results, quarantined)):
            if data_docs:
                log.info("%s  validate   every rule and the rows that broke it: %s", day, data_docs)
            raise PartitionRejected(f"{day}: {'; '.join(reasons)}")
        quarantine = _write_quarantine(con, dataset, types, broken, staging / "quarantine.parquet")
    notes = tuple(_notes(dataset, types, results))
    for note in notes:
        log.info("%s  validate   %s", day, note)
    worst = f": {_most_broken_rules(results)}" if quarantined else ""
    log.info(
        "%s  validate   %s rows, %s rules, %s quarantined%s",
        day,
        f"{partition.rows:,}",
        len(results),
        f"{quarantined:,}",
        worst,
    )
    return Validated(partition, quarantine, quarantined, page, notes)


def _apply_rules(
    con: duckdb.DuckDBPyConnection, dataset: Dataset, partition: Partition, types: dict[str, DuckDBPyType]
) -> list[RuleResult]:
    """Returns the results of the schema rules and, if none is broken, of the rules on the rows."""
    with gate(partition.date) as check:
        texts = {name: str(kind) for name, kind in types.items()}
        one_row = pd.DataFrame({name: pd.Series([text], dtype=object) for name, text in texts.items()})
        schema = [
            replace(result, rows=np.empty(0, np.int64), examples=(), observed=texts.get(str(result.column)))
            for result in check(one_row, schema_rules(dataset, types))
        ]
        if not all(result.success for result in schema):
            return schema
        row_id = null_if_nan(identifier(dataset.columns.id), types[dataset.columns.id])
        ids = con.execute(f"select _row, cast({row_id} as varchar) as id from {numbered('day')}").pl()
        if ids.height != partition.rows:
            raise SourceError(
                f"{partition.date}: {partition.rows:,} rows were ingested, but {ids.height:,} are there now; "
                "run the night again"
            )
        found = check(_id_codes(dataset, ids), partition_rules(dataset))
        whole = [_keep_first_of_each_id(result, ids) for result in found]
        rules = row_rules(dataset, types, partition.date)
        rows = (
            merge(check(frame, rules) for frame in _frames(con, dataset, types, rules, partition))
            if rules
            else ()
        )
        return [*schema, *whole, *rows]


def _id_codes(dataset: Dataset, ids: pl.DataFrame) -> pd.DataFrame:
    """Returns the ids as one number per distinct id: a whole day of strings is too large for pandas."""
    codes = ids["id"].rank("dense").cast(pl.Float64).to_numpy()
    return pd.DataFrame({dataset.columns.id: codes}, index=ids["_row"].to_numpy())


def _keep_first_of_each_id(result: RuleResult, ids: pl.DataFrame) -> RuleResult:
    """Returns the result of unique_id without the first row of each id, and with ids instead of codes as
    examples; any other result unchanged. Great Expectations reports every copy of an id.
    """
    if result.rule != "unique_id":
        return result
    copies = ids.filter(pl.col("_row").is_in(result.rows)).sort("_row")
    later = copies.filter(~pl.col("id").is_first_distinct())
    return replace(result, rows=later["_row"].to_numpy(), examples=tuple(later["id"].head(EXAMPLES)))


def _frames(
    con: duckdb.DuckDBPyConnection,
    dataset: Dataset,
    types: dict[str, DuckDBPyType],
    rules: Rules,
    partition: Partition,
) -> Iterator[pd.DataFrame]:
    """Yields the columns that have rules, CHUNK_CELLS values at a time; the index is the position in the
    partition.
    """
    names = list(dict.fromkeys(str(rule.column) for rule in rules))  # type: ignore[attr-defined]
    images = source_images(dataset, types)
    cells = len(names) + sum(math.prod(image.shape) for image in images.values())
    selected = ", ".join(f"{_checked_value(name, dataset, types)} as {identifier(name)}" for name in names)
    days = {"day": partition.date} if dataset.columns.time else None
    rows = max(CHUNK_CELLS // cells // VECTOR, 1) * VECTOR
    for batch in con.execute(f"select _row, {selected} from {numbered('day')}", days).to_arrow_reader(rows):
        chunk = pl.DataFrame(batch)
        index = pd.Index(chunk["_row"].to_numpy())
        chunk = chunk.with_columns(_check_images(chunk[name], image) for name, image in images.items())
        columns = {name: chunk[name].to_numpy() for name in names}
        # From a bare array of objects, pandas would make Arrow-backed text.
        texts = {
            name: pd.Series(values, index, object)
            for name, values in columns.items()
            if values.dtype == object
        }
        yield pd.DataFrame(columns | texts, index, copy=False)


def _checked_value(name: str, dataset: Dataset, types: dict[str, DuckDBPyType]) -> str:
    """Returns an SQL expression for the value that a column's rules check: a time as days after the
    partition's date, a number as double, an image unchanged, anything else as text.
    """
    column = identifier(name)
    if name == dataset.columns.time:
        days = f"cast(date_diff('day', $day, cast({column} as date)) as double)"
        return (
            f"case when isfinite(cast({column} as timestamp)) then {days} when {column} is not null "
            "then 'inf'::double end"
        )
    if name in source_images(dataset, types):
        return column
    if is_number_or_boolean(types[name]):
        return f"cast({column} as double)"
    return (
        f"lower(cast({column} as varchar))" if name == dataset.columns.label else f"cast({column} as varchar)"
    )


def _check_images(column: pl.Series, image: ImageSettings) -> pl.Series:
    """Returns the value that stands for each image: READABLE, UNREADABLE or null."""
    # This import starts TensorFlow, which takes seconds; a dataset without images does not need it.
    from models.encoding.images import is_readable

    found = np.where(is_readable(column, image), READABLE, UNREADABLE)
    return pl.Series(column.name, found).set(column.is_null(), None)


def _count_bad_rows(broken: list[RuleResult], rows: int) -> int:
    """Returns the number of rows that break at least one rule."""
    bad = np.zeros(rows, dtype=bool)
    for result in broken:
        bad[result.rows] = True
    return int(bad.sum())


def _rejection_reasons(
    dataset: Dataset,
    partition: Partition,
    types: dict[str, DuckDBPyType],
    results: list[RuleResult],
    quarantined: int,
) -> Iterator[str]:
    """Yields every reason to reject the whole partition, each with what to do."""
    broken = {(result.rule, str(result.column)): result for result in results if not result.success}
    if missing := [column for rule, column in broken if rule == "column_exists"]:
        yield (
            f"missing columns: {', '.join(missing)} (there are {', '.join(types)}); deliver them or fix "
            "the configuration"
        )
    for (rule, column), result in broken.items():
        if rule in TYPES:
            yield (
                f"column {column} is {result.observed} and must be {TYPES[rule][1]}; deliver that type or "
                "fix the configuration"
            )
        if rule == "min_rows":
            yield (
                f"{result.observed:,} rows, but quality.min_rows is {dataset.quality.min_rows:,}; "
                "deliver the whole day"
            )
        if rule == "label_values":
            example = MASK if column in dataset.columns.private else result.examples[0]
            found = (
                f"{result.rows.size:,} labels in column {column} are not 0, 1, true, false or null, "
                f"such as {example}"
            )
            yield f"{found}; fix the labels and deliver the day again"
    quality, share = dataset.quality, quarantined / max(partition.rows, 1)
    worst = _most_broken_rules(results)
    found = f"{quarantined:,} of {partition.rows:,} rows are bad, {share:.2%} ({worst})"
    if quarantined and quarantined == partition.rows:
        yield f"{found}, and none is left; deliver the day again or fix [quality]"
    elif quarantined and quality.on_bad_rows == "reject":
        yield f"{found}, and quality.on_bad_rows is reject; deliver the day again or set it to quarantine"
    elif share > quality.max_bad_share:
        yield (
            f"{found}, and quality.max_bad_share is {quality.max_bad_share:.2%}; deliver the day again "
            "or raise it"
        )


def _most_broken_rules(results: list[RuleResult]) -> str:
    """Returns the three rules that most rows break, with their numbers of rows, such as `amount range 12`."""
    worst = sorted((result for result in results if result.rows.size), key=lambda result: -result.rows.size)
    return ", ".join(f"{result.column} {result.rule} {result.rows.size:,}" for result in worst[:3])


def _notes(dataset: Dataset, types: dict[str, DuckDBPyType], results: list[RuleResult]) -> Iterator[str]:
    """Yields the findings that are accepted, as sentences for the ledger."""
    # Feature SQL may read any column, so a column can be unknown only without feature SQL.
    known = {*configured(dataset), dataset.source.date_column}
    if dataset.features.sql is None:
        yield from (f"column {name} is not configured; it was ignored" for name in types if name not in known)
    if repeats := sum(result.rows.size for result in results if result.rule == "unique_id"):
        yield f"{repeats:,} rows repeat an id; the first row of each id in the partition was kept"


def _write_quarantine(
    con: duckdb.DuckDBPyConnection,
    dataset: Dataset,
    types: dict[str, DuckDBPyType],
    broken: list[RuleResult],
    path: Path,
) -> Path:
    """Writes one line per bad row and broken rule, with private columns masked in the content and as id."""
    schema = {"row": pl.Int64, "rule": pl.String, "column": pl.String}
    lines = [
        pl.DataFrame({"row": result.rows, "rule": result.rule, "column": result.column}, schema)
        for result in broken
    ]
    con.register("bad", pl.concat([pl.DataFrame(schema=schema), *lines]).to_arrow())
    shown = {name: _quarantine_value(name, dataset, types) for name in types}
    content = ", ".join(f"{identifier(name)} := {value}" for name, value in shown.items())
    found = con.sql(
        f"""
        select
            bad.row,
            cast({shown[dataset.columns.id]} as varchar) as id,
            bad.rule,
            bad."column",
            cast(to_json(struct_pack({content})) as varchar) as content,
        from bad
        join {numbered("day")} as day on day._row = bad.row
        order by bad.row, bad.rule, bad."column"
        """,
        params={"mask": MASK} if dataset.columns.private else None,
    )
    with atomic_path(path) as staged:
        found.write_parquet(str(staged))
    return path


def _quarantine_value(name: str, dataset: Dataset, types: dict[str, DuckDBPyType]) -> str:
    """Returns an SQL expression for a column's value in the quarantine: masked if private, and for an image
    its size.
    """
    column = f"day.{identifier(name)}"
    if name in dataset.columns.private:
        return f"case when {column} is not null then $mask end"
    if name in source_images(dataset, types) and not is_bytes(types[name]):
        return f"format('<{{:,}} numbers>', len({column}))"
    return json_value(column, types[name])
