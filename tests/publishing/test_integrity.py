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
from flows.plain import nightly
from flows.settings import Settings, load_settings
from tasks.core.errors import WarehouseError, WarehouseHeld
from tasks.core.references import Night, RowSum
from tasks.core.row_sums import sum_of_ids
from tasks.operations.doctor import Setup, check_results, check_waiting
from tasks.publishing.commit import publish_night
from tasks.publishing.publish import waiting_folders
from tasks.publishing.staged_night import StagedNight, read_staged
from tasks.warehouse.connection import Warehouse

pytestmark = pytest.mark.slow

Spoil = Callable[[pl.DataFrame], pl.DataFrame]
SECOND = NIGHT + timedelta(days=1)


def never(*_: object) -> None:
    raise WarehouseHeld("held")


def warehouse_of(settings: Settings) -> Warehouse:
    return Warehouse(settings.warehouse, settings.name)


def publish(settings: Settings, staged: StagedNight) -> Night:
    return publish_night(settings, warehouse_of(settings), settings.evaluation.brake, staged)


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


def elsewhere(settings: Settings, folder: Path) -> Settings:
    """The same settings with a copy of the warehouse, which a test may change."""
    shutil.copy(settings.warehouse.uri, folder / "copy.duckdb")
    copied = settings.warehouse.model_copy(update={"uri": str(folder / "copy.duckdb")})
    return settings.model_copy(update={"warehouse": copied})


def with_scores(night: StagedNight, scores: pl.DataFrame) -> StagedNight:
    """The night with these scores instead of its own."""
    path = night.scored.path.with_name("spoilt.parquet")
    scores.write_parquet(path)
    return replace(night, scored=replace(night.scored, path=path))


def of_the_rows(night: StagedNight, ids: pl.Series) -> StagedNight:
    """The night as if validation had found rows of these ids and no others; all of them are clean."""
    found = sum_of_ids(ids)
    validated = replace(night.features.validated, found=found, clean=found)
    return replace(night, features=replace(night.features, validated=validated))


def with_refused(night: StagedNight, folder: Path, row_id: str) -> StagedNight:
    """The night as if validation had found one more row, and refused it."""
    before, refused = night.features.validated, sum_of_ids(pl.Series([row_id]))
    quarantine = folder / "quarantine.parquet"
    bad = {
        "row": [0],
        "id": [row_id],
        "copy": [0],
        "rule": ["range"],
        "column": ["amount"],
        "content": ["{}"],
    }
    pl.DataFrame(bad).write_parquet(quarantine)
    validated = replace(
        before,
        partition=replace(before.partition, rows=before.partition.rows + 1),
        refused=write_refused(folder, row_id),
        quarantine=quarantine,
        rows_quarantined=1,
        found=RowSum(before.clean.rows + 1, str(int(before.clean.total) + int(refused.total))),
    )
    return replace(night, features=replace(night.features, validated=validated))


def write_refused(folder: Path, row_id: str) -> Path:
    path = folder / "refused.parquet"
    pl.DataFrame({"id": [row_id], "copy": [0], "is_repeated": [False]}).write_parquet(path)
    return path


def require_untouched(settings: Settings) -> None:
    """The warehouse holds the first night and nothing else."""
    with warehouse_of(settings).reading() as con:
        assert con.sql("select distinct partition_date from score_rows").fetchall() == [(NIGHT,)]
        assert con.sql("select distinct partition_date from quarantine").fetchall() == []
        assert con.sql("select count(*) from runs").fetchall() == [(1,)]


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
    spoilt = spoil(pl.read_parquet(publication.scored.path))
    night = of_the_rows(with_scores(publication, spoilt), spoilt["id"])
    with pytest.raises(
        WarehouseError,
        match=rf"{SECOND}: .*{check} found .*run_id={publication.run_id}.*nothing was published",
    ):
        publish(settings, night)
    require_untouched(settings)


