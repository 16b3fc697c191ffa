"""Posting to webhooks: within a bound, whatever they do, and with no address in any log, message or error."""

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
FIRST_PAUSE = 0.5  # seconds; each one after it is twice as long
CHATTY = (
    "httpx",
    "httpcore.connection",
    "httpcore.http11",
    "httpcore.http2",
    "httpcore.proxy",
    "httpcore.socks",
)


@dataclass(frozen=True)
class Post:
    """What one webhook is to get. place: what it is called by, its position and host."""

    place: str
    webhook: Webhook
    body: bytes


@dataclass(frozen=True)
class Answer:
    """How a webhook took it. said: in words, without the address."""

    place: str
    delivered: bool
    said: str


@dataclass(frozen=True)
class Attempt:
    """What came of one request.

    again: whether another one can help, after `pause` seconds where the webhook asks for so many.
    """

    delivered: bool
    said: str
    again: bool = False
    pause: float | None = None


def deliver(posts: Sequence[Post], settings: NotifySettings) -> list[Answer]:
    """The answers of all webhooks, which are told at once; never takes longer than `timeout_seconds`, and
    raises nothing for their sake.
    """
    deadline = time.monotonic() + settings.timeout_seconds
    answers: dict[str, Answer] = {}

    def post(one: Post) -> None:
        answers[one.place] = _persist(one, settings, deadline)

    # Looking up a name, and a server that answers a byte at a time, know no timeout: what is not back in time
    # is left behind.
    threads = [threading.Thread(target=post, args=(one,), name=THREAD, daemon=True) for one in posts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))
    late = f"no answer within {settings.timeout_seconds:g} s"
    return [answers.get(one.place) or Answer(one.place, False, late) for one in posts]


def _persist(post: Post, settings: NotifySettings, deadline: float) -> Answer:
    """Tries again, after growing pauses, while that can help and time is left."""
    share = settings.timeout_seconds / (settings.retries + 1)
    for attempt in range(1, settings.retries + 2):
        tried = _attempt(post.webhook, post.body, min(share, max(0.01, deadline - time.monotonic())))
        pause = FIRST_PAUSE * 2 ** (attempt - 1) if tried.pause is None else tried.pause
        if not tried.again or attempt > settings.retries or time.monotonic() + pause >= deadline:
            break
        time.sleep(pause)
    said = tried.said if attempt == 1 else f"{tried.said} (attempt {attempt})"
    return Answer(post.place, tried.delivered, said)


def _attempt(webhook: Webhook, body: bytes, timeout: float) -> Attempt:
    """One request. No redirect is followed: what is sent is for the configured address alone."""
    import httpx  # takes longer to import than the rest of the command line

    _hush()
    headers = {"content-type": "application/json"}
    try:
        with (
            httpx.Client(timeout=timeout, follow_redirects=False) as client,
            client.stream("POST", webhook.url.get_secret_value(), content=body, headers=headers) as response,
        ):
            return _judged(response)
    except httpx.TimeoutException:
        return Attempt(False, f"no answer within {timeout:.1f} s", again=True)
    except httpx.ConnectError as error:
        return Attempt(False, f"cannot be reached: {first_line(error)}", again=True)
    except httpx.TransportError as error:
        return Attempt(False, f"the connection broke ({type(error).__name__})", again=True)
    except Exception as error:  # its words may hold the address
        return Attempt(False, f"unexpected {type(error).__name__}")


def _judged(response: "httpx.Response") -> Attempt:
    status = response.status_code
    if response.is_success:
        return Attempt(True, f"answered {status}")
    if response.is_redirect:
        return Attempt(False, f"answered {status}; a redirect is not followed")
    busy = status == 429 or response.is_server_error
    return Attempt(
        False,
        f"answered {status}",
        again=busy,
        pause=_retry_after(response.headers.get("retry-after")) if busy else None,
    )


def _retry_after(header: str | None) -> float | None:
    """Seconds to wait, from a number of seconds or an HTTP date; None where the header says neither."""
    if header is None:
        return None
    if header.strip().isdecimal():
        return float(header)
    try:
        return max(0.0, (parsedate_to_datetime(header) - datetime.now(UTC)).total_seconds())
    except (TypeError, ValueError):
        return None


def _hush() -> None:
    """The libraries log whole addresses, and headers that may repeat them: not those of our threads."""
    for name in CHATTY:
        logging.getLogger(name).addFilter(_is_not_ours)


def _is_not_ours(record: logging.LogRecord) -> bool:
    return record.threadName != THREAD
