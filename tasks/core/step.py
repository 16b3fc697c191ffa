"""The steps of a flow: Prefect tasks inside a flow run, outside of one plain functions with the same
retries.
"""

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import update_wrapper
from typing import Any, Generic, ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")


@dataclass(frozen=True)
class Retries:
    """How often a step is tried again, after how many seconds each time, and after which errors."""

    attempts: int = 0
    delay_seconds: float = 0.0
    errors: tuple[type[Exception], ...] = (Exception,)


class Step(Generic[P, R]):
    """A function that a flow calls as one of its steps. plain: the function itself."""

    def __init__(self, plain: Callable[P, R], retries: Retries) -> None:
        self.plain = plain
        self.retries = retries
        update_wrapper(self, plain)

    @property
    def name(self) -> str:
        """What the step is called in Prefect and in the ledger's durations."""
        return self.plain.__name__

    def with_retries(self, retries: Retries) -> "Step[P, R]":
        """The same step, tried again by another rule."""
        return Step(self.plain, retries)

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        if in_flow_run():
            result: R = self._as_task()(*args, **kwargs)
            return result
        for _ in range(self.retries.attempts):
            try:
                return self.plain(*args, **kwargs)
            except self.retries.errors:
                time.sleep(self.retries.delay_seconds)
        return self.plain(*args, **kwargs)

    def _as_task(self) -> Any:
        from prefect import task
        from prefect.cache_policies import NO_CACHE

        return task(
            name=self.name,
            cache_policy=NO_CACHE,
            retries=self.retries.attempts,
            retry_delay_seconds=self.retries.delay_seconds,
            retry_condition_fn=_condition(self.retries) if self.retries.attempts else None,
        )(self.plain)


def step(function: Callable[P, R]) -> Step[P, R]:
    """A function as a step of a flow, which is not tried again unless the flow says so."""
    return Step(function, Retries())


def in_flow_run() -> bool:
    """Whether a Prefect flow or task run is under way; Prefect is not imported to find out."""
    context = sys.modules.get("prefect.context")
    return bool(context and (context.FlowRunContext.get() or context.TaskRunContext.get()))


def _condition(retries: Retries) -> Callable[[Any, Any, Any], bool]:
    """The rule as Prefect takes it: a function of a task, its run and its state; it calls no bound method."""

    def may_retry(task: Any, run: Any, state: Any) -> bool:
        try:
            state.result()
        except retries.errors:
            return True
        except Exception:
            return False
        return False

    return may_retry
