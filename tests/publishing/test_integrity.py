"""What must hold of results is checked before the commit, by the statements of `sql/checks/*.sql`."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import polars as pl
import pytest
from banks import NIGHT, Bank

import sql
import tasks.publishing.publish
from flows.serving.deployments import nightly
from flows.settings import Settings, load_settings
from tasks.core.errors import WarehouseError, WarehouseHeld
from tasks.core.references import Night
from tasks.operations.doctor import Setup, check_results, check_waiting
from tasks.publishing.integrity import violations
from tasks.publishing.publish import publish_night, waiting_folders
from tasks.publishing.staged_night import StagedNight, read_staged
from tasks.warehouse.connection import Warehouse

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("prefect_server")]

Spoil = Callable[[pl.DataFrame], pl.DataFrame]
SECOND = NIGHT + timedelta(days=1)


def never(*_: object) -> None:
    raise WarehouseHeld("held")


def warehouse_of(settings: Settings) -> Warehouse:
    return Warehouse(settings.warehouse, settings.name)


def publish(settings: Settings, staged: StagedNight) -> Night:
    return publish_night(settings, warehouse_of(settings), settings.evaluation.flagged_share, staged)


@pytest.fixture(scope="module")
def kept(
    scored_bank_template: Bank, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Settings, StagedNight]:
    """A scored second night that was not committed; a test must leave the warehouse as it is."""
    bank = Bank(tmp_path_factory.mktemp("kept") / "bank")
    shutil.copytree(scored_bank_template.folder, bank.folder)
    settings = load_settings(bank.config)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(tasks.publishing.publish, "publish_night", never)
        with pytest.raises(WarehouseHeld):
            nightly(bank.config, SECOND)
    publication = read_staged(waiting_folders(settings.files)[0])
    assert publication
    return settings, publication


@pytest.mark.parametrize(
    ("check", "spoil"),
    [
        (
            "checks/unique_ids",
            lambda rows: rows.with_columns(
                id=pl.when(pl.col("rank") < 3).then(pl.lit("twice")).otherwise("id")
            ),
        ),
        ("checks/conservation", lambda rows: rows.head(-1)),
        ("checks/conservation", lambda rows: rows.with_columns(is_flagged=pl.lit(True))),
        ("checks/ranges", lambda rows: rows.with_columns(p_value=pl.lit(0.0))),
        ("checks/ranges", lambda rows: rows.with_columns(rank=pl.col("rank") - 1)),
        ("checks/ranges", lambda rows: rows.with_columns(score=pl.lit(float("nan"), pl.Float32))),
    ],
)
def test_a_failed_check_stops_the_commit_and_shows_what_offends(
    kept: tuple[Settings, StagedNight], check: str, spoil: Spoil
) -> None:
    settings, publication = kept
    spoilt = publication.scored.path.with_name("spoilt.parquet")
    spoil(pl.read_parquet(publication.scored.path)).write_parquet(spoilt)
    with pytest.raises(
        WarehouseError,
        match=rf"{SECOND}: .*{check} found .*run_id={publication.run_id}.*nothing was published",
    ):
        publish(settings, replace(publication, scored=replace(publication.scored, path=spoilt)))
    with warehouse_of(settings).reading() as con:
        assert con.sql("select distinct partition_date from score_rows").fetchall() == [(NIGHT,)]
        assert con.sql("select count(*) from runs").fetchall() == [(1,)]


def test_a_private_id_is_masked_in_what_a_check_shows(
    kept: tuple[Settings, StagedNight], tmp_path: Path
) -> None:
    settings, publication = kept
    rows = pl.read_parquet(publication.scored.path)
    pl.concat([rows, rows.head(1)]).write_parquet(tmp_path / "twice.parquet")
    twice = replace(publication, scored=replace(publication.scored, path=tmp_path / "twice.parquet"))
    with pytest.raises(WarehouseError, match=r"checks/unique_ids found 1: .* id=\*\*\* times=2") as refused:
        publish(
            settings.model_copy(update={"columns": settings.columns.model_copy(update={"private": ("id",)})}),
            twice,
        )
    assert rows["id"][0] not in str(refused.value)


def test_scores_of_a_version_that_nobody_knows_are_not_published(kept: tuple[Settings, StagedNight]) -> None:
    settings, publication = kept
    with pytest.raises(WarehouseError, match=r"checks/models found 1: .*model_version=unknown"):
        publish(settings, replace(publication, version=replace(publication.version, name="unknown")))


def test_a_night_of_attacks_is_published_with_a_warning(
    kept: tuple[Settings, StagedNight], tmp_path: Path
) -> None:
    settings, publication = kept
    shutil.copy(settings.warehouse.uri, tmp_path / "copy.duckdb")
    copied = settings.warehouse.model_copy(update={"uri": str(tmp_path / "copy.duckdb")})
    elsewhere = settings.model_copy(update={"warehouse": copied})
    attacked = pl.read_parquet(publication.scored.path).with_columns(is_flagged=pl.lit(True))
    attacked.write_parquet(tmp_path / "attacked.parquet")
    scored = replace(publication.scored, path=tmp_path / "attacked.parquet", flagged=attacked.height)
    assert publish(elsewhere, replace(publication, scored=scored)).status == "committed"
    with warehouse_of(elsewhere).reading() as con:
        ((message,),) = con.execute(
            "select message from runs where run_id = $run_id", {"run_id": publication.run_id}
        ).fetchall()
        assert list(violations(con)) == []
    assert message == "100.00% of the rows are flagged, outside evaluation.flagged_share 0.00%..10.00%"


@pytest.mark.parametrize(
    ("check", "spoil"),
    [
        ("checks/conservation", "delete from score_rows where rank = 1"),
        ("checks/unique_ids", "insert into score_rows from score_rows where rank = 1"),
        ("checks/ranges", "update score_rows set p_value = 1.5 where rank = 1"),
        ("checks/ranges", "update score_rows set error = null where rank = 1"),
        ("checks/one_current_run", "insert into runs select * replace ('other' as run_id) from runs"),
        ("checks/models", "delete from models"),
        (
            "checks/shadow_scores",
            "insert into shadow_scores by name select * exclude (entity, event_time, reasons, details) "
            "replace ('other' as model_version) "
            "from score_rows where rank = 1",
        ),
    ],
)
def test_doctor_finds_what_was_spoilt_afterwards(scored_bank: Bank, check: str, spoil: str) -> None:
    settings = load_settings(scored_bank.config)
    setup = Setup(settings, Warehouse(settings.warehouse, settings.name), settings.notify)
    assert check_results(setup).ok is True
    Warehouse(settings.warehouse, settings.name).transact(lambda con: con.execute(spoil))
    found = check_results(setup)
    assert found.ok is False
    assert f"{check} found" in found.found


def test_every_check_says_what_it_returns() -> None:
    assert len(sql.names("checks/*")) >= 5
    assert all(
        "None means pass." in sql.read(name).split("\nwith")[0].split("\nselect")[0]
        for name in sql.names("checks/*")
    )


def test_doctor_names_the_nights_that_wait(kept: tuple[Settings, StagedNight]) -> None:
    settings, publication = kept
    settings = load_settings(publication.scored.path.parents[4] / "nightscore.toml")
    found = check_waiting(Setup(settings, warehouse_of(settings), settings.notify))
    assert (found.ok, found.fix) == (None, "run `nightscore publish`")
    assert str(SECOND) in found.found
