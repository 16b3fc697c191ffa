"""What is told of a night, to whom, and when: one notice per event, in the words that the ledger and the
command line use.
"""

import json
import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, date, datetime

from models.errors import ModelError
from tasks.core.errors import NightError, PartitionMissing, PartitionRejected, PublishDeferred
from tasks.core.references import Night
from tasks.notifications.settings import Event, NotifySettings, Webhook
from tasks.notifications.webhooks import Answer, Post, deliver

log = logging.getLogger(__name__)
TROUBLES: tuple[tuple[type[Exception], Event], ...] = (
    (PartitionMissing, "missing"),
    (PartitionRejected, "rejected"),
    (PublishDeferred, "waiting"),
    (Exception, "failed"),
)
ADVICE = {
    "failed": "mend what it names, then `nightscore run --date {day}`",
    "rejected": (
        "read the night's Data Docs, deliver the partition again or mend [quality], then "
        "`nightscore run --date {day}`"
    ),
    "missing": "deliver the partition, then `nightscore run --date {day}`",
    "waiting": "end what holds the warehouse, then `nightscore publish`",
    "drift": "look at `nightscore sql \"from drift where partition_date = date '{day}'\"`",
    "doubt": "look at `nightscore sql \"from alerts where partition_date = date '{day}'\"`",
}


@dataclass(frozen=True)
class Notice:
    """One event of one date; it holds no value of any row.

    event: one of EVENTS, or `test`. date: the business date. status: what became of the night or version. at:
    instant, UTC. run_id, model_version and the counts of rows are None where the night has come to none.
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
    model_version: str | None = None
    at: datetime = field(default_factory=lambda: datetime.now(UTC))

    @property
    def what_to_do(self) -> str | None:
        advice = ADVICE.get(self.event)
        return advice.format(day=self.date) if advice else None


@contextmanager
def notify_failure(settings: NotifySettings, dataset: str, day: date, *, due: bool = True) -> Iterator[None]:
    """Whatever fails inside is told and raised again; but for a partition that is missing of a date that is
    not `due`.
    """
    try:
        yield
    except Exception as error:
        event = next(event for kind, event in TROUBLES if isinstance(error, kind))
        if due or event != "missing":
            status = "failed" if event == "missing" else event
            send(settings, Notice(event, dataset, day, status, _in_words(error)))
        raise


def notify_doubts(settings: NotifySettings, dataset: str, nights: Sequence[Night]) -> None:
    """Tells of each night that was committed although something in it is worth a look."""
    for night in nights:
        if night.doubts:
            known = {
                name: value for name, value in asdict(night).items() if name not in ("doubts", "threshold")
            }
            send(settings, Notice("doubt", dataset, message="; ".join(night.doubts), **known))


def notify_drift(settings: NotifySettings, dataset: str, night: Night, message: str) -> None:
    """Tells that the rows of a night, and of those before it, are no longer what its version learnt from."""
    known = {
        name: value for name, value in asdict(night).items() if name not in ("status", "doubts", "threshold")
    }
    send(settings, Notice("drift", dataset, status="committed", message=message, **known))


def notify_failed_training(
    settings: NotifySettings, dataset: str, day: date, champion: str, error: Exception
) -> None:
    """Tells of a training that failed on a night that went on without it."""
    message = f"the training failed, and the night went on with {champion}: {_in_words(error)}"
    send(settings, Notice("failed", dataset, day, "training failed", message, model_version=champion))


def notify_promotion(settings: NotifySettings, dataset: str, version: str, first: date, why: str) -> None:
    """Tells of a new champion, of the date `first` and of those after it."""
    send(
        settings,
        Notice(
            "promoted",
            dataset,
            first,
            "promoted",
            f"{version} is champion from {first} on: {why}",
            model_version=version,
        ),
    )


def send(settings: NotifySettings, notice: Notice) -> None:
    """Posts a notice to the webhooks that want it; one that does not take it is a warning, never an error."""
    try:
        answers = deliver(_posts(settings, notice), settings)
    except Exception as error:  # such as a machine out of threads: the night has its own outcome
        log.warning(
            "%s  notify     nobody was told of `%s`: %s", notice.date, notice.event, type(error).__name__
        )
        return
    for answer in answers:
        level, done = (
            (logging.INFO, "was told") if answer.delivered else (logging.WARNING, "could not be told")
        )
        log.log(
            level,
            "%s  notify     %s %s of `%s`: %s",
            notice.date,
            answer.place,
            done,
            notice.event,
            answer.said,
        )


def as_json(notice: Notice) -> dict[str, object]:
    """The notice as an object, its keys in the order of the documentation."""
    content = asdict(notice) | {
        "date": notice.date.isoformat(),
        "at": notice.at.isoformat(timespec="seconds"),
    }
    keys = ["event", "dataset", "date", "status", "run_id", "message", "what_to_do"]
    content["what_to_do"] = notice.what_to_do
    return {key: content[key] for key in [*keys, *(key for key in content if key not in keys)]}


def as_slack(notice: Notice) -> dict[str, object]:
    """The notice as a message of up to four lines; what Slack would read as a command of its own is
    escaped.
    """
    lines = [f"{notice.dataset} {notice.date}: {notice.event}", notice.message]
    if notice.rows_source is not None:
        lines.append(
            f"{notice.rows_source:,} rows = {notice.rows_scored:,} scored + "
            f"{notice.rows_quarantined:,} quarantined; "
            f"{notice.rows_flagged:,} flagged by {notice.model_version}"
        )
    if notice.what_to_do:
        lines.append(f"What to do: {notice.what_to_do}")
    text = "\n".join(lines)
    for sign, entity in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;")):
        text = text.replace(sign, entity)
    return {"text": text}


FORMATS: dict[str, Callable[[Notice], dict[str, object]]] = {"json": as_json, "slack": as_slack}


def send_test(settings: NotifySettings, dataset: str) -> list[Answer]:
    """Posts a test to every webhook, whatever it wants to be told of."""
    message = "a test of this webhook; nothing has happened"
    return deliver(
        _posts(settings, Notice("test", dataset, datetime.now(UTC).date(), "test", message)), settings
    )


def webhook_lines(settings: NotifySettings, answers: Sequence[Answer]) -> list[dict[str, object]]:
    """One line per webhook, without its address, and how it took the test where there was one."""
    lines: list[dict[str, object]] = [
        {"webhook": w.host, "format": w.format, "on": list(w.on)} for w in settings.webhooks
    ]
    if not answers:
        return lines
    return [
        line | {"delivered": answer.delivered, "said": answer.said}
        for line, answer in zip(lines, answers, strict=True)
    ]


def _posts(settings: NotifySettings, notice: Notice) -> list[Post]:
    wanted = [
        (number, webhook)
        for number, webhook in enumerate(settings.webhooks, start=1)
        if _wants(webhook, notice)
    ]
    return [
        Post(f"webhook {number} ({webhook.host})", webhook, _body(webhook, notice))
        for number, webhook in wanted
    ]


def _wants(webhook: Webhook, notice: Notice) -> bool:
    return notice.event == "test" or notice.event in webhook.on


def _body(webhook: Webhook, notice: Notice) -> bytes:
    return json.dumps(FORMATS[webhook.format](notice)).encode()


def _in_words(error: Exception) -> str:
    """Our own errors have no private value in them; of any other, only its kind leaves the house."""
    if isinstance(error, NightError | ModelError):
        return " ".join(str(error).split())
    return (
        f'unexpected {type(error).__name__}; the ledger has its words: `nightscore sql "from runs '
        "where status = 'failed'\"`"
    )
