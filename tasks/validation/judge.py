"""Judges the rules of a day: Great Expectations gets what could break one; the rest is counted, by DuckDB."""

import math
import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import polars as pl
from great_expectations.expectations.expectation import Expectation

from models.settings import ImageSettings
from tasks.core.dataset import Dataset
from tasks.core.references import Partition
from tasks.source.identities import NO_ROWS, Identities, key_of_repeated
from tasks.source.row_json import source_images
from tasks.source.row_rules import Rule
from tasks.source.view import SourceView
from tasks.validation.counts import Counts, checked_value, count_suspects, key_of, parameters
from tasks.validation.gate import Check, RuleResult, merge
from tasks.validation.rules import READABLE, UNREADABLE, Rules, partition_rules, row_rules, schema_rules

CHUNK_CELLS = 1 << 25  # values that Great Expectations checks at once: 256 MiB
NULL = "NULL"  # the type of a column that is null in all files, as Data Docs show it
VECTOR = 2048  # rows in a DuckDB vector: its batches are multiples of this


def judge_partition(check: Check, dataset: Dataset, identities: Identities) -> list[RuleResult]:
    """Returns the results of the rules across all rows: the number of rows is judged, and of the ids those
    that are null or occur more than once, where there are any.
    """
    min_rows, *of_ids = partition_rules(dataset)
    copies, rows = identities.copies, identities.rows
    judged = check(pd.DataFrame(index=pd.RangeIndex(rows)), [min_rows], NO_ROWS)
    if copies.is_empty():
        return [*judged, *(_unbroken(rule, rows) for rule in of_ids)]
    codes = pd.DataFrame({dataset.columns.id: copies["id"].rank("dense").cast(pl.Float64).to_numpy()})
    return [
        *judged,
        *(replace(result, checked=rows) for result in check(codes, of_ids, copies.select("id"))),
    ]


def judge_rows(
    con: duckdb.DuckDBPyConnection,
    check: Check,
    dataset: Dataset,
    partition: Partition,
    view: SourceView,
    identities: Identities,
) -> list[RuleResult]:
    """Returns the results of the rules on single rows, in their order. A rule that is counted is judged on
    the rows that could break it, any other on all rows.
    """
    rules = row_rules(dataset, view, partition.date)
    counts = count_suspects(con, dataset, view, rules, partition.date)
    keys = {key_of(rule): rule for rule in rules}
    judged: dict[Rule, RuleResult] = {}
    for chosen, where in (
        ([rule for key, rule in keys.items() if key not in counts.counted], "true"),
        ([keys[key] for key in counts.suspects], " or ".join(counts.suspects.values())),
    ):
        if chosen:
            chunks = _frames(con, dataset, view, chosen, partition.date, identities, where)
            results = merge(check(frame, chosen, found) for frame, found in chunks)
            judged |= dict(zip(map(key_of, chosen), results, strict=True))
    return [
        _of_all(judged[key], counts, key)
        if key in judged
        else _unbroken(rule, counts.rows, _missing(rule, counts))
        for key, rule in keys.items()
    ]


def _of_all(result: RuleResult, counts: Counts, key: Rule) -> RuleResult:
    """Returns the result of a rule on some rows as that on all rows."""
    if key not in counts.counted:
        return result
    return replace(result, checked=counts.rows, missing=_missing(result.expectation, counts))


def _missing(rule: Any, counts: Counts) -> int:
    """How many rows have no value that the rule could look at."""
    meta, column = rule.meta, getattr(rule, "column", None) or rule.kwargs["column"]
    return 0 if meta["rule"] == "not_null" else counts.missing[column]


def _unbroken(rule: Expectation, rows: int, missing: int = 0) -> RuleResult:
    """The result of a rule that no row could break."""
    return RuleResult(rule.configuration, True, NO_ROWS, checked=rows, missing=missing)


def judge_schema(check: Check, dataset: Dataset, view: SourceView) -> list[RuleResult]:
    """Returns the results of the schema rules; of a broken one, the first type that breaks it. Only rules
    that some type could break are judged.
    """
    texts = {
        name: [str(kind) for kind in kinds] or [NULL]
        for name, kinds in view.found.items()
        if name not in view.lacking
    }
    rules = schema_rules(dataset, view)
    judged = _judged_types(check, [rule for rule in rules if not _fits(rule, texts)], texts)
    results = [judged.get(key_of(rule)) or _unbroken(rule, 0) for rule in rules]
    return [
        replace(
            result,
            rows=NO_ROWS,
            examples=(),
            observed=str(result.examples[0]) if result.examples else texts.get(str(result.column), [None])[0],
        )
        for result in results
    ]


def _fits(rule: Any, texts: dict[str, list[str]]) -> bool:
    kinds, regex = texts.get(rule.column), getattr(rule, "regex", "")
    return kinds is not None and all(re.search(regex, kind) for kind in kinds)


def _judged_types(check: Check, rules: Rules, texts: dict[str, list[str]]) -> dict[Rule, RuleResult]:
    if not rules:
        return {}
    height = max(map(len, texts.values()), default=1)
    frame = pd.DataFrame(
        {
            name: pd.Series([*kinds, *[kinds[0]] * (height - len(kinds))], dtype=object)
            for name, kinds in texts.items()
        },
        index=range(height),
    )
    results = check(frame, rules, pl.DataFrame({"id": pl.Series([""] * height)}))
    return dict(zip(map(key_of, rules), results, strict=True))


def _frames(
    con: duckdb.DuckDBPyConnection,
    dataset: Dataset,
    view: SourceView,
    rules: Rules,
    day: date,
    identities: Identities,
    where: str,
) -> Iterator[tuple[pd.DataFrame, pl.DataFrame]]:
    """Yields the columns that have rules, of the rows `where` a condition holds, CHUNK_CELLS values at a
    time, and the identities of the same rows: id, and the key of the copy where the id is null or occurs more
    than once.
    """
    names = list(dict.fromkeys(str(rule.column) for rule in rules))  # type: ignore[attr-defined]
    images = source_images(dataset, view)
    cells = len(names) + sum(math.prod(image.shape) for image in images.values())
    values = [checked_value(name, dataset, view) for name in names]
    selected = ", ".join(f"{value} as c{number}" for number, value in enumerate(values))
    rows = max(CHUNK_CELLS // cells // VECTOR, 1) * VECTOR
    query = (
        f"select {view.id} as id, {key_of_repeated(view, dataset, identities)} as key, {selected} from day "
        f"where {where}"
    )
    for batch in con.execute(query, parameters(names, dataset, day)).to_arrow_reader(rows):
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


def _check_images(column: pl.Series, image: ImageSettings) -> pl.Series:
    """Returns the value that stands for each image: READABLE, UNREADABLE or null."""
    # This import starts TensorFlow, which takes seconds; a dataset without images does not need it.
    from models.encoding.images import is_readable

    found = np.where(is_readable(column, image), READABLE, UNREADABLE)
    return pl.Series(column.name, found).set(column.is_null(), None)
