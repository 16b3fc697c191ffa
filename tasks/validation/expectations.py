"""The rules of a partition as Great Expectations, and the rows that break them.

A rule is one expectation: its `meta` holds the rule's name, its description is the text on Data Docs. Great
Expectations gets pandas frames of NumPy columns, float64 for numbers and times, objects for text;
Arrow-backed columns would be 13 times slower.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from functools import cache, partial
from sys import float_info
from threading import Lock
from typing import Any
from uuid import uuid4

import great_expectations as gx
import pandas as pd
import polars as pl
from great_expectations.core import ExpectationValidationResult
from great_expectations.core.batch_definition import BatchDefinition
from great_expectations.data_context.data_context.ephemeral_data_context import EphemeralDataContext
from great_expectations.data_context.types.base import (
    DataContextConfig,
    InMemoryStoreBackendDefaults,
    ProgressBarsConfig,
)
from great_expectations.execution_engine import pandas_execution_engine
from great_expectations.expectations.expectation import Expectation
from great_expectations.expectations.expectation_configuration import ExpectationConfiguration
from great_expectations.expectations.registry import get_expectation_impl

from tasks.core import duckdb_types
from tasks.core.canonical import may_be_inexact
from tasks.core.dataset import ColumnRule, Dataset
from tasks.core.duckdb_types import is_bytes, is_float, is_number_or_boolean
from tasks.core.errors import PartitionRejected
from tasks.source.row_json import source_images
from tasks.source.row_rules import (
    INFINITE,
    checked_columns,
    configured_columns,
    configured_texts,
    quality_rules,
    typed_columns,
)
from tasks.source.view import SourceView

Rules = Sequence[Expectation]
TYPES = {  # of each rule about a type: the regular expression that the type matches, and its description
    "time_type": (duckdb_types.DATE_OR_TIMESTAMP, "a timestamp or a date"),
    "number_type": (duckdb_types.NUMBER_OR_BOOLEAN, "an integer, float, decimal or boolean"),
    "image_type": (duckdb_types.IMAGE, "bytes or lists of numbers"),
}
# Before the names of checked columns that are computed from a column of the source; no name has a null byte.
EXACT, CANONICAL, FITS = "\0exact ", "\0canonical ", "\0fits "
READABLE, UNREADABLE = "readable", "unreadable"  # the values that stand for an image
EXAMPLES = 20
_CONTEXT_LOCK = Lock()  # all threads share the context of Great Expectations
_idle: list[BatchDefinition[Any]] = []  # of gates that have ended
RESULT_FORMAT = {
    "result_format": "COMPLETE",
    "return_unexpected_index_query": False,
    "partial_unexpected_count": EXAMPLES,
}


@dataclass(frozen=True)
class RuleResult:
    """The result of Great Expectations for one rule.

    rows: the rows that break the rule, id str and copy int64; empty for a rule about the whole partition.
    checked, missing: number of rows checked, and how many of them are null.
    examples: at most EXAMPLES values that break the rule, unmasked.
    observed: the value found by a rule about the whole partition.
    judged: number of rows that Great Expectations judged; None where a count left it none to judge.
    """

    expectation: ExpectationConfiguration
    success: bool
    rows: pl.DataFrame
    checked: int = 0
    missing: int = 0
    examples: tuple[Any, ...] = ()
    observed: Any = None
    judged: int | None = None

    @property
    def rule(self) -> str:
        return str(self.expectation.meta["rule"])

    @property
    def column(self) -> str | None:
        """The column of the source that the rule is about; None of a rule across columns."""
        column: str | None = self.expectation.meta.get("column") or self.expectation.kwargs.get("column")
        return column

    @property
    def broken(self) -> int:
        """The number of rows that break the rule."""
        return self.rows.height


def schema_rules(dataset: Dataset, view: SourceView) -> Rules:
    """Returns the rules for a frame that holds the DuckDB types of every column as text, one row per type
    that a column has in some file: the types of the source are checked, not those of pandas.

    A column that some file lacks is not in the frame. A column with a rule on its type needs no rule that it
    exists: every rule costs time on every night.
    """
    typed = [
        (rule, name)
        for rule, names in typed_columns(dataset, view).items()
        for name in names
        if view.found.get(name) and name not in view.lacking
    ]
    untyped = [name for name in configured_columns(dataset) if name not in {name for _, name in typed}]
    exists = [
        _rule("expect_column_to_exist", "column_exists", "is in the partition", column=name)
        for name in untyped
    ]
    return exists + [
        _rule(
            "expect_column_values_to_match_regex",
            rule,
            f"is {TYPES[rule][1]}",
            column=name,
            regex=f"^{TYPES[rule][0]}$",
        )
        for rule, name in typed
    ]


def row_rules(dataset: Dataset, view: SourceView, day: date) -> Rules:
    """Returns the rules that concern one row at a time. In the checked frame, times are days after the
    partition's date, images are READABLE or UNREADABLE, and the exactness of an id is 1 or 0.
    """
    time, columns = dataset.columns.time, dataset.columns
    rules = []
    if time is not None:
        on_day = f"lies on {day} in {dataset.source.timezone} (values: days after it)"
        rules += [_not_null(time), _between("date_in_partition", on_day, time, 0, 0)]
    rules += [_fits(name, view) for name in checked_columns(dataset, view)]
    for role, name in (("id", columns.id), ("entity", columns.entity)):
        if name in view.types and any(map(may_be_inexact, view.found[name])):
            exact = "is a whole number that its type counts exactly (values: 1 if it is)"
            rules.append(_in_set("id_exact", exact, f"{EXACT}{role}", [1.0], name))
    for name, image in source_images(dataset, view).items():
        expected = (
            f"a PNG or JPEG of {image.height} x {image.width} pixels"
            if is_bytes(view.types[name])
            else f"{math.prod(image.shape):,} finite numbers"
        )
        rules += [_not_null(name), _in_set("image", f"is {expected}", name, [READABLE])]
    for name, rule in quality_rules(dataset).items():
        rules += _column_rules(
            name,
            rule,
            view,
            own_null_rule=name in (time, columns.id),
            private=name in columns.private,
        )
    features = () if dataset.features.sql else dataset.features.numeric
    floats = [
        name
        for name in dict.fromkeys([*features, *quality_rules(dataset)])
        if any(map(is_float, view.found[name]))
    ]
    return rules + [_finite(name, view) for name in floats]


def partition_rules(dataset: Dataset) -> Rules:
    """Returns the rules across all rows of the day, for a frame of one column: the id, as one number per
    distinct id.
    """
    min_rows, name = dataset.quality.min_rows, dataset.columns.id
    unique = "is unique: of the rows of an id, ordered by their content, the first stays"
    return [
        _rule(
            "expect_table_row_count_to_be_between",
            "min_rows",
            f"There are at least {min_rows:,} rows",
            min_value=min_rows,
        ),
        _not_null(name),
        _rule("expect_column_values_to_be_unique", "unique_id", unique, column=name),
    ]


Check = Callable[[pd.DataFrame, Rules, pl.DataFrame], tuple[RuleResult, ...]]


@contextmanager
def gate(day: date) -> Iterator[Check]:
    """Yields a function that checks rules on a frame and returns one result per rule. Its third argument
    holds the identity of each row of the frame.

    Every gate has a data source that no other one uses meanwhile: gates in several threads do not interfere.
    No frame outlives its gate; the data source does, since to make and delete one takes 0.2 s. The function
    raises PartitionRejected if a rule cannot be evaluated.
    """
    with _CONTEXT_LOCK:
        batch = _idle.pop() if _idle else _new_batch()
    try:
        yield partial(_check, batch, day)
    finally:
        batch.data_asset.datasource._execution_engine = None  # it holds the frames
        with _CONTEXT_LOCK:
            _idle.append(batch)


def merge(chunks: Iterable[tuple[RuleResult, ...]]) -> tuple[RuleResult, ...]:
    """Returns the results for a day from the results for its chunks."""
    return tuple(_merge_rule(parts) for parts in zip(*chunks, strict=True))


def _merge_rule(parts: Sequence[RuleResult]) -> RuleResult:
    return RuleResult(
        expectation=parts[0].expectation,
        success=all(part.success for part in parts),
        rows=pl.concat([part.rows for part in parts]),
        checked=sum(part.checked for part in parts),
        missing=sum(part.missing for part in parts),
        examples=tuple(value for part in parts for value in part.examples)[:EXAMPLES],
        judged=sum(part.judged or 0 for part in parts),
    )


def _new_batch() -> BatchDefinition[Any]:
    source = _context().data_sources.add_pandas(f"partition-{uuid4()}")
    return source.add_dataframe_asset("rows").add_batch_definition_whole_dataframe("rows")


@cache
def _context() -> EphemeralDataContext:
    """Returns the process's one context, in memory, which prints no progress and sends nothing."""
    # Frames up to this size in bytes are hashed for a marker that is not used here.
    pandas_execution_engine.HASH_THRESHOLD = 0
    config = DataContextConfig(
        store_backend_defaults=InMemoryStoreBackendDefaults(init_temp_docs_sites=False),
        progress_bars=ProgressBarsConfig(globally=False),
        analytics_enabled=False,
    )
    return gx.get_context(mode="ephemeral", project_config=config)


