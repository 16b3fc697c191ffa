"""The section [compute]: where the dates of a backfill are scored, threads of this process or the workers of a Dask cluster."""

import logging
from typing import TYPE_CHECKING, Any, Literal, Self

from pydantic import Field, model_validator

from flows.errors import SettingsError
from models.settings import Section

if TYPE_CHECKING:
    from prefect.task_runners import TaskRunner


class ComputeSettings(Section):
    """How many dates a backfill scores at once, and where.

    With `address`, the workers of that Dask scheduler, whatever their number: they see the configuration, the source and
    `warehouse.files` under the same paths, and `${VAR}` in their own environment. Without it, `workers` processes of this machine.
    """

    engine: Literal["local", "dask"] = "local"
    workers: int = Field(2, ge=1)
    address: str | None = None  # of a Dask scheduler, such as tcp://scheduler:8786

    @model_validator(mode="after")
    def _address_of_dask(self) -> Self:
        if self.address and self.engine != "dask":
            raise ValueError('address is of a Dask scheduler; set engine = "dask", or remove it')
        return self


def runner_of(compute: ComputeSettings) -> "TaskRunner[Any]":
    """The task runner, to be entered. Raises SettingsError where Dask is asked for and not installed."""
    if compute.engine == "local":
        from prefect.task_runners import ThreadPoolTaskRunner

        return ThreadPoolTaskRunner(max_workers=compute.workers)
    try:
        from prefect_dask.task_runners import DaskTaskRunner
    except ImportError as error:
        raise SettingsError('compute.engine "dask" needs more packages: pip install nightscore[dask]') from error
    for name in ("distributed", "prefect.task_runner.dask", "prefect.prefect_dask.task_runners"):
        logging.getLogger(name).setLevel(logging.CRITICAL)  # a worker that is lost is replaced, and what it did is done again
    if compute.address:
        return DaskTaskRunner(address=compute.address)
    local = {"n_workers": compute.workers, "threads_per_worker": 1, "processes": True, "dashboard_address": None}
    return DaskTaskRunner(cluster_kwargs=local | {"silence_logs": logging.CRITICAL})
