"""The section [notify]: who is told when a night needs somebody.

An address is a secret, since whoever has it can write there.
"""

from typing import Literal, get_args
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator

from models.settings import Section

Event = Literal["failed", "rejected", "missing", "waiting", "promoted", "drift", "doubt"]
EVENTS: tuple[Event, ...] = get_args(Event)


class Webhook(Section):
    """An address that events are posted to, in the format that it reads."""

    url: SecretStr
    format: Literal["json", "slack"] = "json"
    on: tuple[Event, ...] = EVENTS

    @field_validator("url")
    @classmethod
    def _is_address(cls, url: SecretStr) -> SecretStr:
        if not _host(url.get_secret_value()):
            raise ValueError("must be an address that begins with https:// or http://, without blanks")
        return url

    @property
    def host(self) -> str:
        """What may be said of the address."""
        return _host(self.url.get_secret_value())


class NotifySettings(Section):
    """Which webhooks are told of what, and how long a night may wait for them.

    No section of it decides a score.
    """

    webhooks: tuple[Webhook, ...] = ()
    timeout_seconds: float = Field(
        20, gt=0, le=300
    )  # for all webhooks together, which are told at once, with retries and pauses
    retries: int = Field(3, ge=0, le=10)  # after a first attempt that found nobody, or a server in trouble


def _host(url: str) -> str:
    """Host and port of an address; empty where it is none."""
    try:
        parts = urlsplit(url)
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        return ""
    plain = parts.scheme in ("http", "https") and url.isprintable() and not any(map(str.isspace, url))
    return f"{parts.hostname}{port}" if plain and parts.hostname else ""
