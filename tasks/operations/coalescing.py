"""Coalesces late scheduled nights: the first one that runs replaces all that are due."""

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
# Holds the active run, and the newest scheduled start that it replaces.
FILE = "schedule.lock"
BEGUN = (StateType.PENDING, StateType.RUNNING)


@contextmanager
def coalesce_late_runs(files: Path) -> Iterator[datetime]:
    """Yields the newest scheduled start among this flow run and the other runs that are due; this run then
    replaces those runs.

    The other runs are cancelled with a message that names this one. One run of the dataset is active at a
    time; a run that the active one does not replace waits for it to end.
    files: the dataset's folder. Raises Overtaken if the active run replaces this one.
    """
    own = flow_run.scheduled_start_time
    with _active_run_lock(files / FILE, own) as lock:
        newest = max([own, *map(_start, _due())])
        lock.write(json.dumps({"run": flow_run.name, "until": newest.isoformat()}))
        lock.flush()
        for run in _due(StateType.SCHEDULED):
            if _start(run) <= newest:
                _cancel(run)
        yield newest


@contextmanager
def _active_run_lock(path: Path, own: datetime) -> Iterator[IO[str]]:
    """Yields the locked file, emptied, after waiting for the run that holds it; raises Overtaken if that run
    replaces the one whose scheduled start is `own`.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    is_logged = False
    while (lock := locked(path)) is None:
        holder = _read(path)
        if holder and datetime.fromisoformat(holder["until"]) >= own:
            raise Overtaken(_replaced_by(holder["run"]))
        if not is_logged:
            log.info("waiting until %s ends", holder["run"] if holder else "the active run")
            is_logged = True
        time.sleep(1)
    with lock:
        lock.truncate(0)
        yield lock


def _read(path: Path) -> dict[str, str] | None:
    """Returns what the active run has written to the file; None if it has not written yet."""
    try:
        content: dict[str, str] = json.loads(path.read_text(encoding="utf-8"))
        return content
    except ValueError:
        return None


def _due(*states: StateType) -> list[FlowRun]:
    """Returns the other runs of this deployment that are past their scheduled start, have no `day` parameter
    and are in one of these states; by default, those that have not finished.

    These are the oldest 200, which is Prefect's limit.
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
    message = _replaced_by(flow_run.name)
    with get_client(sync_client=True) as client:
        client.set_flow_run_state(run.id, Cancelled(message=message))
    log.info("cancelled the run of %s: %s", _start(run).isoformat(timespec="minutes"), message)


def _replaced_by(run: str) -> str:
    return f"replaced by {run}, which scores every missing date up to its own"
