"""Notices about a night: one per event, with the message of the ledger and the command line, sent to the
webhooks that want it.
"""

import json
import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, date, datetime
from html import escape

from models.errors import ModelError
from tasks.core.errors import NightError, PartitionMissing, PartitionRejected, PublishDeferred
from tasks.core.references import Night, of_unknown_pattern
from tasks.notifications.settings import Event, NotifySettings, Webhook
from tasks.notifications.webhooks import Answer, Post, deliver

log = logging.getLogger(__name__)
EVENT_OF_ERROR: tuple[tuple[type[Exception], Event], ...] = (  # the first that fits
    (PartitionMissing, "missing"),
    (PartitionRejected, "rejected"),
    (PublishDeferred, "waiting"),
    (Exception, "failed"),
)
NIGHT_FACTS = (
    "run_id",
    "rows_source",
    "rows_scored",
    "rows_quarantined",
    "rows_flagged",
    "rows_unknown",
    "model_version",
)
ADVICE = {
    "failed": "fix what the message names, then run `nightscore run --date {day}`",
    "rejected": (
        "read the night's Data Docs, deliver the partition again or fix [quality], then run "
        "`nightscore run --date {day}`"
    ),
    "missing": "deliver the partition, then run `nightscore run --date {day}`",
    "waiting": "end the process that holds the warehouse, then run `nightscore publish`",
    "drift": "look at `nightscore sql \"from drift where partition_date = date '{day}'\"`",
    "warning": "look at `nightscore sql \"from alerts where partition_date = date '{day}'\"`",
    "doubtful": (
        "look at `nightscore sql \"from alerts where partition_date = date '{day}'\"`; "
        "`nightscore publish --accept {day} --by NAME` notes that it is right"
    ),
    "held": (
        "look at what moved; `nightscore publish --accept {day} --by NAME` commits the night as it was "
        "scored, `nightscore publish --discard {day}` drops it"
    ),
}


@dataclass(frozen=True)
class Notice:
    """One event of one date; it holds no value of any row.

    event: one of EVENTS, or `test`. date: the business date. status: the state of the night or version.
    at: when the notice was made, UTC. advice: a key of ADVICE; the event unless given.
    run_id, model_version and the counts of rows are None if the night did not get that far. rows_unknown: the
    flagged rows of an unknown pattern; None without a reserve.
    """

    event: str
    dataset: str
    date: date
    status: str
    message: str
    run_id: str | None = None
    rows_source: int | None = None
    rows_scored: int | None = None
    rows_quarantined: int | None = None
    rows_flagged: int | None = None
    rows_unknown: int | None = None
    model_version: str | None = None
    at: datetime = field(default_factory=lambda: datetime.now(UTC))
    advice: str | None = None

    @property
    def what_to_do(self) -> str | None:
        advice = ADVICE.get(self.advice or self.event)
        return advice.format(day=self.date) if advice else None


@contextmanager
def notify_failure(settings: NotifySettings, dataset: str, day: date, *, due: bool = True) -> Iterator[None]:
    """Sends a notice of an error in the block and raises the error again; a missing partition of a date that
    is not `due` is not sent.
    """
    try:
        yield
    except Exception as error:
        event = next(event for kind, event in EVENT_OF_ERROR if isinstance(error, kind))
        if due or event != "missing":
            status = "failed" if event == "missing" else event
            send(settings, Notice(event, dataset, day, status, _public_message(error)))
        raise


def notify_warnings(settings: NotifySettings, dataset: str, nights: Sequence[Night]) -> None:
    """Sends a notice of each night that was committed or held with warnings."""
    for night in nights:
        if night.doubts:
            facts = {name: getattr(night, name) for name in ("date", "status", *NIGHT_FACTS)}
            advice = "warning" if not night.doubt else "held" if night.is_held else "doubtful"
            send(settings, Notice("doubt", dataset, message="; ".join(night.doubts), advice=advice, **facts))


def notify_drift(settings: NotifySettings, dataset: str, night: Night, message: str) -> None:
    """Sends a notice that the rows up to a night have drifted from the training rows of its version."""
    facts = {name: getattr(night, name) for name in ("date", *NIGHT_FACTS)}
    send(settings, Notice("drift", dataset, status="committed", message=message, **facts))


def notify_report(settings: NotifySettings, dataset: str, day: date, run_id: str, message: str) -> None:
    """Sends a notice of the figures of a night whose labels are known."""
    send(settings, Notice("report", dataset, day, "reported", message, run_id=run_id))


