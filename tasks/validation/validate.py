"""Validates a partition: checks its schema and rows against the configuration, and quarantines bad rows."""

import logging
import math
from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import polars as pl

from models.settings import ImageSettings
from sql import identifier
from tasks.core.atomic_files import atomic_path
from tasks.core.canonical import as_number, canonical_text
from tasks.core.dataset import Dataset
from tasks.core.duckdb_types import is_number_or_boolean
from tasks.core.errors import PartitionRejected, SourceError, shown
from tasks.core.masking import MASK
from tasks.core.references import Partition, Validated
from tasks.core.step import step
from tasks.source.connection import connect, readable
from tasks.source.identities import NO_ROWS, Identities, key_of_repeated, read_identities
from tasks.source.ingest import look_back_note
from tasks.source.label_values import label_notes
from tasks.source.row_json import row_json, source_images
from tasks.source.row_rules import configured_columns, missing_columns
from tasks.source.view import SourceView, create_view, with_copies
from tasks.validation.data_docs import write_page
from tasks.validation.expectations import (
    CANONICAL,
    EXACT,
    EXAMPLES,
    FITS,
    READABLE,
    TYPES,
    UNREADABLE,
    Check,
    RuleResult,
    Rules,
    gate,
    merge,
    partition_rules,
    row_rules,
    schema_rules,
)

log = logging.getLogger(__name__)