@pytest.mark.parametrize(
    ("spoil", "problem"),
    [
        (
            lambda rows: rows.with_columns(
                id=pl.when(pl.col("rank") < 3).then(pl.lit("twice")).otherwise("id")
            ),
            "400 scored and 0 refused rows are not the 400 rows of the gate: 'twice' scored more than once",
        ),
        (
            lambda rows: rows.head(-1),
            "399 scored and 0 refused rows are not the 400 rows of the gate",
        ),
        (
            lambda rows: pl.concat([rows, rows.head(1)]),
            "401 scored and 0 refused rows are not the 400 rows of the gate: .* scored more than once",
        ),
        (
            lambda rows: rows.with_columns(
                id=pl.when(pl.col("rank") == 1).then(pl.lit("of nowhere")).otherwise("id")
            ),
            "400 scored and 0 refused rows are not the 400 rows of the gate",
        ),
    ],
    ids=["one id twice", "a row is missing", "a row too many", "a row that was never read"],
)
def test_scored_rows_that_are_not_the_rows_that_were_read_are_not_published(
    kept: tuple[Settings, StagedNight], spoil: Spoil, problem: str
) -> None:
    settings, publication = kept
    spoilt = spoil(pl.read_parquet(publication.scored.path))
    with pytest.raises(WarehouseError, match=f"{SECOND}: {problem}; nothing was published"):
        publish(settings, with_scores(publication, spoilt))
    require_untouched(settings)


@pytest.mark.parametrize(
    ("refused_id", "named"),
    [("good", ""), ("bad", ": 'bad' scored and refused")],
    ids=["in both files", "in the scores alone"],
)
def test_a_scored_and_a_refused_row_that_are_swapped_stop_the_commit_although_every_count_agrees(
    kept: tuple[Settings, StagedNight], tmp_path: Path, refused_id: str, named: str
) -> None:
    settings, publication = kept
    rows = pl.read_parquet(publication.scored.path)
    swap = pl.col("rank") == 1
    good = rows.filter(swap)["id"].item()
    swapped = rows.with_columns(id=pl.when(swap).then(pl.lit("bad")).otherwise("id"))
    night = with_refused(of_the_rows(publication, rows["id"]), tmp_path, "bad")
    refused = write_refused(tmp_path, good if refused_id == "good" else "bad")
    validated = replace(night.features.validated, refused=refused)
    wrong = replace(with_scores(night, swapped), features=replace(night.features, validated=validated))
    with pytest.raises(
        WarehouseError,
        match=f"400 scored and 1 refused rows are not the 401 rows of the gate{named}; ",
    ):
        publish(settings, wrong)
    require_untouched(settings)


def test_scored_and_refused_rows_that_are_together_the_rows_that_were_read_are_published(
    kept: tuple[Settings, StagedNight], tmp_path: Path
) -> None:
    settings, publication = kept
    ids = pl.read_parquet(publication.scored.path)["id"]
    night = with_refused(of_the_rows(publication, ids), tmp_path, "bad")
    assert publish(elsewhere(settings, tmp_path), night).status == "committed"


def test_a_private_id_is_masked_in_what_a_check_shows(
    kept: tuple[Settings, StagedNight],
) -> None:
    settings, publication = kept
    private = settings.model_copy(
        update={"columns": settings.columns.model_copy(update={"private": ("id",)})}
    )
    rows = pl.read_parquet(publication.scored.path)
    spoilt = pl.concat([rows, rows.head(1)])
    twice = with_scores(publication, spoilt)
    with pytest.raises(WarehouseError, match=r"checks/unique_ids found 1: .* id=\*\*\* times=2") as refused:
        publish(private, of_the_rows(twice, spoilt["id"]))
    assert rows["id"][0] not in str(refused.value)
    with pytest.raises(WarehouseError, match="rows of the gate: scored more than once;") as refused:
        publish(private, twice)
    assert rows["id"][0] not in str(refused.value)


def test_scores_of_a_version_that_nobody_knows_are_not_published(kept: tuple[Settings, StagedNight]) -> None:
    settings, publication = kept
    with pytest.raises(WarehouseError, match=r"checks/models found 1: .*model_version=unknown"):
        publish(settings, replace(publication, version=replace(publication.version, name="unknown")))


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
            "insert into shadow_scores by name select * exclude "
            "(entity, event_time, reasons, details, rank_alone, flagged_by) "
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
