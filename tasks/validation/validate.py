"""Validates a partition: checks its schema and rows against the configuration, and quarantines bad rows."""

import logging
from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path

import duckdb
import polars as pl

from tasks.core.atomic_files import atomic_path
from tasks.core.dataset import Dataset
from tasks.core.errors import PartitionRejected, SourceError, shown
from tasks.core.masking import MASK
from tasks.core.references import Partition, Validated
from tasks.core.step import step
from tasks.source.connection import connect, readable
from tasks.source.identities import Identities, read_identities
from tasks.source.ingest import look_back_note
from tasks.source.label_values import label_notes
from tasks.source.row_json import row_json
from tasks.source.row_rules import configured_columns, missing_columns
from tasks.source.view import SourceView, create_view, with_copies
from tasks.validation.data_docs import write_page
from tasks.validation.gate import EXAMPLES, RuleResult, gate
from tasks.validation.judge import judge_partition, judge_rows, judge_schema
from tasks.validation.rules import TYPES

log = logging.getLogger(__name__)

TEXTS = ("rule", "column", "content")
QUARANTINE = {"row": pl.Int64, "id": pl.String, "copy": pl.Int64, **dict.fromkeys(TEXTS, pl.String)}
SHOWN = 5  # allowed values in a message


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
        schema = judge_schema(check, dataset, view)
        if not all(result.success for result in schema):
            return schema, Identities.none()
        identities = read_identities(con, dataset, view)
        require_rows(partition, identities)
        whole = judge_partition(check, dataset, identities)
        rows = judge_rows(con, check, dataset, partition, view, identities)
        return [
            *schema,
            *(_identified(result, identities, partition.date) for result in (*whole, *rows)),
        ], identities


def require_rows(partition: Partition, identities: Identities) -> None:
    """Raises SourceError unless the partition has as many rows as when it was ingested."""
    if identities.rows != partition.rows:
        raise SourceError(
            f"{partition.date}: {partition.rows:,} rows were ingested, but {identities.rows:,} are "
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