def notify_failed_training(
    settings: NotifySettings, dataset: str, day: date, champion: str, error: Exception
) -> None:
    """Sends a notice of a failed training; the night went on with the champion."""
    message = f"the training failed, and the night went on with {champion}: {_public_message(error)}"
    send(settings, Notice("failed", dataset, day, "training failed", message, model_version=champion))


def notify_promotion(settings: NotifySettings, dataset: str, version: str, first: date, why: str) -> None:
    """Sends a notice that a version is champion from the date `first` on."""
    message = f"{version} is champion from {first} on: {why}"
    send(settings, Notice("promoted", dataset, first, "promoted", message, model_version=version))


def send(settings: NotifySettings, notice: Notice) -> None:
    """Posts a notice to the webhooks that want it; one that cannot be delivered is a warning, not an
    error.
    """
    try:
        answers = deliver(_posts(settings, notice), settings)
    except Exception as error:  # such as no more threads: the outcome of the night does not depend on it
        kind = type(error).__name__
        log.warning("%s  notify     could not send `%s` to any webhook: %s", notice.date, notice.event, kind)
        return
    for answer in answers:
        level, done = (logging.INFO, "sent") if answer.delivered else (logging.WARNING, "could not send")
        line = f"{done} `{notice.event}` to {answer.name}: {answer.outcome}"
        log.log(level, "%s  notify     %s", notice.date, line)


def as_json(notice: Notice) -> dict[str, object]:
    """Returns the notice as a JSON object, its keys in the order of the documentation."""
    content = asdict(notice) | {
        "date": notice.date.isoformat(),
        "at": notice.at.isoformat(timespec="seconds"),
    }
    keys = ["event", "dataset", "date", "status", "run_id", "message", "what_to_do"]
    content["what_to_do"] = notice.what_to_do
    del content["advice"]
    return {key: content[key] for key in [*keys, *(key for key in content if key not in keys)]}


def as_slack(notice: Notice) -> dict[str, object]:
    """Returns the notice as a Slack message of up to four lines, with &, < and > escaped, as Slack asks."""
    lines = [f"{notice.dataset} {notice.date}: {notice.event}", notice.message]
    if notice.rows_source is not None:
        lines.append(
            f"{notice.rows_source:,} rows = {notice.rows_scored:,} scored + "
            f"{notice.rows_quarantined:,} quarantined; "
            f"{notice.rows_flagged:,} flagged by {notice.model_version}"
            f"{of_unknown_pattern(notice.rows_unknown)}"
        )
    if notice.what_to_do:
        lines.append(f"What to do: {notice.what_to_do}")
    return {"text": escape("\n".join(lines), quote=False)}


FORMATS: dict[str, Callable[[Notice], dict[str, object]]] = {"json": as_json, "slack": as_slack}


def send_test(settings: NotifySettings, dataset: str) -> list[Answer]:
    """Posts a test to every webhook, whatever its events."""
    message = "a test of this webhook; nothing has happened"
    return deliver(
        _posts(settings, Notice("test", dataset, datetime.now(UTC).date(), "test", message)), settings
    )


def webhook_lines(settings: NotifySettings, answers: Sequence[Answer]) -> list[dict[str, object]]:
    """Returns one line per webhook, without its address, with the answer to the test if there was one."""
    lines: list[dict[str, object]] = [
        {"webhook": w.host, "format": w.format, "on": list(w.on)} for w in settings.webhooks
    ]
    if not answers:
        return lines
    return [
        line | {"delivered": answer.delivered, "said": answer.outcome}
        for line, answer in zip(lines, answers, strict=True)
    ]


def _posts(settings: NotifySettings, notice: Notice) -> list[Post]:
    return [
        Post(f"webhook {number} ({webhook.host})", webhook, _body(webhook, notice))
        for number, webhook in enumerate(settings.webhooks, start=1)
        if _wants(webhook, notice)
    ]


def _wants(webhook: Webhook, notice: Notice) -> bool:
    return notice.event == "test" or notice.event in webhook.on


def _body(webhook: Webhook, notice: Notice) -> bytes:
    return json.dumps(FORMATS[webhook.format](notice)).encode()


def _public_message(error: Exception) -> str:
    """Returns the message of an error of Nightscore, which has no private values; of any other, its class."""
    if isinstance(error, NightError | ModelError):
        return " ".join(str(error).split())
    return (
        f'unexpected {type(error).__name__}; the ledger has its message: `nightscore sql "from runs '
        "where status = 'failed'\"`"
    )
