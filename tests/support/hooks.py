"""A webhook's other end: a real HTTP server on a free port, which answers as a test tells it to and keeps
what it got.
"""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

SECRET = "T0/B0/s3cr3t-t0k3n"


@dataclass
class Hook:
    """answers: (status, headers) of the next requests, the last one for all that follow; status 0 hangs, -1
    trickles.
    """

    port: int = 0
    answers: list[tuple[int, dict[str, str]]] = field(default_factory=lambda: [(200, {})])
    got: list[bytes] = field(default_factory=list)
    ended: threading.Event = field(default_factory=threading.Event)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/services/{SECRET}"

    @property
    def bodies(self) -> list[dict[str, Any]]:
        return [json.loads(body) for body in self.got]

    def next_answer(self) -> tuple[int, dict[str, str]]:
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


@contextmanager
def listening(*statuses: int, **headers: str) -> Iterator[Hook]:
    """A hook that answers these in turn; each with the same headers, whose names are written with _ for -."""
    hook = Hook()
    if statuses:
        hook.answers = [
            (status, {name.replace("_", "-"): value for name, value in headers.items()})
            for status in statuses
        ]

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            hook.got.append(self.rfile.read(int(self.headers["content-length"])))
            status, sent = hook.next_answer()
            if status == 0:
                hook.ended.wait(20)
            elif status == -1:
                self._trickle()
            else:
                self.send_response(status)
                for name, value in ({"content-length": "0"} | sent).items():
                    self.send_header(name, value)
                self.end_headers()

        do_GET = do_POST

        def _trickle(self) -> None:
            self.wfile.write(b"HTTP/1.1 200 OK\r\nx: ")
            while not hook.ended.is_set():
                try:
                    self.wfile.write(b"x")
                    self.wfile.flush()
                except OSError:
                    return
                time.sleep(0.05)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        hook.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield hook
        finally:
            hook.ended.set()
            server.shutdown()
            thread.join()
