"""The gate of a night: is the partition what the configuration says, and which of its rows are not?"""

import logging
import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import polars as pl
from prefect import task
from prefect.cache_policies import NO_CACHE

from models.settings import ImageSettings
from sql import identifier
from tasks.core.atomic_files import atomic_path
from tasks.core.dataset import Dataset
from tasks.core.errors import PartitionRejected, SourceError
from tasks.core.json_value import json_value
from tasks.core.masking import MASK
from tasks.core.references import Partition, Validated
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
    is_number,
    judged_images,
    merge,
    partition_rules,
    row_rules,
    schema_rules,
)

log = logging.getLogger(__name__)

CHUNK_CELLS = 1 << 25  # values that Great Expectations sees at once: 256 MiB
VECTOR = 2048  # rows in DuckDB's vectors: it hands out multiples of them


@task(cache_policy=NO_CACHE)
def validate(dataset: Dataset, partition: Partition, staging: Path, data_docs: Path) -> Validated:
    """The gate of a night; see `validate_partition`."""
    return validate_partition(dataset, partition, staging, data_docs)


def validate_partition(
    dataset: Dataset, partition: Partition, staging: Path, data_docs: Path | None = None
) -> Validated:
    """Holds a partition against [quality] and the schema, and writes `quarantine.parquet` to `staging`.

    data_docs: where the page goes, also that of a rejected partition; into `staging` unless given.

    Of rows with the same id the first in the partition stays; the others are quarantined by the rule
    unique_id.
    Raises PartitionRejected, with the page already written, where the schema is broken, more rows are bad
    than [quality] allows, or none is good; SourceError where the partition cannot be read or is no longer the
    one that was ingested.
    """
    day = partition.date
    with connect(dataset.source) as con, readable(dataset.source, day):
        types = create_view(con, dataset, "day", day, day)
        results = _judge(con, dataset, partition, types)
        broken = [result for result in results if result.rows.size and result.rule != "label_values"]
        quarantined = _distinct(broken, partition.rows)
        page = write_page(data_docs or staging / "data_docs.html", dataset, partition, results, quarantined)
        if refusals := list(_refusals(dataset, partition, types, results, quarantined)):
            if data_docs:
                log.info("%s  validate   every rule and the rows that broke it: %s", day, data_docs)
            raise PartitionRejected(f"{day}: {'; '.join(refusals)}")
        quarantine = _write_quarantine(con, dataset, types, broken, staging / "quarantine.parquet")
    notes = tuple(_notes(dataset, types, results))
    for note in notes:
        log.info("%s  validate   %s", day, note)
    worst = f": {_worst(results)}" if quarantined else ""
    log.info(
        "%s  validate   %s rows, %s rules, %s quarantined%s",
        day,
        f"{partition.rows:,}",
        len(results),
        f"{quarantined:,}",
        worst,
    )
    return Validated(partition, quarantine, quarantined, page, notes)


def _judge(
    con: duckdb.DuckDBPyConnection, dataset: Dataset, partition: Partition, types: dict[str, str]
) -> list[RuleResult]:
    """The results on the schema, and, where it is whole, on the rows."""
    with gate(partition.date) as check:
        one_row = pd.DataFrame({name: pd.Series([kind], dtype=object) for name, kind in types.items()})
        schema = [
            replace(result, rows=np.empty(0, np.int64), examples=(), observed=types.get(str(result.column)))
            for result in check(one_row, schema_rules(dataset, types))
        ]
        if not all(result.success for result in schema):
            return schema
        ids = con.execute(
            f"select _row, cast({_not_nan(dataset.columns.id, types)} as varchar) as id from "
            f"{numbered('day')}"
        ).pl()
        if ids.height != partition.rows:
            raise SourceError(
                f"{partition.date}: {partition.rows:,} rows were ingested and {ids.height:,} found; "
                "run the night again"
            )
        whole = [_keep_first(result, ids) for result in check(_codes(dataset, ids), partition_rules(dataset))]
        rules = row_rules(dataset, types, partition.date)
        rows = (
            merge(check(frame, rules) for frame in _frames(con, dataset, types, rules, partition))
            if rules
            else ()
        )
        return [*schema, *whole, *rows]


