"""Prefect's server, where none is configured: it takes as long to start as the libraries take to load, so both at once."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from threading import Thread


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