CHUNK_CELLS = 1 << 25  # values that Great Expectations checks at once: 256 MiB
TEXTS = ("rule", "column", "content")
QUARANTINE = {"row": pl.Int64, "id": pl.String, "copy": pl.Int64, **dict.fromkeys(TEXTS, pl.String)}
NULL = "NULL"  # the type of a column that is null in all files, as Data Docs show it
SHOWN = 5  # allowed values in a message
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

    Of the rows with the same id, the first in the order of their content stays; the others are quarantined by
    the rule unique_id.
    Raises PartitionRejected, after writing the page, if the schema is wrong, more rows are bad than [quality]
    allows, or no row is good; SourceError if the partition cannot be read or is no longer the one that was
    ingested.
    """
    day = partition.date
    with connect(dataset.source) as con, readable(dataset.source, day):
        view = create_view(con, dataset, "day", [day])
        results, identities = _apply_rules(con, dataset, partition, view)
        broken = [result for result in results if result.broken]
        refused = identities.refused([result.rows for result in broken])
        reasons = list(_rejection_reasons(dataset, partition, view, results, refused.height))
        page = write_page(
            data_docs or staging / "data_docs.html", dataset, partition, results, refused.height, reasons
        )
        if reasons:
            if data_docs:
                log.info("%s  validate   every rule and the rows that broke it: %s", day, data_docs)
            raise PartitionRejected(f"{day}: {'; '.join(reasons)}")
        refused_path = staging / "refused.parquet"
        with atomic_path(refused_path) as staged:
            refused.write_parquet(staged)
        quarantine = _write_quarantine(con, dataset, view, broken, staging / "quarantine.parquet")
        notes = tuple(_notes(con, dataset, view, results))
        found, clean = identities.sums(con, refused)
    for note in notes:
        log.info("%s  validate   %s", day, note)
    left_out = filter(None, [look_back_note(partition)])  # logged when the partition was read
    worst = f": {_most_broken_rules(results)}" if refused.height else ""
    log.info(
        "%s  validate   %s rows, %s rules, %s quarantined%s",
        day,
        f"{partition.rows:,}",
        len(results),
        f"{refused.height:,}",
        worst,
    )
    return Validated(
        partition, refused_path, quarantine, refused.height, found, clean, page, (*left_out, *notes)
    )


def _apply_rules(
    con: duckdb.DuckDBPyConnection, dataset: Dataset, partition: Partition, view: SourceView
) -> tuple[list[RuleResult], Identities]:
    """Returns the results of the schema rules and, if none is broken, of the rules on the rows; and the
    identities of the rows.
    """
    with gate(partition.date) as check:
        schema = _schema_results(check, dataset, view)
        if not all(result.success for result in schema):
            return schema, Identities.none()
        identities = read_identities(con, dataset, view)
        require_rows(partition, identities)
        whole = check(
            pd.DataFrame({dataset.columns.id: identities.codes.to_numpy()}),
            partition_rules(dataset),
            pl.DataFrame({"id": identities.ids}),
        )
        rules = row_rules(dataset, view, partition.date)
        chunks = _frames(con, dataset, view, rules, partition, identities) if rules else ()
        rows = merge(check(frame, rules, keys) for frame, keys in chunks) if rules else ()
        return [
            *schema,
            *(_identified(result, identities, partition.date) for result in (*whole, *rows)),
        ], identities


def require_rows(partition: Partition, identities: Identities) -> None:
    """Raises SourceError unless the partition has as many rows as when it was ingested."""
    if identities.ids.len() != partition.rows:
        raise SourceError(
            f"{partition.date}: {partition.rows:,} rows were ingested, but {identities.ids.len():,} are "
            "there now; run the night again"
        )


def _identified(result: RuleResult, identities: Identities, day: date) -> RuleResult:
    """Returns the result with id and copy of each row that breaks the rule, found by its id and the key of
    its copy. Of unique_id, the copies after the first break it, and the examples are their ids.

    Raises SourceError if a row is not among those that the ids were read of.
    """
    copies, rows = identities.copies, result.rows
    if result.rule == "unique_id":
        later = copies.filter(pl.col("id").is_not_null() & (pl.col("copy") > 0)).select("id", "copy")
        return replace(result, rows=later, examples=tuple(later["id"].sort().head(EXAMPLES)))
    if "key" not in rows.columns:  # a rule on the id alone: not_null
        without_id = copies.filter(pl.col("id").is_null()).select("id", "copy")
        return replace(result, rows=without_id[: result.broken])
    alone = rows.filter(pl.col("key").is_null()).select("id", pl.lit(0, pl.Int64).alias("copy"))
    keyed = rows.filter(pl.col("key").is_not_null()).unique()
    if keyed.join(copies, on=["id", "key"], how="anti", nulls_equal=True).height:
        raise SourceError(f"{day}: the rows of an id differ from one read to the next; run the night again")
    repeated = copies.join(keyed, on=["id", "key"], how="semi", nulls_equal=True).select("id", "copy")
    return replace(result, rows=pl.concat([alone, repeated]))


def _schema_results(check: Check, dataset: Dataset, view: SourceView) -> list[RuleResult]:
    """Returns the results of the schema rules; of a broken one, the first type that breaks it."""
    texts = {
        name: [str(kind) for kind in kinds] or [NULL]
        for name, kinds in view.found.items()
        if name not in view.lacking
    }
    height = max(map(len, texts.values()), default=1)
    frame = pd.DataFrame(
        {
            name: pd.Series([*kinds, *[kinds[0]] * (height - len(kinds))], dtype=object)
            for name, kinds in texts.items()
        },
        index=range(height),
    )
    results = check(frame, schema_rules(dataset, view), pl.DataFrame({"id": pl.Series([""] * height)}))
    return [
        replace(
            result,
            rows=NO_ROWS,
            examples=(),
            observed=str(result.examples[0]) if result.examples else texts.get(str(result.column), [None])[0],
        )
        for result in results
    ]


def _frames(
    con: duckdb.DuckDBPyConnection,
    dataset: Dataset,
    view: SourceView,
    rules: Rules,
    partition: Partition,
    identities: Identities,
) -> Iterator[tuple[pd.DataFrame, pl.DataFrame]]:
    """Yields the columns that have rules, CHUNK_CELLS values at a time, and the identities of the same rows:
    id, and the key of the copy where the id is null or occurs more than once.
    """
    names = list(dict.fromkeys(str(rule.column) for rule in rules))  # type: ignore[attr-defined]
    images = source_images(dataset, view)
    cells = len(names) + sum(math.prod(image.shape) for image in images.values())
    values = [_checked_value(name, dataset, view) for name in names]
    selected = ", ".join(f"{value} as c{number}" for number, value in enumerate(values))
    days = {"day": partition.date} if dataset.columns.time else None
    rows = max(CHUNK_CELLS // cells // VECTOR, 1) * VECTOR
    query = (
        f"select {view.id} as id, {key_of_repeated(view, dataset, identities)} as key, {selected} from day"
    )
    for batch in con.execute(query, days).to_arrow_reader(rows):
        chunk = pl.DataFrame(batch)
        found = {name: chunk[f"c{number}"] for number, name in enumerate(names)}
        found |= {name: _check_images(found[name], image) for name, image in images.items()}
        columns = {name: column.to_numpy() for name, column in found.items()}
        # From a bare array of objects, pandas would make Arrow-backed text.
        texts = {
            name: pd.Series(values, dtype=object)
            for name, values in columns.items()
            if values.dtype == object
        }
        yield pd.DataFrame(columns | texts, copy=False), chunk.select("id", "key")


def _checked_value(name: str, dataset: Dataset, view: SourceView) -> str:
    """Returns an SQL expression for the value that the rules of a checked column look at: a time as days
    after the partition's date, a number as double, an image unchanged, anything else as canonical text;
    whether an id is exact as 1 or 0.
    """
    if name.startswith(EXACT):
        return f"cast({view.exact(name.removeprefix(EXACT))} as double)"
    if name.startswith(FITS):
        return f"cast({view.unfit(name.removeprefix(FITS))} is null as double)"
    source_name = name.removeprefix(CANONICAL)
    column, kind = identifier(source_name), view.types[source_name]
    if name.startswith(CANONICAL):
        return canonical_text(column, kind)
    if name == dataset.columns.time:
        days = f"cast(date_diff('day', $day, cast({column} as date)) as double)"
        return (
            f"case when isfinite(cast({column} as timestamp)) then {days} when {column} is not null "
            "then 'inf'::double end"
        )
    if name in source_images(dataset, view):
        return column
    if all(map(is_number_or_boolean, view.found[name])):
        return as_number(column, kind)
    return canonical_text(column, kind)


def _check_images(column: pl.Series, image: ImageSettings) -> pl.Series:
    """Returns the value that stands for each image: READABLE, UNREADABLE or null."""
    # This import starts TensorFlow, which takes seconds; a dataset without images does not need it.
    from models.encoding.images import is_readable

    found = np.where(is_readable(column, image), READABLE, UNREADABLE)
    return pl.Series(column.name, found).set(column.is_null(), None)


def _rejection_reasons(
    dataset: Dataset,
    partition: Partition,
    view: SourceView,
    results: list[RuleResult],
    quarantined: int,
) -> Iterator[str]:
    """Yields every reason to reject the whole partition, each with what to do."""
    broken = {(result.rule, str(result.column)): result for result in results if not result.success}
    if missing := missing_columns(dataset, view):
        named, there = ", ".join(missing), ", ".join(map(shown, view.types))
        yield f"missing columns: {named} (there are {there}); deliver them or fix the configuration"
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
    quality, share = dataset.quality, quarantined / max(partition.rows, 1)
    worst = "; ".join([_most_broken_rules(results), *_unmatched_rules(dataset, view, results)])
    found = f"{quarantined:,} of {partition.rows:,} rows are bad, a share of {share:.4g} ({worst})"
    if quarantined and quarantined == partition.rows:
        yield f"{found}, and none is left; deliver the day again or fix [quality]"
    elif quarantined and quality.on_bad_rows == "reject":
        yield f"{found}, and quality.on_bad_rows is reject; deliver the day again or set it to quarantine"
    elif share > quality.max_bad_share:
        yield (
            f"{found}, and quality.max_bad_share is {quality.max_bad_share:g}; deliver the day again "
            "or raise it"
        )


def _most_broken_rules(results: list[RuleResult]) -> str:
    """Returns the three rules that most rows break, with their numbers of rows, such as `amount range 12`."""
    worst = sorted((result for result in results if result.broken), key=lambda result: -result.broken)
    return ", ".join(f"{result.column} {result.rule} {result.broken:,}" for result in worst[:3])


def _unmatched_rules(dataset: Dataset, view: SourceView, results: list[RuleResult]) -> Iterator[str]:
    """Yields each rule `allowed` that no value of its column passes, as a sentence: its values may be of
    another type, or have blanks.
    """
    for result in results:
        name, values = str(result.column), result.checked - result.missing
        if result.rule != "allowed" or not 0 < values <= result.broken:
            continue
        allowed = dataset.quality.columns[name].allowed or ()
        kinds = ", ".join(map(str, view.found[name]))
        values_shown, such_as = f"{len(allowed)} values", ""
        if name not in dataset.columns.private:
            values_shown = ", ".join(map(repr, allowed[:SHOWN])) + ", ..." * (len(allowed) > SHOWN)
            such_as = f", such as {result.examples[0]!r}"
        yield (
            f"column {name} is {kinds}{such_as}, and none of its values is in quality.columns.{name}.allowed "
            f"({values_shown}): write them as the column has them"
        )


def _notes(
    con: duckdb.DuckDBPyConnection,
    dataset: Dataset,
    view: SourceView,
    results: list[RuleResult],
) -> Iterator[str]:
    """Yields the findings that are accepted, as sentences for the ledger."""
    # Feature SQL may read any column, so a column can be unknown only without feature SQL.
    columns = dataset.columns
    known = {*configured_columns(dataset), *columns.late, dataset.source.date_column}
    if dataset.features.sql is None:
        yield from (
            f"column {shown(name)} is not configured; it was ignored"
            for name in view.types
            if name not in known
        )
    if repeats := sum(result.broken for result in results if result.rule == "unique_id"):
        yield f"{repeats:,} rows repeat an id; of the rows of an id, the first by its content was kept"
    yield from _unmatched_rules(dataset, view, results)
    yield from label_notes(con, dataset, view)


def _write_quarantine(
    con: duckdb.DuckDBPyConnection,
    dataset: Dataset,
    view: SourceView,
    broken: list[RuleResult],
    path: Path,
) -> Path:
    """Writes one line per bad row and broken rule, with private columns masked in the content and as id."""
    if not broken:  # the source needs no further read
        with atomic_path(path) as staged:
            pl.DataFrame(schema=QUARANTINE).write_parquet(staged)
        return path
    lines = [
        result.rows.select(
            "id", "copy", pl.lit(result.rule).alias("rule"), pl.lit(result.column, pl.String).alias("column")
        )
        for result in broken
    ]
    con.register("bad", pl.concat(lines).to_arrow())
    is_private = dataset.columns.id in dataset.columns.private
    shown_id = f"case when bad.id is not null then '{MASK}' end" if is_private else "bad.id"
    found = con.sql(
        f"""
        select
            dense_rank() over (order by bad.id, bad.copy) - 1 as row,
            {shown_id} as id,
            bad.copy,
            bad.rule,
            bad."column",
            content,
        from bad
        join (
            select {view.id} as id, {view.copy} as copy, {row_json(dataset, view)} as content
            from {with_copies(view, dataset, "bad")}
        ) as day
            on day.id is not distinct from bad.id and day.copy = bad.copy
        order by row, bad.rule, bad."column"
        """
    )
    with atomic_path(path) as staged:
        found.write_parquet(str(staged))
    return path
