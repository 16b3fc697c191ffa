"""Notifications: which notice goes where, and that no webhook can affect a night; against a real HTTP
server.
"""

import json
import logging
import re
import time
import traceback
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import polars as pl
import pytest
from banks import FIRST, NIGHT, Bank
from hooks import SECRET, Hook, listening
from typer.testing import CliRunner

import tasks.notifications.webhooks
import tasks.publishing.publish
from flows.cli.app import app
from flows.console import Failing
from flows.settings import Settings, load_settings
from models.errors import TrainingError
from tasks.core.errors import (
    NightError,
    PartitionMissing,
    PartitionRejected,
    PublishDeferred,
    SourceError,
    WarehouseHeld,
)
from tasks.core.identity import run_identity, training_identity
from tasks.notifications.notify import FORMATS, Notice, notify_failure, send
from tasks.notifications.settings import EVENTS, NotifySettings
from tasks.operations.doctor import Setup, check_webhooks
from tasks.warehouse.connection import Warehouse

DAY = date(2018, 7, 25)
DOCS = Path(__file__).parents[2] / "docs" / "notifications.md"
DOUBT = Notice(
    "doubt",
    "card-fraud",
    DAY,
    "committed",
    "120 of 960 rows are flagged, 0.125 of them, above evaluation.flagged_share 0.05; "
    "moved most: amount (psi 3.10)",
    run_id="2018-07-25-5f0c",
    rows_source=1000,
    rows_scored=960,
    rows_quarantined=40,
    rows_flagged=120,
    model_version="2018-07-25-ede4744c",
    advice="doubtful",
    at=datetime(2026, 11, 22, 2, tzinfo=UTC),
)


