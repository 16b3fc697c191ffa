"""The plain functions behind the flows score the same night as the flows, and retry by themselves."""

import pytest
from banks import NIGHT, Bank
from tables import TABLES, tables

from tasks.core.step import Retries, step

pytestmark = pytest.mark.slow


@pytest.mark.usefixtures("prefect_server")
def test_a_night_as_a_flow_produces_the_tables_of_the_plain_function(bank: Bank, scored_bank: Bank) -> None:
    from flows.serving.deployments import nightly

    assert nightly(bank.config, NIGHT).status == "committed"
    found, expected = tables(bank), tables(scored_bank)
    assert {name: found[name].equals(expected[name]) for name in TABLES} == dict.fromkeys(TABLES, True)


def test_a_step_outside_a_flow_run_is_tried_again_after_the_listed_errors() -> None:
    calls: list[int] = []

    @step
    def fails_twice(error: Exception) -> int:
        calls.append(1)
        if len(calls) < 3:
            raise error
        return len(calls)

    retried = fails_twice.with_retries(Retries(2, 0.0, (OSError,)))
    assert retried(OSError("not yet")) == 3
    calls.clear()
    with pytest.raises(ValueError, match="wrong"):
        retried(ValueError("wrong"))
    assert len(calls) == 1