def _check(
    batch: BatchDefinition[Any], day: date, frame: pd.DataFrame, rules: Rules, identities: pl.DataFrame
) -> tuple[RuleResult, ...]:
    suite = gx.ExpectationSuite("partition", expectations=list(rules))
    outcomes = batch.get_batch({"dataframe": frame}).validate(suite, result_format=RESULT_FORMAT).results
    found = [_rule_result(outcome, day, identities) for outcome in outcomes]
    results = {(result.rule, result.expectation.kwargs.get("column")): result for result in found}
    # Great Expectations reorders its results.
    return tuple(results[rule.configuration.meta["rule"], getattr(rule, "column", None)] for rule in rules)


def _rule_result(outcome: ExpectationValidationResult, day: date, identities: pl.DataFrame) -> RuleResult:
    config, found = outcome.expectation_config, outcome.result
    assert config is not None
    result = RuleResult(
        expectation=config,
        success=bool(outcome.success),
        rows=identities[found.get("unexpected_index_list") or []],
        checked=found.get("element_count", 0),
        missing=found.get("missing_count", 0),
        examples=tuple(found.get("partial_unexpected_list", ())),
        observed=found.get("observed_value"),
        judged=found.get("element_count", 0),
    )
    if (outcome.exception_info or {}).get("raised_exception", True):
        # The message of Great Expectations is left out: it may quote values of a private column.
        name = result.column
        raise PartitionRejected(
            f"{day}: the rule {result.rule} of column {name} cannot be evaluated; fix quality.columns.{name}"
        )
    return result