def _codes(dataset: Dataset, ids: pl.DataFrame) -> pd.DataFrame:
    """The ids as one number per distinct id, for a whole day of strings is too much for pandas."""
    codes = ids["id"].rank("dense").cast(pl.Float64).to_numpy()
    return pd.DataFrame({dataset.columns.id: codes}, index=ids["_row"].to_numpy())


def _keep_first(result: RuleResult, ids: pl.DataFrame) -> RuleResult:
    """Great Expectations names every copy of an id, by its number; the first row of each stays, the others
    are bad.
    """
    if result.rule != "unique_id":
        return result
    copies = ids.filter(pl.col("_row").is_in(result.rows)).sort("_row")
    later = copies.filter(~pl.col("id").is_first_distinct())
    return replace(result, rows=later["_row"].to_numpy(), examples=tuple(later["id"].head(EXAMPLES)))


def _frames(
    con: duckdb.DuckDBPyConnection,
    dataset: Dataset,
    types: dict[str, str],
    rules: Rules,
    partition: Partition,
) -> Iterator[pd.DataFrame]:
    """The columns that have rules, CHUNK_CELLS values at a time; the index is the position in the
    partition.
    """
    names = list(dict.fromkeys(str(rule.column) for rule in rules))  # type: ignore[attr-defined]
    images = judged_images(dataset, types)
    cells = len(names) + sum(math.prod(image.shape) for image in images.values())
    selected = ", ".join(f"{_judged(name, dataset, types)} as {identifier(name)}" for name in names)
    days = {"day": partition.date} if dataset.columns.time else None
    rows = max(CHUNK_CELLS // cells // VECTOR, 1) * VECTOR
    for batch in con.execute(f"select _row, {selected} from {numbered('day')}", days).to_arrow_reader(rows):
        chunk = pl.DataFrame(batch)
        index = pd.Index(chunk["_row"].to_numpy())
        chunk = chunk.with_columns(_read_images(chunk[name], image) for name, image in images.items())
        columns = {name: chunk[name].to_numpy() for name in names}
        # of a bare array of objects pandas would make Arrow-backed text
        texts = {
            name: pd.Series(values, index, object)
            for name, values in columns.items()
            if values.dtype == object
        }
        yield pd.DataFrame(columns | texts, index, copy=False)


def _judged(name: str, dataset: Dataset, types: dict[str, str]) -> str:
    """A column as its rules see it: a time as days after the partition's date, a number as double, an image
    as it is, all else as text.
    """
    column = identifier(name)
    if name == dataset.columns.time:
        days = f"cast(date_diff('day', $day, cast({column} as date)) as double)"
        return (
            f"case when isfinite(cast({column} as timestamp)) then {days} when {column} is not null "
            "then 'inf'::double end"
        )
    if name in judged_images(dataset, types):
        return column
    if is_number(types[name]):
        return f"cast({column} as double)"
    return (
        f"lower(cast({column} as varchar))" if name == dataset.columns.label else f"cast({column} as varchar)"
    )


def _read_images(column: pl.Series, image: ImageSettings) -> pl.Series:
    """Images as their rules see them: READABLE, UNREADABLE or null."""
    from models.encoding.images import (
        is_readable,
    )  # starts TensorFlow, which a dataset without images need not wait for

    found = np.where(is_readable(column, image), READABLE, UNREADABLE)
    return pl.Series(column.name, found).set(column.is_null(), None)


def _not_nan(name: str, types: dict[str, str]) -> str:
    column = identifier(name)
    return (
        f"case when not isnan({column}) then {column} end" if types[name] in ("FLOAT", "DOUBLE") else column
    )


def _distinct(broken: list[RuleResult], rows: int) -> int:
    """Rows that break at least one rule."""
    bad = np.zeros(rows, dtype=bool)
    for result in broken:
        bad[result.rows] = True
    return int(bad.sum())


def _refusals(
    dataset: Dataset, partition: Partition, types: dict[str, str], results: list[RuleResult], quarantined: int
) -> Iterator[str]:
    """Every reason to refuse the whole partition, and what to do."""
    broken = {(result.rule, str(result.column)): result for result in results if not result.success}
    if missing := [column for rule, column in broken if rule == "column_exists"]:
        yield (
            f"missing columns: {', '.join(missing)} (there are {', '.join(types)}); deliver them or mend "
            "the configuration"
        )
    for (rule, column), result in broken.items():
        if rule in TYPES:
            yield (
                f"column {column} is {result.observed} and must be {TYPES[rule][1]}; deliver it so or "
                "mend the configuration"
            )
        if rule == "min_rows":
            yield (
                f"{result.observed:,} rows, and quality.min_rows is {dataset.quality.min_rows:,}; "
                "deliver the whole day"
            )
        if rule == "label_values":
            example = MASK if column in dataset.columns.private else result.examples[0]
            found = (
                f"{result.rows.size:,} labels in column {column} are not 0, 1, true, false or null, "
                f"such as {example}"
            )
            yield f"{found}; mend the labels and deliver the day again"
    quality, share = dataset.quality, quarantined / max(partition.rows, 1)
    found = f"{quarantined:,} of {partition.rows:,} rows are bad, {share:.2%} ({_worst(results)})"
    if quarantined and quarantined == partition.rows:
        yield f"{found}, and none is left; deliver the day again or mend [quality]"
    elif quarantined and quality.on_bad_rows == "reject":
        yield f"{found}, and quality.on_bad_rows is reject; deliver the day again or set it to quarantine"
    elif share > quality.max_bad_share:
        yield (
            f"{found}, and quality.max_bad_share is {quality.max_bad_share:.2%}; deliver the day again "
            "or raise it"
        )


def _worst(results: list[RuleResult]) -> str:
    """The three rules that most rows break, such as `amount range 12`."""
    worst = sorted((result for result in results if result.rows.size), key=lambda result: -result.rows.size)
    return ", ".join(f"{result.column} {result.rule} {result.rows.size:,}" for result in worst[:3])


def _notes(dataset: Dataset, types: dict[str, str], results: list[RuleResult]) -> Iterator[str]:
    # Feature SQL may read any column, so only without it is a column unknown.
    known = {*configured(dataset), dataset.source.date_column}
    if dataset.features.sql is None:
        yield from (
            f"column {name} is not configured; it was left alone" for name in types if name not in known
        )
    if repeats := sum(result.rows.size for result in results if result.rule == "unique_id"):
        yield f"{repeats:,} rows repeat an id; the first row of each id in the partition was kept"


def _write_quarantine(
    con: duckdb.DuckDBPyConnection,
    dataset: Dataset,
    types: dict[str, str],
    broken: list[RuleResult],
    path: Path,
) -> Path:
    """One line per bad row and rule; private columns are masked, in the content and as id."""
    schema = {"row": pl.Int64, "rule": pl.String, "column": pl.String}
    lines = [pl.DataFrame({"row": v.rows, "rule": v.rule, "column": v.column}, schema) for v in broken]
    con.register("bad", pl.concat([pl.DataFrame(schema=schema), *lines]).to_arrow())
    shown = {name: _shown(name, dataset, types) for name in types}
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


def _shown(name: str, dataset: Dataset, types: dict[str, str]) -> str:
    """A value as the quarantine may show it; of an image its size is told."""
    column = f"day.{identifier(name)}"
    if name in dataset.columns.private:
        return f"case when {column} is not null then $mask end"
    if name in judged_images(dataset, types) and types[name] != "BLOB":
        return f"format('<{{:,}} numbers>', len({column}))"
    return json_value(column, types[name])
