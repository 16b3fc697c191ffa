"""The steps of a flow: Prefect tasks inside a flow run, and plain functions with the same retries outside of
one.
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
    """attempts: how often a failed step is tried again. delay_seconds: wait before each attempt. errors: the
    exceptions after which it is tried again.
    """

    attempts: int = 0
    delay_seconds: float = 0.0
    errors: tuple[type[Exception], ...] = (Exception,)


class Step(Generic[P, R]):
    """A function that a flow calls as one of its steps.

    plain: the function itself. retries: when to try it again.
    """

    def __init__(self, plain: Callable[P, R], retries: Retries) -> None:
        self.plain = plain
        self.retries = retries
        update_wrapper(self, plain)

    @property
    def name(self) -> str:
        """The name of the step in Prefect and in the ledger's durations."""
        return self.plain.__name__

    def with_retries(self, retries: Retries) -> "Step[P, R]":
        """Returns the same step with other retries."""
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
    """Makes a function a step of a flow, without retries unless the flow sets some."""
    return Step(function, Retries())


def in_flow_run() -> bool:
    """Whether the caller runs in a Prefect flow or task; does not import Prefect."""
    context = sys.modules.get("prefect.context")
    return bool(context and (context.FlowRunContext.get() or context.TaskRunContext.get()))


def flow_run_id() -> str | None:
    """Returns the id of the current Prefect flow run; None outside of one. Does not import Prefect."""
    if not in_flow_run():
        return None
    from prefect.runtime import flow_run

    return str(flow_run.id) if flow_run.id else None


def _condition(retries: Retries) -> Callable[[Any, Any, Any], bool]:
    """Returns the retry condition that Prefect expects: a function of a task, its run and its state, which
    calls no bound method.
    """

    def may_retry(task: Any, run: Any, state: Any) -> bool:
        try:
            state.result()
        except retries.errors:
            return True
        except Exception:
            return False
        return False

    return may_retry
