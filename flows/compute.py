"""The section [compute]: where the dates of a backfill are scored, threads of this process or the workers of
a Dask cluster.
"""

import logging
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, Protocol, Self

from pydantic import Field, model_validator

from flows.errors import ComputeError, SettingsError
from models.settings import Section
from tasks.core.step import in_flow_run

if TYPE_CHECKING:
    from prefect.task_runners import TaskRunner


class ComputeSettings(Section):
    """How many dates a backfill scores at once, and where.

    With `address`, the workers of that Dask scheduler, whatever their number: they see the configuration, the
    source and `warehouse.files` under the same paths, and `${VAR}` in their own environment.
    """

    engine: Literal["local", "dask"] = "local"
    """local: threads of this process."""
    workers: int = Field(2, ge=1)
    """Threads, or processes of Dask on this machine."""
    address: str | None = None
    """Of a Dask scheduler, such as `tcp://scheduler:8786`."""

    @model_validator(mode="after")
    def _address_of_dask(self) -> Self:
        if self.address and self.engine != "dask":
            raise ValueError('address is of a Dask scheduler; set engine = "dask", or remove it')
        return self


class Staging(Protocol):
    """What a worker leaves of a date, once it is done; `result` waits for it, and raises what it raised."""

    def result(self) -> Any: ...


@dataclass(frozen=True)
class Workers:
    """submit: has a worker call a function with these arguments by name. at_once: how many dates the workers
    score at once; those of a Dask scheduler come and go.
    """

    submit: Callable[[Callable[..., Any], dict[str, Any]], Staging]
    at_once: Callable[[], int]


@contextmanager
def running(compute: ComputeSettings) -> Iterator[Workers]:
    """The workers, for the length of the block.

    Raises SettingsError where Dask is asked for and not installed, ComputeError where its workers cannot be
    had.
    """
    if compute.engine == "local" and not in_flow_run():
        with ThreadPoolExecutor(compute.workers) as pool:
            yield Workers(lambda function, given: pool.submit(function, **given), lambda: compute.workers)
        return
    if compute.engine == "local":
        from prefect.task_runners import ThreadPoolTaskRunner

        threads: TaskRunner[Any] = ThreadPoolTaskRunner(max_workers=compute.workers)
        with threads:
            yield Workers(partial(_submit, threads), lambda: compute.workers)
        return
    try:
        from prefect_dask.task_runners import DaskTaskRunner
    except ImportError as error:
        raise SettingsError(
            'compute.engine "dask" needs more packages: pip install nightscore[dask]'
        ) from error
    for name in ("distributed", "prefect.task_runner.dask", "prefect.prefect_dask.task_runners"):
        logging.getLogger(name).setLevel(
            logging.CRITICAL
        )  # a worker that is lost is replaced, and what it did is done again
    local = {
        "n_workers": compute.workers,
        "threads_per_worker": 1,
        "processes": True,
        "dashboard_address": None,
    }
    cluster = (
        {"address": compute.address}
        if compute.address
        else {"cluster_kwargs": local | {"silence_logs": logging.CRITICAL}}
    )
    with DaskTaskRunner(**cluster) as runner:
        try:
            client = (
                runner.client
            )  # made when it is asked for: it connects to the scheduler, or starts a cluster
        except (OSError, RuntimeError) as error:
            what = (
                f"the scheduler at {compute.address}"
                if compute.address
                else f"a cluster of {compute.workers} processes"
            )
            raise ComputeError(
                f"Dask: {what} cannot be had: {error}; see [compute], then run again"
            ) from error
        yield Workers(partial(_submit, runner), lambda: max(1, sum(client.nthreads().values())))


def _submit(runner: "TaskRunner[Any]", function: Callable[..., Any], given: dict[str, Any]) -> Staging:
    """Submits the function as a Prefect task of the current flow run."""
    from prefect import task
    from prefect.cache_policies import NO_CACHE

    name = function.__name__.replace("_", "-")
    submitted: Staging = runner.submit(task(name=name, cache_policy=NO_CACHE)(function), given)
    return submitted