def settings_for(*hooks: Hook, timeout_seconds: float = 60, retries: int = 3) -> NotifySettings:
    webhooks = [{"url": hook.url} for hook in hooks]
    return NotifySettings.model_validate(
        {"webhooks": webhooks, "timeout_seconds": timeout_seconds, "retries": retries}
    )


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The seconds between attempts; the test does not wait for them."""
    waited: list[float] = []
    monkeypatch.setattr(
        tasks.notifications.webhooks, "time", SimpleNamespace(monotonic=time.monotonic, sleep=waited.append)
    )
    return waited


@pytest.fixture(autouse=True)
def nothing_leaks(caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]) -> Iterator[None]:
    """Checks after each test that the address is in no log of any level or library, and not on the
    terminal.
    """
    caplog.set_level(logging.DEBUG)
    yield
    messages = [f"{record.getMessage()} {record.exc_text}" for record in caplog.get_records("call")]
    shown = "\n".join([*messages, *capfd.readouterr()])
    assert not any(part in shown for part in (SECRET, "s3cr3t"))


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [
        record.getMessage()
        for record in caplog.records
        if record.name.startswith("tasks") and record.levelno == logging.WARNING
    ]


def test_a_server_error_is_retried_with_growing_pauses_until_the_notice_is_delivered(
    pauses: list[float], caplog: pytest.LogCaptureFixture
) -> None:
    with listening(500, 503, 200) as hook:
        send(settings_for(hook), DOUBT)
    assert hook.bodies == [FORMATS["json"](DOUBT)] * 3
    assert pauses == [0.5, 1.0]
    assert warnings(caplog) == []


@pytest.mark.parametrize("status", [400, 403, 404, 410])
def test_a_refusal_is_final_and_one_warning(
    status: int, pauses: list[float], caplog: pytest.LogCaptureFixture
) -> None:
    with listening(status) as hook:
        send(settings_for(hook), DOUBT)
    assert (len(hook.got), pauses) == (1, [])
    place = f"webhook 1 (127.0.0.1:{hook.port})"
    assert warnings(caplog) == [
        f"2018-07-25  notify     could not send `doubt` to {place}: answered {status}"
    ]


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_is_not_followed(
    status: int, pauses: list[float], caplog: pytest.LogCaptureFixture
) -> None:
    with listening() as elsewhere, listening(status, location=elsewhere.url) as hook:
        send(settings_for(hook), DOUBT)
    assert (len(hook.got), elsewhere.got) == (1, [])
    assert "a redirect is not followed" in warnings(caplog)[0]


def test_too_many_requests_are_retried_after_the_pause_that_the_server_sets(
    pauses: list[float], caplog: pytest.LogCaptureFixture
) -> None:
    with listening(429, 200, retry_after="7") as hook:
        send(settings_for(hook), DOUBT)
    assert (len(hook.got), pauses, warnings(caplog)) == (2, [7.0], [])


@pytest.mark.parametrize("retry_after", ["3600", "Fri, 01 Jan 2100 00:00:00 GMT"])
def test_a_pause_beyond_the_timeout_ends_the_retries(
    retry_after: str, pauses: list[float], caplog: pytest.LogCaptureFixture
) -> None:
    with listening(429, retry_after=retry_after) as hook:
        send(settings_for(hook), DOUBT)
    assert (len(hook.got), pauses) == (1, [])
    assert "answered 429" in warnings(caplog)[0]


@pytest.mark.parametrize(
    ("retry_after", "pause"),
    [("soon", 0.5), ("-5", 0.5), ("Fri, 01 Jan 2100", 0.5), ("Thu, 01 Jan 1970 00:00:00 GMT", 0.0)],
)
def test_an_invalid_retry_after_is_ignored_and_a_past_one_means_now(
    retry_after: str, pause: float, pauses: list[float]
) -> None:
    with listening(503, 200, retry_after=retry_after) as hook:
        send(settings_for(hook), DOUBT)
    assert (len(hook.got), pauses) == (2, [pause])


@pytest.mark.parametrize("status", [0, -1], ids=["hangs", "trickles"])
def test_webhooks_are_posted_to_in_parallel_and_none_takes_longer_than_the_timeout(
    status: int, caplog: pytest.LogCaptureFixture
) -> None:
    with listening(status) as first, listening(status) as second, listening() as third:
        began = time.monotonic()
        send(settings_for(first, second, third, timeout_seconds=0.8, retries=1), DOUBT)
        assert time.monotonic() - began < 10  # they would keep it for 20
    assert len(third.got) == 1  # after the first two, there would be no time left for it
    assert [re.search(r"webhook (\d) .*(no answer within)", line).groups() for line in warnings(caplog)] == [
        # type: ignore[union-attr]
        ("1", "no answer within"),
        ("2", "no answer within"),
    ]


@pytest.mark.parametrize(
    "url",
    [f"http://127.0.0.1:9/{SECRET}", f"http://nobody.invalid/{SECRET}"],
    ids=["nobody listens", "no such name"],
)
def test_an_unreachable_host_is_retried_and_then_named(
    url: str, pauses: list[float], caplog: pytest.LogCaptureFixture
) -> None:
    send(NotifySettings.model_validate({"webhooks": [{"url": url}], "retries": 2}), DOUBT)
    assert pauses == [0.5, 1.0]
    (line,) = warnings(caplog)
    assert re.search(
        (
            r"could not send `doubt` to webhook 1 \((127\.0\.0\.1:9|nobody\.invalid)\): cannot be "
            r"reached: .* \(attempt 3\)$"
        ),
        line,
    )


@pytest.mark.parametrize(
    ("error", "event", "status"),
    [
        (PartitionMissing("no partition"), "missing", "failed"),
        (SourceError("cannot be read"), "failed", "failed"),
        (PartitionRejected("too many bad rows"), "rejected", "rejected"),
        (PublishDeferred("held; kept"), "waiting", "waiting"),
        (WarehouseHeld("held"), "failed", "failed"),
        (TrainingError("no rows"), "failed", "failed"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else value,
)
@pytest.mark.parametrize("answer", [200, 404])
def test_every_error_is_sent_as_its_event_and_raised_unchanged(
    error: Exception, event: str, status: str, answer: int
) -> None:
    with (
        listening(answer) as hook,
        pytest.raises(type(error)) as raised,
        notify_failure(settings_for(hook), "bank", DAY),
    ):
        raise error
    assert raised.value is error
    assert raised.value.__cause__ is raised.value.__context__ is None
    (body,) = hook.bodies
    assert (body["event"], body["status"], body["message"], body["date"]) == (
        event,
        status,
        str(error),
        "2018-07-25",
    )
    assert body["what_to_do"]


def test_a_missing_date_that_is_not_due_is_not_sent() -> None:
    with (
        listening() as hook,
        pytest.raises(PartitionMissing),
        notify_failure(settings_for(hook), "bank", DAY, due=False),
    ):
        raise PartitionMissing("no partition")
    assert hook.got == []


def test_a_successful_night_is_not_sent() -> None:
    with listening() as hook, notify_failure(settings_for(hook), "bank", DAY):
        pass
    assert hook.got == []


def test_only_the_class_of_a_foreign_error_is_sent() -> None:
    with listening() as hook, pytest.raises(KeyError), notify_failure(settings_for(hook), "bank", DAY):
        raise KeyError("4929 1234 5678 9012")
    assert "unexpected KeyError" in hook.bodies[0]["message"]
    assert b"4929" not in hook.got[0]


@pytest.mark.parametrize("event", EVENTS)
def test_a_webhook_gets_only_its_events(event: str) -> None:
    with listening() as hook:
        settings = NotifySettings.model_validate({"webhooks": [{"url": hook.url, "on": [event]}]})
        for name in EVENTS:
            send(settings, Notice(name, "bank", DAY, "status", "message"))
    assert [body["event"] for body in hook.bodies] == [event]


def test_the_documentation_shows_what_is_sent() -> None:
    text = DOCS.read_text(encoding="utf-8")
    assert f"```json\n{json.dumps(FORMATS['json'](DOUBT), indent=2)}\n```" in text
    assert f"```text\n{FORMATS['slack'](DOUBT)['text']}\n```" in text
    assert all(f"| `{event}` |" in text for event in EVENTS)


def test_slack_markup_is_escaped() -> None:
    text = str(FORMATS["slack"](Notice("failed", "bank", DAY, "failed", "<!channel> & <http://x|y>"))["text"])
    assert "&lt;!channel&gt; &amp; &lt;http://x|y&gt;" in text
    assert not set(text) & set("<>")


@pytest.mark.parametrize(
    "wrong",
    [
        "webhooks = ['https://h.example/{secret}']",
        "webhooks = [{{ url = 'hooks.slack.com/{secret}' }}]",
        "webhooks = [{{ url = 'ftp://h.example/{secret}' }}]",
        "webhooks = [{{ url = 'https://h.example:port/{secret}' }}]",
        "webhooks = [{{ url = 'https://[h/{secret}' }}]",
        "webhooks = [{{ url = 'https://h.example/{secret} ' }}]",
        "webhooks = [{{ url = 'https://h.example/{secret}', on = ['success'] }}]",
        "webhooks = [{{ url = 'https://h.example/{secret}', format = 'teams' }}]",
        "webhooks = [{{ link = 'https://h.example/{secret}' }}]",
        "webhooks = {{ url = 'https://h.example/{secret}' }}",
        "timeout_seconds = 0\nwebhooks = [{{ url = 'https://h.example/{secret}' }}]",
    ],
)
def test_neither_message_nor_traceback_of_a_wrong_section_shows_the_address(
    wrong: str, bank: Bank, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Failing, "debug", False)  # so that it is that again for the next test
    bank.configure("[warehouse]", f"[notify]\n{wrong.format(secret=SECRET)}\n[warehouse]")
    result = CliRunner().invoke(app, ["notify", "--debug", "--config", str(bank.config)])
    assert result.exception is not None
    shown = "".join(traceback.format_exception(result.exception)) + result.output
    assert "notify.webhooks" in shown or "notify.timeout_seconds" in shown
    assert "s3cr3t" not in shown


def test_the_address_is_secret_and_changes_no_hash(bank: Bank, monkeypatch: pytest.MonkeyPatch) -> None:
    before = load_settings(bank.config)
    monkeypatch.setenv("SLACK_URL", f"https://hooks.slack.com/services/{SECRET}")
    bank.configure(
        "[warehouse]",
        '[notify]\nwebhooks = [{ url = "${SLACK_URL}", format = "slack", on = ["failed"] }]\n[warehouse]',
    )
    settings = load_settings(bank.config)
    warehouse = Warehouse(settings.warehouse, settings.name)
    assert (run_identity(settings), training_identity(settings)) == (
        run_identity(before),
        training_identity(before),
    )
    assert "s3cr3t" not in f"{settings!r} {settings} {settings.model_dump()} {settings.model_dump_json()}"
    assert (
        check_webhooks(Setup(settings, warehouse, settings.notify)).found == "1 configured: hooks.slack.com"
    )
    assert Settings.model_fields["notify"].default == NotifySettings()


def test_the_host_of_an_address_excludes_its_password() -> None:
    settings = NotifySettings.model_validate(
        {"webhooks": [{"url": f"https://user:{SECRET.replace('/', '-')}@h.example:8443/x"}]}
    )
    assert settings.webhooks[0].host == "h.example:8443"


def test_the_command_sends_a_test_to_each_and_fails_if_one_fails(bank: Bank, pauses: list[float]) -> None:
    with listening() as good, listening(404) as bad:
        both = f'{{ url = "{good.url}", on = ["missing"] }}, {{ url = "{bad.url}", format = "slack" }}'
        bank.configure("[warehouse]", f"[notify]\nwebhooks = [{both}]\n[warehouse]")
        listed = CliRunner().invoke(app, ["notify", "--json", "--config", str(bank.config)])
        assert (good.got, bad.got) == ([], [])
        tested = CliRunner().invoke(app, ["notify", "--test", "--json", "--config", str(bank.config)])
        table = CliRunner().invoke(app, ["notify", "--test", "--config", str(bank.config)])
        bad.answers = [(200, {})]
        mended = CliRunner().invoke(app, ["notify", "--test", "--config", str(bank.config)])
    assert [run.exit_code for run in (listed, tested, table, mended)] == [0, 1, 1, 0]
    assert [line["said"] for line in json.loads(tested.stdout)] == ["answered 200", "answered 404"]
    assert "answered 404" in table.stdout
    assert {body["event"] for body in good.bodies} == {"test"}
    assert all("a test" in body["text"] for body in bad.bodies)
    shown = "".join(run.output for run in (listed, tested, table, mended))
    assert "s3cr3t" not in shown


def never(*_: object) -> None:
    raise WarehouseHeld("the warehouse is held")


@pytest.mark.soak
@pytest.mark.slow
def test_nights_send_their_events_and_do_not_depend_on_the_webhooks(
    bank: Bank, scored_bank: Bank, monkeypatch: pytest.MonkeyPatch
) -> None:
    from flows.plain import evaluate, nightly, retrain

    def events() -> list[str]:
        seen = [body["event"] for body in good.bodies]
        good.got.clear()
        return seen

    with listening() as good, listening(500) as bad, listening(0) as hanging:
        hooks = (
            f'{{ url = "{good.url}" }}, {{ url = "{bad.url}", on = ["promoted"] }}, {{ url = '
            f'"{hanging.url}", on = ["doubt"] }}'
        )
        section = (
            f"[notify]\nwebhooks = [{hooks}]\ntimeout_seconds = 1\nretries = "
            "1\n[evaluation]\nflagged_share = [0.5, 0.6]\n[warehouse]"
        )
        bank.configure("[warehouse]", section)
        bank.configure("[columns]", '[columns]\nprivate = ["amount"]')

        assert nightly(bank.config, NIGHT).status == "committed"
        promoted, doubt = good.bodies
        assert events() == ["promoted", "doubt"]
        (version,), (run,) = bank.table("from champion").to_dicts(), bank.table("from runs").to_dicts()
        assert promoted["model_version"] == doubt["model_version"] == version["version"]
        counts = ("run_id", "status", "rows_source", "rows_scored", "rows_quarantined", "rows_flagged")
        assert {name: doubt[name] for name in counts} == {name: run[name] for name in counts}
        assert doubt["message"] == run["message"]
        scores = "select id, score, p_value, rank, is_flagged from scores order by id"
        assert bank.table(scores).equals(scored_bank.table(scores))

        assert nightly(bank.config, NIGHT).status == "already committed"
        retrain(bank.config, NIGHT)
        assert events() == []

        with pytest.raises(PartitionMissing):
            nightly(bank.config, NIGHT + timedelta(days=30))
        assert events() == ["missing"]
        with pytest.raises(PartitionMissing):
            evaluate(bank.config, NIGHT + timedelta(days=30), NIGHT + timedelta(days=30))
        assert events() == []

        bank.change(NIGHT + timedelta(days=1), lambda rows: rows.with_columns(amount=pl.lit(123456.75)))
        with pytest.raises(PartitionRejected):
            nightly(bank.config, NIGHT + timedelta(days=1))
        assert b"123456.75" not in b"".join(good.got)
        assert events() == ["rejected"]

        monkeypatch.setattr(tasks.publishing.publish, "transact", never)
        with pytest.raises(PublishDeferred):
            nightly(bank.config, NIGHT + timedelta(days=2))
        monkeypatch.undo()
        assert events() == ["waiting"]

        with pytest.raises(NightError):
            retrain(bank.config, FIRST)
        assert events() == ["failed"]
    for table in ("runs", "models", "promotions", "score_rows", "quarantine"):
        assert "s3cr3t" not in str(bank.table(f"from {table}").rows())