def _column_rules(
    name: str, rule: ColumnRule, view: SourceView, own_null_rule: bool, private: bool
) -> list[Expectation]:
    rules = [] if rule.nullable or own_null_rule else [_not_null(name)]
    if rule.min is not None or rule.max is not None:
        limits = [
            f"at least {rule.min:,g}" if rule.min is not None else "",
            f"at most {rule.max:,g}" if rule.max is not None else "",
        ]
        rules.append(_between("range", f"is {' and '.join(filter(None, limits))}", name, rule.min, rule.max))
    if rule.allowed is not None:
        values = f"{len(rule.allowed)} allowed values" if private else ", ".join(map(str, rule.allowed))
        texts = configured_texts(rule.allowed, view.found[name])
        rules.append(_in_set("allowed", f"is one of {values}", f"{CANONICAL}{name}", texts, name))
    return rules


def _rule(kind: str, name: str, description: str, **arguments: Any) -> Expectation:
    return get_expectation_impl(kind)(meta={"rule": name}, description=description, **arguments)


def _not_null(column: str) -> Expectation:
    return _rule(
        "expect_column_values_to_not_be_null", "not_null", "is never null (NaN counts as null)", column=column
    )


def _finite(column: str, view: SourceView) -> Expectation:
    if all(map(is_number_or_boolean, view.found[column])):
        return _between("finite", "is finite", column, -float_info.max, float_info.max)
    # Some files hold floats and others text, so that the checked values are text.
    kind, infinite = "expect_column_values_to_not_be_in_set", list(INFINITE)
    return _about(
        _rule(kind, "finite", "is finite", column=f"{CANONICAL}{column}", value_set=infinite), column
    )


def _fits(column: str, view: SourceView) -> Expectation:
    kind = ", ".join(map(str, view.found[column]))
    return _in_set(
        "fits_type", f"fits its type {kind} (values: 1 if it does)", f"{FITS}{column}", [1.0], column
    )


def _between(name: str, description: str, column: str, low: float | None, high: float | None) -> Expectation:
    kind = "expect_column_values_to_be_between"
    return _rule(kind, name, description, column=column, min_value=low, max_value=high)


def _in_set(
    name: str, description: str, column: str, values: list[Any], source_column: str | None = None
) -> Expectation:
    """source_column: the column of the source that the checked column is computed from."""
    kind = "expect_column_values_to_be_in_set"
    rule = _rule(kind, name, description, column=column, value_set=values)
    return rule if source_column is None else _about(rule, source_column)


def _about(rule: Expectation, column: str) -> Expectation:
    assert rule.meta is not None
    rule.meta["column"] = column
    return rule
