"""Posts to webhooks within a fixed time, with no address in any log, message or error.

The retries are our own: httpx-retries has no deadline across attempts.
"""

import importlib
import logging
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

from tasks.core.errors import first_line
from tasks.notifications.settings import NotifySettings, Webhook

if TYPE_CHECKING:
    import httpx

THREAD = "nightscore-webhook"
FIRST_PAUSE = 0.5  # seconds; each later pause is twice as long
HTTP_LOGGERS = (
    "httpx",
    "httpcore.connection",
    "httpcore.http11",
    "httpcore.http2",
    "httpcore.proxy",
    "httpcore.socks",
)


@dataclass(frozen=True)
class Post:
    """A message for one webhook. name: the webhook's position and host, for messages."""

    name: str
    webhook: Webhook
    body: bytes


@dataclass(frozen=True)
class Answer:
    """The result of a post. outcome: in words, without the address."""

    name: str
    delivered: bool
    outcome: str


@dataclass(frozen=True)
class Attempt:
    """The result of one request. outcome: in words, without the address.

    retry: whether another request may succeed. pause: seconds to wait before it, if the server sets them.
    """

    delivered: bool
    outcome: str
    retry: bool = False
    pause: float | None = None


def deliver(posts: Sequence[Post], settings: NotifySettings) -> list[Answer]:
    """Posts to all webhooks in parallel, and returns their answers within `timeout_seconds`.

    Raises nothing because of a webhook.
    """
    if posts:
        importlib.import_module("httpx")  # before the deadline is set: the time is for the network
    deadline = time.monotonic() + settings.timeout_seconds
    answers: dict[str, Answer] = {}

    def post(one: Post) -> None:
        answers[one.name] = _post_with_retries(one, settings, deadline)

    # No timeout covers the look-up of a name, or a server that answers one byte at a time: a thread that is
    # not done in time is left behind.
    threads = [threading.Thread(target=post, args=(one,), name=THREAD, daemon=True) for one in posts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))
    late = f"no answer within {settings.timeout_seconds:g} s"
    return [answers.get(one.name) or Answer(one.name, False, late) for one in posts]


def _post_with_retries(post: Post, settings: NotifySettings, deadline: float) -> Answer:
    """Posts again, after growing pauses, while that may help and time is left."""
    share = settings.timeout_seconds / (settings.retries + 1)
    for number in range(1, settings.retries + 2):
        attempt = _attempt(post.webhook, post.body, min(share, max(0.01, deadline - time.monotonic())))
        pause = FIRST_PAUSE * 2 ** (number - 1) if attempt.pause is None else attempt.pause
        if not attempt.retry or number > settings.retries or time.monotonic() + pause >= deadline:
            break
        time.sleep(pause)
    outcome = attempt.outcome if number == 1 else f"{attempt.outcome} (attempt {number})"
    return Answer(post.name, attempt.delivered, outcome)


def _attempt(webhook: Webhook, body: bytes, timeout: float) -> Attempt:
    """Sends one request. It follows no redirect: the body is for the configured address only."""
    import httpx  # takes longer to import than the rest of the command line

    _silence_http_logs()
    headers = {"content-type": "application/json"}
    try:
        with (
            httpx.Client(timeout=timeout, follow_redirects=False) as client,
            client.stream("POST", webhook.url.get_secret_value(), content=body, headers=headers) as response,
        ):
            return _read_response(response)
    except httpx.TimeoutException:
        return Attempt(False, f"no answer within {timeout:.1f} s", retry=True)
    except httpx.ConnectError as error:
        return Attempt(False, f"cannot be reached: {first_line(error)}", retry=True)
    except httpx.TransportError as error:
        return Attempt(False, f"the connection broke ({type(error).__name__})", retry=True)
    except Exception as error:  # its message may hold the address
        return Attempt(False, f"unexpected {type(error).__name__}")


def _read_response(response: "httpx.Response") -> Attempt:
    status = response.status_code
    if response.is_success:
        return Attempt(True, f"answered {status}")
    if response.is_redirect:
        return Attempt(False, f"answered {status}; a redirect is not followed")
    busy = status == 429 or response.is_server_error
    return Attempt(
        False,
        f"answered {status}",
        retry=busy,
        pause=_retry_after(response.headers.get("retry-after")) if busy else None,
    )


def _retry_after(header: str | None) -> float | None:
    """Returns the seconds to wait, from a number of seconds or an HTTP date; None for any other header."""
    if header is None:
        return None
    if header.strip().isdecimal():
        return float(header)
    try:
        return max(0.0, (parsedate_to_datetime(header) - datetime.now(UTC)).total_seconds())
    except (TypeError, ValueError):
        return None


def _silence_http_logs() -> None:
    """Drops the HTTP libraries' log records of our threads: they hold addresses, and headers that may repeat
    them.
    """
    for name in HTTP_LOGGERS:
        logging.getLogger(name).addFilter(_is_of_other_thread)


def _is_of_other_thread(record: logging.LogRecord) -> bool:
    return record.threadName != THREAD
