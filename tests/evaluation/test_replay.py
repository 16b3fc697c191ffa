"""A night as of an instant: what was stored then, beside what the champion of that time gives."""

import json
import shutil
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
from banks import NIGHT, ROWS, Bank
from typer.testing import CliRunner

import sql
from flows.cli.app import app
from flows.cli.options import instant
from flows.plain import nightly, retrain
from flows.settings import load_settings
from tasks.core.errors import EvaluationError
from tasks.core.references import Night
from tasks.evaluation.explain import explain_row
from tasks.evaluation.replay import Replay, replay
from tasks.operations.prune import prune
from tasks.warehouse.connection import Warehouse

NEXT, LAST = NIGHT + timedelta(days=1), NIGHT + timedelta(days=2)


@dataclass(frozen=True)
class Story:
    """What happened to a bank, and the instants between: its source's first night, then the next date scored,
    another version promoted for it, scored again by that one; the first night corrected and scored again; at
    last, the last date scored.
    """

    bank: Bank
    before: datetime
    scored: datetime
    promoted: datetime
    rescored: datetime
    corrected: datetime
    ended: datetime
    nights: tuple[Night, ...]
    second: str


@pytest.fixture(scope="module")
def story(scored_bank_template: Bank, tmp_path_factory: pytest.TempPathFactory) -> Story:
    bank = Bank(tmp_path_factory.mktemp("story") / "bank")
    shutil.copytree(scored_bank_template.folder, bank.folder)
    before = datetime.now(UTC)
    first = nightly(bank.config, NEXT)
    scored = datetime.now(UTC)
    second = retrain(bank.config, NEXT, promote=True).name
    promoted = datetime.now(UTC)
    again = nightly(bank.config, NEXT)
    rescored = datetime.now(UTC)
    bank.change(
        NIGHT,
        lambda day: day.with_columns(
            pl.col("amount") + pl.when(pl.col("id").str.ends_with("3")).then(500).otherwise(0)
        ),
    )
    mended = nightly(bank.config, NIGHT)
    corrected = datetime.now(UTC)
    last = nightly(bank.config, LAST)
    return Story(
        bank,
        before,
        scored,
        promoted,
        rescored,
        corrected,
        datetime.now(UTC),
        (first, again, mended, last),
        second,
    )


@pytest.fixture
def own(story: Story, tmp_path: Path) -> Bank:
    """A copy of the bank after the story, that a test may change."""
    shutil.copytree(story.bank.folder, tmp_path / "own")
    return Bank(tmp_path / "own")


@pytest.fixture
def staging(tmp_path: Path) -> Path:
    (tmp_path / "staging").mkdir()
    return tmp_path / "staging"


def replayed(bank: Bank, day: date, as_of: datetime, staging: Path) -> Replay:
    settings = load_settings(bank.config)
    return replay(settings, Warehouse(settings.warehouse, settings.name), day, as_of, staging)


def flags(bank: Bank, run_id: str) -> set[str]:
    return set(bank.table(f"select id from score_rows where run_id = '{run_id}' and is_flagged")["id"])


@pytest.mark.slow
def test_an_undisturbed_night_gives_its_own_flags_again(story: Story, staging: Path) -> None:
    first, _, _, last = story.nights
    for night, as_of in ((first, story.scored), (last, story.ended)):
        found = replayed(story.bank, night.date, as_of, staging)
        assert (found.stored.run_id, found.stored.missing, found.computed.missing) == (
            night.run_id,
            None,
            None,
        )
        for side in (found.stored, found.computed):
            assert (side.version, side.threshold, side.rows, side.flagged) == (
                night.model_version,
                night.threshold,
                ROWS,
                night.rows_flagged,
            )
            assert side.rule == "train_quantile 0.99"
        assert (found.differences, found.why) == ((), ())


@pytest.mark.slow
def test_a_version_promoted_since_the_run_gives_what_it_flags_when_the_night_is_scored_by_it(
    story: Story, staging: Path
) -> None:
    first, again, _, _ = story.nights
    found = replayed(story.bank, NEXT, story.promoted, staging)
    assert (found.stored.run_id, found.stored.version) == (first.run_id, first.model_version)
    assert (found.computed.version, found.computed.threshold, found.computed.flagged) == (
        story.second,
        again.threshold,
        again.rows_flagged,
    )
    stored, computed = flags(story.bank, first.run_id), flags(story.bank, again.run_id)
    assert stored != computed
    assert {row.id for row in found.differences if row.stored_flag} == stored - computed
    assert {row.id for row in found.differences if row.computed_flag} == computed - stored
    (why,) = found.why
    assert f"the run used {first.model_version}" in why
    assert f"was {story.second}, promoted at {story.promoted:%Y-%m-%d}" in why
    after = replayed(story.bank, NEXT, story.rescored, staging)
    assert (after.stored.run_id, after.differences, after.why) == (again.run_id, (), ())


