"""Liveness of flow runs: each locks its own file while it runs, so an unlocked file shows that its run was
killed; that run is then marked Crashed.
"""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from socket import gethostname
from typing import IO
from uuid import UUID

from tasks.core.file_lock import locked
from tasks.core.step import flow_run_id

log = logging.getLogger(__name__)
FOLDER = "running"


@contextmanager
def track_run(files: Path) -> Iterator[None]:
    """Marks killed flow runs Crashed, then holds the lock of the current flow run until the block ends; does
    nothing outside of a flow run.

    files: the dataset's folder, which all machines that run its flows share.
    """
    run_id = flow_run_id()
    if run_id is None:
        yield
        return
    mark_crashed(files)
    lock = _announce(files / FOLDER, run_id)
    if lock is None:  # its caller tracks it already
        yield
        return
    with lock:
        try:
            yield
        finally:
            (files / FOLDER / run_id).unlink(missing_ok=True)


def mark_crashed(files: Path) -> list[str]:
    """Marks every flow run Crashed whose process was killed, and returns their ids.

    If the Prefect server does not answer, the next run tries again.
    """
    killed = [path for path in sorted((files / FOLDER).glob("[!.]*")) if path.name != flow_run_id()]
    return [path.name for path in killed if _mark_if_dead(path)]


def _announce(folder: Path, name: str) -> IO[str] | None:
    """Creates the run's file and returns it locked; None if this run has locked it already.

    The file is locked under a temporary name and then renamed, so no process ever sees it unlocked.
    """
    path, new = folder / name, folder / f".{name}"
    if path.exists():
        return locked(path)
    folder.mkdir(parents=True, exist_ok=True)
    lock = locked(new)
    assert lock is not None
    lock.write(f"process {os.getpid()} on {gethostname()}")
    lock.flush()
    new.rename(path)
    return lock


def _mark_if_dead(path: Path) -> bool:
    import httpx
    from prefect.exceptions import PrefectException

    try:
        lock = locked(path)
        if lock is None:
            return False
        with lock:
            lock.seek(0)
            marked = _mark_run(UUID(path.name), lock.read() or "its process")
            path.unlink()
        return marked
    except FileNotFoundError:  # the run has just ended, or another process has marked it
        return False
    except (httpx.HTTPError, PrefectException) as error:
        log.info(
            "the flow run %s was killed, but Prefect could not mark it Crashed: %s",
            path.name,
            type(error).__name__,
        )
        return False


def _mark_run(run_id: UUID, process: str) -> bool:
    """Marks a run Crashed unless it has finished or is unknown to the server; returns whether it did."""
    from prefect.client.orchestration import get_client
    from prefect.exceptions import ObjectNotFound
    from prefect.states import Crashed

    with get_client(sync_client=True) as client:
        try:
            run = client.read_flow_run(run_id)
        except ObjectNotFound:  # deleted, or a run of another server
            return False
        if run.state and run.state.is_final():
            return False
        client.set_flow_run_state(
            run_id, Crashed(message=f"Killed: {process} ended before the run did"), force=True
        )
    log.info("%s was killed: %s ended before it did; it is now marked Crashed", run.name, process)
    return True
