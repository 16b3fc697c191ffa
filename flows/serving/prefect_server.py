"""A local Prefect server, if $PREFECT_API_URL names none: one that runs as long as `nightscore serve`, or
Prefect's temporary one for a single command.
"""

import os
import signal
import socket
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import NamedTemporaryFile
from threading import Thread

from flows.errors import ServingError

HOST, PORT = "127.0.0.1", 4200  # where Prefect's own commands look for a server
START_SECONDS, END_SECONDS = 300, 20
WATCH = """
import os, signal, sys, time
sys.stdin.read()  # ends when the process that holds the other end of the pipe does, however it ends
for sign in (signal.SIGTERM, signal.SIGKILL):
    try:
        os.kill(int(sys.argv[1]), sign)
    except ProcessLookupError:
        break
    time.sleep(5)
"""
_watchers: list["subprocess.Popen[bytes]"] = []  # a watcher acts when its end of the pipe is closed


@contextmanager
def local_server(port: int | None) -> Iterator[str]:
    """Starts a server with its scheduler and web interface, yields its address and stops it at the end.

    It contacts no other machine. port: by default Prefect's usual port if that is free, else any free port.
    Raises ServingError if the port is taken or the server does not start.
    """
    if port and not _is_free(port):
        raise ServingError(
            f"port {port} is taken; change schedule.port, or set $PREFECT_API_URL to the server that listens "
            "there"
        )
    _require_home()
    _bypass_proxy()
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
    # In a new session, so that Ctrl-C does not reach it and it outlives the runs that report to it.
    process = subprocess.Popen(  # noqa: S603 (no outside input)
        command, stdout=subprocess.DEVNULL, stdin=subprocess.DEVNULL, start_new_session=True
    )
    _watch(process.pid, group=True)
    try:
        _await(process, f"http://{HOST}:{port}")
        yield f"http://{HOST}:{port}"
    finally:
        _end(process)


def _require_home() -> None:
    """Raises ServingError where Prefect's home cannot be written: its server would try again without end."""
    home = Path(os.environ.get("PREFECT_HOME", "~/.prefect")).expanduser()
    try:
        home.mkdir(parents=True, exist_ok=True)
        with NamedTemporaryFile(dir=home):
            pass
    except OSError as error:
        raise ServingError(
            f"Prefect cannot write its home {home}: {error.strerror or error}; set $PREFECT_HOME to a folder "
            "that it can write"
        ) from error


def _bypass_proxy() -> None:
    """Has every client of this process and its children reach this machine directly: a proxy would not."""
    for name in ("NO_PROXY", "no_proxy"):
        excepted = [host for host in os.environ.get(name, "").split(",") if host]
        os.environ[name] = ",".join(dict.fromkeys([*excepted, HOST, "localhost"]))


def _watch(pid: int, *, group: bool = False) -> None:
    """Ends a server when this process has ended, even if it was killed; the server itself would run on.

    group: whether its whole process group is ended, which it leads.
    """
    watcher = subprocess.Popen(  # noqa: S603 (no outside input)
        [sys.executable, "-S", "-E", "-c", WATCH, str(-pid if group else pid)],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,  # Ctrl-C does not reach it
    )
    _watchers.append(watcher)


def _watch_temporary() -> None:
    """Watches Prefect's temporary server as soon as it has a process."""
    from prefect.server.api.server import SubprocessASGIServer

    until = time.monotonic() + START_SECONDS
    while time.monotonic() < until:
        process = SubprocessASGIServer().server_process
        if process is not None:
            _watch(process.pid)
            return
        time.sleep(0.05)


def _await(process: "subprocess.Popen[bytes]", address: str) -> None:
    import httpx  # slower to import than the rest of the command line

    until = time.monotonic() + START_SECONDS
    while process.poll() is None and time.monotonic() < until:
        try:
            if httpx.get(f"{address}/api/health").is_success:
                return
        except httpx.TransportError:
            time.sleep(0.2)
    raise ServingError(
        f"the Prefect server at {address} did not start; run `prefect server start`, and set "
        "$PREFECT_API_URL to its address"
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


def is_api_configured() -> bool:
    """Returns whether Prefect's configuration names an API: the environment, a profile or a project's file.

    Prefect takes a second to import, so it is asked only where it is imported already, or where one of its
    files may name an API.
    """
    if "prefect.settings" in sys.modules or _may_name_an_api():
        from prefect.settings import PREFECT_API_URL

        return bool(PREFECT_API_URL.value())
    return bool(os.environ.get("PREFECT_API_URL"))


def _may_name_an_api() -> bool:
    home = Path(os.environ.get("PREFECT_HOME", "~/.prefect")).expanduser()
    profiles = Path(os.environ.get("PREFECT_PROFILES_PATH", home / "profiles.toml")).expanduser()
    try:
        stored = tomllib.loads(profiles.read_text(encoding="utf-8"))
        active = os.environ.get("PREFECT_PROFILE", stored.get("active"))
        if "PREFECT_API_URL" in stored.get("profiles", {}).get(active, {}):
            return True
    except (OSError, ValueError):
        pass
    return any(_mentions_prefect(Path(name)) for name in ("prefect.toml", "pyproject.toml", ".env"))


def _mentions_prefect(path: Path) -> bool:
    try:
        text = path.read_text(encoding="utf-8").lower()
    except (OSError, UnicodeDecodeError):
        return False
    return "prefect_api" in text or path.name == "prefect.toml" or "[tool.prefect" in text


@contextmanager
def starting_server() -> Iterator[None]:
    """Starts Prefect's temporary server in the background, to save time, while the block imports the flows.

    Starts nothing if $PREFECT_API_URL is set.
    """
    if is_api_configured():
        yield
        return
    _require_home()
    _bypass_proxy()
    thread = Thread(target=_connect, daemon=True)
    Thread(target=_watch_temporary, daemon=True).start()
    thread.start()
    yield
    thread.join()


def _connect() -> None:
    from prefect.client.orchestration import get_client

    with suppress(Exception):  # the flow's first call fails with the same error, and reports it
        get_client(sync_client=True)
