"""Late scheduled nights do not stampede: the first one that runs takes the dates of all that are due."""

import json
import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import IO

from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import (
    FlowRunFilter,
    FlowRunFilterDeploymentId,
    FlowRunFilterExpectedStartTime,
    FlowRunFilterState,
    FlowRunFilterStateType,
)
from prefect.client.schemas.objects import FlowRun, StateType
from prefect.context import FlowRunContext
from prefect.runtime import flow_run
from prefect.states import Cancelled
from prefect.types._datetime import now

from tasks.core.errors import Overtaken
from tasks.core.file_lock import locked

log = logging.getLogger(__name__)
# its content: the run that has the turn, and the newest scheduled start that it stands in for
FILE = "schedule.lock"
BEGUN = (StateType.PENDING, StateType.RUNNING)


@contextmanager
def coalesced(files: Path) -> Iterator[datetime]:
    """Gives the newest scheduled start that this flow run stands in for: its own, or that of a later run
    which is due as well.

    Those runs are cancelled, and say by which one they were overtaken. A run that nobody overtakes waits
    until it is its turn.
    files: the dataset's folder. Raises Overtaken where the run that has the turn stands in for this one.
    """
    own = flow_run.scheduled_start_time
    with _waited_for(files / FILE, own) as lock:
        newest = max([own, *map(_start, _due())])
        lock.write(json.dumps({"run": flow_run.name, "until": newest.isoformat()}))
        lock.flush()
        for run in _due(StateType.SCHEDULED):
            if _start(run) <= newest:
                _cancel(run)
        yield newest


@contextmanager
def _waited_for(path: Path, own: datetime) -> Iterator[IO[str]]:
    path.parent.mkdir(parents=True, exist_ok=True)
    told = False
    while (lock := locked(path)) is None:
        holder = _read(path)
        if holder and datetime.fromisoformat(holder["until"]) >= own:
            raise Overtaken(f"overtaken by {holder['run']}, which scores every date that is missing by then")
        if not told:
            log.info(
                "waiting for %s, which has the turn",
                holder["run"] if holder else "the run that has the turn",
            )
            told = True
        time.sleep(1)
    with lock:
        lock.truncate(0)
        yield lock


def _read(path: Path) -> dict[str, str] | None:
    """What the run that has the turn has written; None where it has not yet."""
    try:
        content: dict[str, str] = json.loads(path.read_text(encoding="utf-8"))
        return content
    except ValueError:
        return None


def _due(*states: StateType) -> list[FlowRun]:
    """The other runs of this deployment whose scheduled start has come and which name no date themselves, in
    these states.

    Unless given, the states are those of runs that are not at their end. The oldest 200 of them, which is as
    many as Prefect gives.
    """
    context = FlowRunContext.get()
    own = context.flow_run if context else None
    if own is None or own.deployment_id is None:
        return []
    due = FlowRunFilter(
        deployment_id=FlowRunFilterDeploymentId(any_=[own.deployment_id]),
        state=FlowRunFilterState(
            type=FlowRunFilterStateType(any_=list(states or (StateType.SCHEDULED, *BEGUN)))
        ),
        expected_start_time=FlowRunFilterExpectedStartTime(before_=now("UTC")),
    )
    with get_client(sync_client=True) as client:
        found = client.read_flow_runs(flow_run_filter=due)
    return [run for run in found if run.id != own.id and not run.parameters.get("day")]


def _start(run: FlowRun) -> datetime:
    assert run.expected_start_time is not None
    return run.expected_start_time


def _cancel(run: FlowRun) -> None:
    message = f"overtaken by {flow_run.name}, which scores every date that is missing by then"
    with get_client(sync_client=True) as client:
        client.set_flow_run_state(run.id, Cancelled(message=message))
    log.info("the run of %s is cancelled: %s", _start(run).isoformat(timespec="minutes"), message)
