"""The gate: Great Expectations checks the rules of a partition, and tells the rows that break them.

It gets pandas frames of NumPy columns, float64 for numbers and times, objects for text; Arrow-backed columns
would be 13 times slower.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from functools import cache, partial
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
from great_expectations.expectations.expectation_configuration import ExpectationConfiguration

from tasks.core.errors import PartitionRejected
from tasks.validation.rules import Rules

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
