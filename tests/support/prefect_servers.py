"""A Prefect server that all processes of a pytest session share: each start of one takes as long as several
nights.
"""

import fcntl
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx

START_SECONDS = 240
# What a server would do by itself every few seconds, no test waits for.
IDLE_SERVICES = (
    "CANCELLATION_CLEANUP",
    "CLEANUP_RECONCILER",
    "FOREMAN",
    "LATE_RUNS",
    "PAUSE_EXPIRATIONS",
    "REPOSSESSOR",
)
UNTIL_NOBODY_HOLDS_THE_PIPE = '"$@" & server=$!; cat "$0" > /dev/null; kill $server; wait'


@contextmanager
def shared_server(folder: Path) -> Iterator[str]:
    """Yields the API address of the server of the processes that share the folder. The first of them starts
    it, and it ends after the last one, however that ends.
    """
    pipe, address = folder / "prefect.pipe", folder / "prefect.address"
    with (folder / "prefect.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            held = os.open(pipe, os.O_WRONLY | os.O_NONBLOCK)
        except OSError:  # there is no server, or it has ended
            held = _start(pipe, address)
    try:
        yield address.read_text()
    finally:
        os.close(held)


def _start(pipe: Path, address: Path) -> int:
    """Starts a server with a database of its own; returns the held end of the pipe."""
    from prefect.server.api.server import SubprocessASGIServer

    port = SubprocessASGIServer().find_available_port()
    database = Path(tempfile.mkdtemp(dir=pipe.parent, prefix="prefect-")) / "server.db"
    settings = {
        "PREFECT_SERVER_DATABASE_CONNECTION_URL": f"sqlite+aiosqlite:///{database}",
        "PREFECT_UI_ENABLED": "0",
        "PREFECT__SERVER_EPHEMERAL": "1",
        "PREFECT__SERVER_FINAL": "1",
    } | {f"PREFECT_SERVER_SERVICES_{name}_ENABLED": "0" for name in IDLE_SERVICES}
    application = ["--factory", "prefect.server.api.server:create_app"]
    server = [sys.executable, "-m", "uvicorn", *application, "--port", str(port), "--log-level", "error"]
    pipe.unlink(missing_ok=True)
    os.mkfifo(pipe)
    subprocess.Popen(
        ["/bin/sh", "-c", UNTIL_NOBODY_HOLDS_THE_PIPE, pipe, *server],
        env=os.environ | settings,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        start_new_session=True,
    )
    held = os.open(pipe, os.O_WRONLY)
    address.write_text(f"http://127.0.0.1:{port}/api")
    _await(f"http://127.0.0.1:{port}/api/health")
    return held


def _await(health: str) -> None:
    until = time.monotonic() + START_SECONDS
    with httpx.Client() as client:
        while time.monotonic() < until:
            with suppress(httpx.TransportError):
                if client.get(health).is_success:
                    return
            time.sleep(0.2)
    raise TimeoutError(f"no Prefect server at {health}")
