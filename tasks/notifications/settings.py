"""The configuration section [notify]: the webhooks that get a message when a night needs attention.

An address is a secret: anyone who has it can post to it.
"""

from typing import Literal, get_args
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator

from models.settings import Section

Event = Literal["failed", "rejected", "missing", "waiting", "promoted", "drift", "doubt", "report"]
EVENTS: tuple[Event, ...] = get_args(Event)
ON_CALL: tuple[Event, ...] = tuple(event for event in EVENTS if event != "report")  # what may need somebody


class Webhook(Section):
    """An address, the format that it expects, and the events that are posted to it."""

    url: SecretStr  # not Secret[HttpUrl], which removes or encodes blanks instead of refusing them
    """The address, a secret: write `"${SLACK_URL}"` and set the variable."""
    format: Literal["json", "slack"] = "json"
    """What the receiver expects."""
    on: tuple[Event, ...] = ON_CALL
    """The events that are posted."""

    @field_validator("url")
    @classmethod
    def _is_address(cls, url: SecretStr) -> SecretStr:
        if not _host(url.get_secret_value()):
            raise ValueError("must be an address that begins with https:// or http://, without blanks")
        return url

    @property
    def host(self) -> str:
        """Host and port, the part of the address that is not secret."""
        return _host(self.url.get_secret_value())


class NotifySettings(Section):
    """The webhooks, and how long a night may wait for them. None of it changes a score."""

    webhooks: tuple[Webhook, ...] = ()
    """Where messages go, such as `{ url = "${SLACK_URL}", format = "slack", on = ["failed"] }`."""
    timeout_seconds: float = Field(20, gt=0, le=300)
    """For all webhooks together, which are posted to in parallel, retries and pauses included."""
    retries: int = Field(3, ge=0, le=10)
    """How often to try again where a server is not reached, or answers with an error."""


def _host(url: str) -> str:
    """Returns the host and port of an HTTP address; empty if it is not a valid one."""
    try:
        parts = urlsplit(url)
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        return ""
    plain = parts.scheme in ("http", "https") and url.isprintable() and not any(map(str.isspace, url))
    return f"{parts.hostname}{port}" if plain and parts.hostname else ""
