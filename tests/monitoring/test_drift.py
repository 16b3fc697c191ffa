"""Drift of whole nights: when it is measured, where it is stored, who is told, and what training follows."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from banks import CONFIG, FIRST, Bank, small_day
from hooks import listening
from publications import DAY, VERSION, publish, scored_night

import sql
from flows.settings import load_settings
from models.drift.profiles import Reference, Rows
from models.encoding.layout import Layout
from tasks.core.identity import training_identity
from tasks.core.references import Night
from tasks.monitoring.drift import drift
from tasks.notifications.settings import NotifySettings
from tasks.operations.prune import prune
from tasks.publishing.integrity import violations
from tasks.training.retraining import training_due
from tasks.warehouse.connection import Warehouse

WINDOW, NOBODY = 3, NotifySettings()
MODEL = {
    "first_date": DAY,
    "last_date": DAY,
    "artifact_path": "small-bank/models/v1",
    "card_path": "small-bank/cards/v1.html",
}


def rows(seed: int, shift: float = 0.0) -> Rows:
    random = np.random.default_rng(seed)
    values = random.normal(size=(2_000, 2)).astype(np.float32)
    values[:, 0] += np.float32(shift)
    return Rows(values, random.gamma(2, size=2_000).astype(np.float32), np.ones(2_000, np.float32))


REFERENCE = Reference(("amount", "iban"), Layout(2, 0, (), (0, 1)), rows(0), rows(0))


class Nights:
    """The small bank, whose champion learnt from three dates; its nights are published without being scored.

    more: keys of [drift].
    """

    def __init__(self, folder: Path, more: str = "") -> None:
        (folder / "nightscore.toml").write_text(
            CONFIG.replace("window_days = 6", f"window_days = {WINDOW}") + f"[drift]\n{more}"
        )
        self.settings, self.folder = load_settings(folder / "nightscore.toml"), folder
        self.warehouse = self.settings.warehouse
        self.add(VERSION, 0)
        self.do(
            sql.read("registry/insert_promotion"),
            effective_from=DAY,
            version=VERSION,
            promoted_by="me",
            why="",
        )

    def do(self, statement: str, **values: Any) -> None:
        Warehouse(self.warehouse, self.settings.name).transact(lambda con: con.execute(statement, values))

    def add(self, name: str, day: int) -> None:
        columns = {
            "version": name,
            "as_of": DAY + timedelta(days=day),
            "training_hash": training_identity(self.settings).current,
            "dates": WINDOW,
            **MODEL,
        }
        self.do(
            (
                f"insert into models ({', '.join(columns)}) values "
                f"({', '.join(f'${column}' for column in columns)})"
            ),
            **columns,
        )

    def publish(self, day: int, shift: float = 0.0) -> Night:
        folder = self.settings.files / "staging" / f"{day}-{shift}"
        folder.mkdir(parents=True)
        REFERENCE.profile(rows(day + 1, shift), 2.0, 0.005).write_parquet(folder / "profile.parquet")
        night = scored_night(
            folder, f"{day}-{shift}", day=DAY + timedelta(days=day), profile=folder / "profile.parquet"
        )
        return publish(self.warehouse, night, self.settings.name)

    def over(self, night: Night, notify: NotifySettings = NOBODY) -> list[str] | None:
        """The features over a limit; None where nothing was measured."""
        found = drift.plain(self.settings, Warehouse(self.warehouse, self.settings.name), notify, night)
        return [each.feature for each in found if each.over] if found else None

    def due(self, day: int) -> str | None:
        return training_due(
            self.settings, Warehouse(self.warehouse, self.settings.name), DAY + timedelta(days=day)
        )

    def table(self, query: str) -> list[dict[str, Any]]:
        with Warehouse(self.warehouse, self.settings.name).reading() as con:
            return con.execute(query).pl().to_dicts()


@pytest.fixture
def nights(tmp_path: Path) -> Nights:
    return Nights(tmp_path)


def test_nothing_is_said_before_as_many_nights_as_were_learnt_from(nights: Nights) -> None:
    assert [nights.over(nights.publish(day)) for day in range(WINDOW)] == [None, None, []]
    assert nights.over(nights.publish(4)) is None  # one of the dates before it has no night
    assert [line["partition_date"] for line in nights.table("select distinct partition_date from drift")] == [
        DAY + timedelta(days=2)
    ]
    assert nights.table("from runs where message is not null") == []


def test_a_drift_is_a_row_a_note_and_told_once_as_long_as_it_lasts(
    nights: Nights, caplog: pytest.LogCaptureFixture
) -> None:
    with listening() as hook:
        notify = NotifySettings.model_validate({"webhooks": [{"url": hook.url}]})
        found = [nights.over(nights.publish(day, 1.5 if day > 2 else 0.0), notify) for day in range(6)]
    assert found == [None, None, [], ["amount"], ["amount"], ["amount"]]
    (body,) = hook.bodies
    assert (body["event"], body["date"], body["model_version"]) == (
        "drift",
        str(DAY + timedelta(days=3)),
        VERSION,
    )
    assert f"not what {VERSION} learnt from: drift of amount (psi " in body["message"]
    lines = nights.table("select * from drift order by partition_date desc, feature")
    assert [(line["feature"], line["is_over"]) for line in lines[:3]] == [
        ("amount", True),
        ("error", False),
        ("iban", False),
    ]
    assert lines[0]["first_date"] == DAY + timedelta(days=3)
    assert lines[0]["psi"] > nights.settings.drift.psi > lines[2]["psi"]
    assert lines[0]["wasserstein"] == pytest.approx(1.5, abs=0.2)
    assert (lines[0]["error_q50"], lines[1]["psi"]) == (None, None)
    assert abs(lines[1]["error_q90"]) < nights.settings.drift.error_shift
    notes = [line["message"] for line in nights.table("select message from runs order by partition_date")]
    assert notes[:3] == [None] * 3
    assert notes[3] == body["message"]
    assert caplog.text.count("drift of amount") == 3


def test_it_is_measured_once_and_again_when_the_night_is_scored_again(nights: Nights) -> None:
    last = [nights.publish(day) for day in range(WINDOW)][-1]
    assert [nights.over(last), nights.over(last)] == [[], None]
    figures = nights.table("from metrics")
    assert {(line["detector"], line["last_date"], line["as_of"]) for line in figures} == {
        ("drift", last.date, last.date)
    }
    assert nights.over(nights.publish(2, shift=6.0)) == ["amount"]
    assert nights.table("select is_over from drift where feature = 'amount'") == [{"is_over": True}]


@pytest.mark.parametrize("retrain", [True, False])
def test_a_training_is_due_after_a_drift_unless_a_newer_version_is_there(
    tmp_path: Path, retrain: bool
) -> None:
    nights = Nights(tmp_path, "" if retrain else "retrain = false")
    for day in range(WINDOW):
        nights.over(nights.publish(day, 1.5))
    assert nights.due(2) is None  # what was found after a night is known to the next one
    assert nights.due(3) == (f"drift of amount from what {VERSION} learnt from" if retrain else None)
    nights.add("challenger", 3)
    assert nights.due(3) is None
    assert nights.due(4) is None


def test_a_drift_that_is_over_makes_no_training_due(nights: Nights) -> None:
    for day in range(2 * WINDOW):
        nights.over(nights.publish(day, 1.5 if day < WINDOW else 0.0))
    assert nights.due(2 * WINDOW) is None


def test_drift_counts_as_no_judgement_of_a_date(tmp_path: Path) -> None:
    nights = Nights(tmp_path)
    training = nights.settings.training.model_copy(update={"window_days": 1})
    nights.settings = nights.settings.model_copy(update={"training": training})
    nights.do("update models set dates = 1")
    assert nights.over(nights.publish(0)) == []
    known = {"id": "0-0.0-1", "partition_date": DAY, "known_at": DAY}
    nights.do(
        (
            "insert into labels by name select $id as id, $partition_date as partition_date, true as "
            "label, $known_at as known_at"
        ),
        **known,
    )
    with Warehouse(nights.warehouse, nights.settings.name).reading() as con:
        assert con.execute(sql.read("monitoring/list_dates_to_evaluate"), {"as_of": DAY}).fetchall() == [
            (DAY,)
        ]


def test_profiles_go_with_the_rows_of_their_run(nights: Nights) -> None:
    old, new = nights.publish(0), nights.publish(0, 1.5)
    assert {line["run_id"] for line in nights.table("from profiles")} == {old.run_id, new.run_id}
    nights.do(
        "update runs set superseded_at = superseded_at - interval 30 days where superseded_at is not null"
    )
    prune(Warehouse(nights.warehouse, nights.settings.name), 7, DAY + timedelta(days=400), yes=True)
    assert {line["run_id"] for line in nights.table("from profiles")} == {new.run_id}


@pytest.mark.parametrize("broken", ["weight = 10", "feature = 'amount'"])
def test_a_profile_that_cannot_be_is_an_offence(nights: Nights, broken: str) -> None:
    nights.publish(0)
    with Warehouse(nights.warehouse, nights.settings.name).reading() as con:
        assert list(violations(con)) == []
    nights.do(f"update profiles set {broken} where kind = 'numeric'")
    with Warehouse(nights.warehouse, nights.settings.name).reading() as con:
        assert [found.check for found in violations(con)] == ["checks/profiles"]


@pytest.mark.slow
def test_every_night_keeps_a_profile_of_the_rows_that_it_did_not_flag(scored_bank: Bank) -> None:
    (run,) = scored_bank.table("from runs").to_dicts()
    profiles = scored_bank.table(
        "select feature, kind, weight, list_sum(counts)::bigint as rows, sums from profiles order by feature"
    )
    assert profiles["feature"].to_list() == ["amount", "channel", "distance", "error"]
    assert profiles["kind"].to_list() == ["numeric", "category", "numeric", "error"]
    assert set(profiles["rows"]) == {run["rows_scored"] - run["rows_flagged"]}
    assert set(profiles["weight"]) == {1.0}
    assert profiles["sums"].is_null().to_list() == [False, True, False, True]
    (model,) = scored_bank.table("select dates from models").to_dicts()
    assert model["dates"] == 6


@pytest.mark.soak
@pytest.mark.slow
def test_a_weekly_rhythm_and_an_attack_are_no_drift_and_inflation_is(
    bank: Bank, caplog: pytest.LogCaptureFixture
) -> None:
    from flows.plain import nightly

    bank.configure("window_days = 6", "window_days = 6\nretrain_every_days = 100")
    for offset in range(24):
        day = FIRST + timedelta(days=offset)
        busy = 1.0 if offset % 6 else 1.6
        inflated = 1.3 if offset >= 18 else 1.0
        frame = small_day(day).with_columns(amount=pl.col("amount") * busy * inflated)
        attack = frame.head(60).with_columns(
            id=pl.col("id") + "x", amount=pl.lit(5_000.0), is_fraud=pl.lit(True)
        )
        bank.write(day, pl.concat([frame, attack]).sort("at") if offset in (16, 17) else frame)
    for offset in range(9, 18):
        assert nightly(bank.config, FIRST + timedelta(days=offset)).status == "committed"
    assert bank.table("from drift where is_over").is_empty()
    assert bank.table("from drift")["partition_date"].n_unique() == 4
    for offset in range(18, 24):
        nightly(bank.config, FIRST + timedelta(days=offset))
    assert "amount" in bank.table("from drift where is_over")["feature"].to_list()
    assert not {"distance", "channel"} & set(bank.table("from drift where is_over")["feature"])
    assert len(bank.table("from models")) == 2
