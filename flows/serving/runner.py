"""Serving: one process that runs the deployments of a dataset when the Prefect server schedules them."""

import asyncio
import signal
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
from prefect import Flow
from prefect.client.orchestration import get_client
from prefect.deployments.runner import RunnerDeployment
from prefect.exceptions import PrefectException
from prefect.runner import Runner
from prefect.schedules import Cron
from prefect.settings import PREFECT_API_URL
from prefect.types.entrypoint import EntrypointType
from pydantic import ValidationError

from flows.console import say
from flows.errors import ServingError, SettingsError
from flows.schedule import business_date
from flows.serving.deployments import backfill, evaluate, nightly, retrain
from flows.settings import Settings
from tasks.operations.liveness import mark_crashed

SERVED: tuple[Flow[..., Any], ...] = (nightly, retrain, backfill, evaluate)


class _Runner(Runner):
    """Ends on SIGTERM as on Ctrl-C. Prefect's own handler (3.8.8) leaves a coroutine that is never awaited,
    with a warning.
    """

    async def serve(self) -> None:
        self._serving = asyncio.current_task()
        signal.signal(signal.SIGTERM, self.handle_sigterm)
        say(f"Serving, until Ctrl-C. Prefect: {str(PREFECT_API_URL.value()).removesuffix('/api')}")
        await self.start()

    def handle_sigterm(self, *args: Any, **kwargs: Any) -> None:
        if self._serving:
            self._serving.get_loop().call_soon_threadsafe(self._serving.cancel)


def deployments(config: Path, settings: Settings) -> list[RunnerDeployment]:
    """Returns one deployment per flow, named after the dataset; only the nightly flow has a schedule.

    config: the file that the runs load. Raises SettingsError if Prefect rejects the schedule.
    """
    try:
        schedule = Cron(settings.schedule.cron, timezone=settings.schedule.timezone)
    except ValidationError as error:
        raise SettingsError(f"{config}: schedule: {error.errors()[0]['msg']}") from error
    return [
        RunnerDeployment.from_flow(
            flow,
            settings.name,
            schedule=schedule if flow is nightly else None,
            parameters={"config": str(config)},
            tags=[settings.name],
            entrypoint_type=EntrypointType.MODULE_PATH,
        )
        for flow in SERVED
    ]


def serve_dataset(config: Path, settings: Settings) -> None:
    """Marks killed runs Crashed, then serves the deployments until Ctrl-C or SIGTERM.

    The schedule continues while nothing serves. Its runs are then late, and the first one that is served
    replaces the others.
    Raises ServingError if the Prefect server does not answer.
    """
    served = deployments(config, settings)
    try:
        with get_client(sync_client=True) as client:
            client.hello().raise_for_status()
    except (httpx.HTTPError, PrefectException) as error:
        raise ServingError(
            f"the Prefect server at {PREFECT_API_URL.value()} does not answer ({type(error).__name__}); "
            "start it, or fix $PREFECT_API_URL"
        ) from error
    mark_crashed(settings.files)
    for deployment in served:
        say(
            f"{deployment.flow_name}/{deployment.name}: "
            f"{_when(settings) if deployment.schedules else 'on demand'}"
        )
    runner = _Runner(settings.name, pause_on_shutdown=False, limit=None)
    for deployment in served:
        runner.add_deployment(deployment)
    with suppress(KeyboardInterrupt, asyncio.CancelledError):
        asyncio.run(runner.serve())


def _when(settings: Settings) -> str:
    schedule = settings.schedule
    return (
        f"at {schedule.cron} ({schedule.timezone}); a night that starts now scores "
        f"{business_date(datetime.now(UTC), schedule)}"
    )