@pytest.mark.slow
def test_before_and_after_a_corrected_source(story: Story, staging: Path) -> None:
    (first,) = story.bank.table(
        f"from runs where partition_date = '{NIGHT}' and superseded_at is not null"
    ).to_dicts()
    before = replayed(story.bank, NIGHT, story.rescored, staging)
    assert (before.stored.run_id, before.stored.flagged) == (first["run_id"], first["rows_flagged"])
    assert before.stored.missing is None
    assert "the source has changed since it was scored" in (before.computed.missing or "")
    assert (before.differences, before.why) == ((), ())
    mended = story.nights[2]
    after = replayed(story.bank, NIGHT, story.corrected, staging)
    assert (after.stored.run_id, after.stored.flagged, after.computed.flagged) == (
        mended.run_id,
        mended.rows_flagged,
        mended.rows_flagged,
    )
    assert after.differences == ()


@pytest.mark.slow
def test_a_date_that_was_not_scored_by_then_is_computed_alone(story: Story, staging: Path) -> None:
    last = story.nights[-1]
    found = replayed(story.bank, LAST, story.corrected, staging)
    assert (found.stored.run_id, found.stored.flagged) == (None, None)
    assert f"no run of {LAST} was committed by" in (found.stored.missing or "")
    assert (found.computed.version, found.computed.threshold, found.computed.flagged) == (
        story.second,
        last.threshold,
        last.rows_flagged,
    )
    nothing = replayed(story.bank, LAST, datetime(2000, 1, 1, tzinfo=UTC), staging)
    assert "no version was its champion by 2000-01-01 00:00:00 UTC" in (nothing.computed.missing or "")


@pytest.mark.slow
def test_frauds_are_counted_by_the_labels_that_were_recorded_by_then(story: Story, staging: Path) -> None:
    unknown = replayed(story.bank, NIGHT, datetime(2000, 1, 1, tzinfo=UTC), staging)
    assert (unknown.known_frauds, unknown.stored.frauds, unknown.computed.frauds) == (None, None, None)
    known = replayed(story.bank, NIGHT, story.ended, staging)
    frauds = set(story.bank.table(f"select id from labels where label and partition_date = '{NIGHT}'")["id"])
    assert known.known_frauds == len(frauds) == ROWS // 40
    found = len(frauds & flags(story.bank, story.nights[2].run_id))
    assert (known.stored.frauds, known.computed.frauds) == (found, found)


@pytest.mark.slow
def test_the_command_says_what_differs_with_status_0(story: Story) -> None:
    command = [
        "replay",
        "--config",
        str(story.bank.config),
        "--date",
        str(NEXT),
        "--as-of",
        story.promoted.isoformat(),
    ]
    as_json, as_text = (CliRunner().invoke(app, [*command, *more]) for more in (["--json"], []))
    assert (as_json.exit_code, as_text.exit_code) == (0, 0)
    assert json.loads(as_json.stdout)["computed"]["version"] == story.second
    assert "Why: the run used" in as_text.stdout
    assert story.second in as_text.stdout


@pytest.mark.slow
def test_another_configuration_is_named_as_a_reason(own: Bank, story: Story, staging: Path) -> None:
    own.configure("hidden = [8, 3, 8]", "hidden = [8, 2, 8]")
    found = replayed(own, LAST, story.ended, staging)
    assert (found.stored.flagged, found.differences) == (found.computed.flagged, ())
    assert len(found.why) == 2
    assert all("have changed since" in why for why in found.why)


@pytest.mark.slow
def test_pruned_rows_are_missed_in_words_and_computed_all_the_same(
    own: Bank, story: Story, staging: Path
) -> None:
    settings, tomorrow = load_settings(own.config), datetime.now(UTC).date() + timedelta(days=1)
    row_id = own.table(f"select id from scores where partition_date = '{LAST}'")["id"][0]
    prune(Warehouse(settings.warehouse, settings.name), 0, tomorrow, scores=True, yes=True)
    found = replayed(own, LAST, story.ended, staging)
    assert (found.stored.run_id, found.stored.flagged) == (
        story.nights[-1].run_id,
        story.nights[-1].rows_flagged,
    )  # the ledger knows them
    assert f"the rows of {found.stored.run_id} were pruned at" in (found.stored.missing or "")
    assert (found.computed.flagged, found.computed.missing) == (found.stored.flagged, None)
    assert (found.differences, found.why) == ((), ())
    pruned = {
        "versions": own.table("select version from champions order by effective_from limit 1")[
            "version"
        ].to_list()
    }
    Warehouse(settings.warehouse, settings.name).transact(
        lambda con: con.execute(sql.read("retention/mark_versions_pruned"), pruned),
    )  # kept till now for a rollback
    first = replayed(own, NEXT, story.scored, staging)
    assert "the artifact of its champion" in (first.computed.missing or "")
    with pytest.raises(EvaluationError, match="were pruned; score it again"):
        explain_row(settings, Warehouse(settings.warehouse, settings.name), LAST, row_id, staging)


def test_an_instant_is_the_end_of_its_date_and_utc_unless_it_says_otherwise() -> None:
    assert instant("2018-08-03") == datetime(2018, 8, 3, 23, 59, 59, 999999, tzinfo=UTC)
    assert instant("2018-08-03T07:00") == datetime(2018, 8, 3, 7, tzinfo=UTC)
    assert instant("2018-08-03 07:00+02:00") == datetime(2018, 8, 3, 5, tzinfo=UTC)
    refused = CliRunner().invoke(app, ["replay", "--date", "2018-08-03", "--as-of", "yesterday"])
    assert refused.exit_code == 2
