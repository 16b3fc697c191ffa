"""A Prefect server on this machine, for whoever has none: one for as long as somebody serves, or Prefect's
temporary one.
"""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from threading import Thread

from flows.errors import ServingError

HOST, PORT = "127.0.0.1", 4200  # where Prefect's own commands look for a server
START_SECONDS, END_SECONDS = 300, 20


@contextmanager
def local_server(port: int | None) -> Iterator[str]:
    """A server with its scheduler and its interface; gives its address. Nothing outside this machine is
    asked.

    port: unless given, Prefect's own where it is free, else any. Raises ServingError where the port is taken
    or the server does not start.
    """
    if port and not _is_free(port):
        raise ServingError(
            f"port {port} is taken; mend schedule.port, or name the server that listens there in "
            "$PREFECT_API_URL"
        )
    port = port or next(free for free in (PORT, _any_port()) if _is_free(free))
    command = [
        sys.executable,
        "-m",
        "prefect",
        "server",
        "start",
        "--host",
        HOST,
        "--port",
        str(port),
        "--log-level",
        "ERROR",
    ]
    # A session of its own: Ctrl-C is for us alone, and the server outlives the runs that report to it.
    process = subprocess.Popen(  # noqa: S603 (no outside input)
        command, stdout=subprocess.DEVNULL, stdin=subprocess.DEVNULL, start_new_session=True
    )
    try:
        _await(process, f"http://{HOST}:{port}")
        yield f"http://{HOST}:{port}"
    finally:
        _end(process)


def _await(process: "subprocess.Popen[bytes]", address: str) -> None:
    import httpx  # takes longer to import than the rest of the command line

    until = time.monotonic() + START_SECONDS
    while process.poll() is None and time.monotonic() < until:
        try:
            if httpx.get(f"{address}/api/health").is_success:
                return
        except httpx.TransportError:
            time.sleep(0.2)
    raise ServingError(
        f"the Prefect server at {address} did not start; try `prefect server start`, and name it in "
        "$PREFECT_API_URL"
    )


def _end(process: "subprocess.Popen[bytes]") -> None:
    for sign in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, sign)
            process.wait(END_SECONDS)
        except ProcessLookupError:
            break
        except subprocess.TimeoutExpired:
            continue
    process.wait()


def _is_free(port: int) -> bool:
    with socket.socket() as tried:
        tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        return tried.connect_ex((HOST, port)) != 0


def _any_port() -> int:
    with socket.socket() as found:
        found.bind((HOST, 0))
        return int(found.getsockname()[1])


@contextmanager
def starting_server() -> Iterator[None]:
    """Prefect's temporary server starts while the block imports; with $PREFECT_API_URL nothing is started."""
    thread = Thread(target=_connect, daemon=True)
    thread.start()
    yield
    thread.join()


def _connect() -> None:
    from prefect.client.orchestration import get_client

    with suppress(Exception):  # the flow's own first call meets the same trouble, and tells
        get_client(sync_client=True)
