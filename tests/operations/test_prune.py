"""Retention: old data that is no longer needed is dropped and everything else stays; nothing outside the
dataset's own folder is ever touched.
"""

import fcntl
import json
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pytest
from banks import NIGHT, ROWS, Bank
from publications import publish, register, scored_night
from typer.testing import CliRunner

import sql
from flows.cli.app import app
from flows.plain import evaluate, nightly, retrain
from flows.settings import Settings, load_settings
from models.detector import manifest
from models.settings import ThresholdSettings
from tasks.core.errors import EvaluationError, WarehouseMissing
from tasks.core.references import Features, Partition, RowSum, Scored, Validated, Version
from tasks.operations import prune as pruning
from tasks.operations.prune import Pruning, prune
from tasks.publishing.integrity import Violation, violations
from tasks.publishing.staged_night import FILE, StagedNight, write_staged
from tasks.registry.versions import find_champion
from tasks.warehouse.connection import Warehouse
from tasks.warehouse.settings import WarehouseSettings

TODAY, KEEP = date(2026, 6, 30), 90
RECENT, OLD = date(2026, 6, 1), date(2026, 1, 1)
CONFIG = """
name = "bank"
source = { path = "{date}" }
columns = { id = "id" }
features = { numeric = ["x"] }
warehouse = { uri = "w.duckdb", files = "files" }
"""
COUNTED = ("runs", "labels", "metrics", "promotions", "models")


def at(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, 12, tzinfo=UTC)


@dataclass(frozen=True)
class Branch:
    """A dataset's results in a separate folder: rows as the ledger and the registry store them, files where
    the steps write them.
    """

    folder: Path

    @property
    def warehouse(self) -> WarehouseSettings:
        return WarehouseSettings(
            uri=str(self.folder / "w.duckdb"), files=str(self.folder / "files"), wait_seconds=1
        )

    @property
    def files(self) -> Path:
        return self.folder / "files" / "bank"

    def do(self, work: Callable[[duckdb.DuckDBPyConnection], Any]) -> Any:
        return Warehouse(self.warehouse, "bank").transact(work)

    def table(self, query: str) -> list[dict[str, Any]]:
        with Warehouse(self.warehouse, "bank").reading() as con:
            return con.execute(query).pl().to_dicts()

    def run(
        self,
        run_id: str,
        day: date,
        version: str,
        superseded: date | None = None,
        rows: int = 3,
        committed: date | None = None,
    ) -> None:
        values = {
            "run_id": run_id,
            "day": day,
            "version": version,
            "rows": rows,
            "committed": at(committed or day),
            "superseded": superseded and at(superseded),
        }
        self.do(
            lambda con: con.execute(
                """
                insert into runs by name
                select $run_id as run_id, $day as partition_date, 'committed' as status, $rows as rows_scored,
                    $version as model_version, $committed as committed_at, $superseded as superseded_at
                """,
                values,
            )
        )
        ids = pl.DataFrame(
            {"run_id": run_id, "partition_date": day, "id": [f"{run_id}/{number}" for number in range(rows)]}
        )
        for table in ("score_rows", "quarantine"):
            self.do(
                lambda con, table=table: (
                    con.register("ids", ids.to_arrow()),
                    con.execute(f"insert into {table} by name from ids"),
                )
            )

    def version(
        self, name: str, trained: date, promoted: date | None = None, path: str | None = None
    ) -> None:
        artifact = self.files / "models" / name
        artifact.mkdir(parents=True)
        (artifact / "network_0.keras").write_bytes(b"x" * 100)
        self.file(f"cards/{name}.html", trained)
        touch(artifact, trained)
        model = {
            "version": name,
            "artifact": path or f"bank/models/{name}",
            "card": f"bank/cards/{name}.html",
            "trained": at(trained),
        }
        self.do(
            lambda con: con.execute(
                """
                insert into models by name
                select $version as version, $artifact as artifact_path, $card as card_path,
                    $trained as trained_at
                """,
                model,
            )
        )
        if promoted:
            values = {"from": promoted, "at": at(trained), "version": name}
            statement = (
                "insert into promotions by name select $from as effective_from, $at as "
                "promoted_at, $version as version"
            )
            self.do(lambda con: con.execute(statement, values))

    def file(self, name: str, changed: date, text: str = "page") -> Path:
        path = self.files / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        touch(path, changed)
        return path

    def everything(self) -> tuple[Any, ...]:
        """Every row of the warehouse and every file, with its content."""
        tables = [
            sorted(map(str, self.table(f"from {name}"))) for name in (*COUNTED, "score_rows", "quarantine")
        ]
        return (
            tables,
            {
                path: path.read_bytes()
                for path in sorted(self.folder.rglob("*"))
                if path.is_file() and path.suffix != ".duckdb"
            },
        )

    def prune(self, **options: Any) -> Pruning:
        return prune(Warehouse(self.warehouse, "bank"), KEEP, TODAY, **options)


def touch(path: Path, day: date) -> None:
    os.utime(path, (at(day).timestamp(),) * 2)


def kinds(pruned: Pruning) -> dict[str, int]:
    return {dropped.kind: dropped.count for dropped in pruned.dropped}


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Branch:
    """One old and one recent item of every kind."""
    branch = Branch(tmp_path_factory.mktemp("template") / "branch")
    branch.version("first", OLD, promoted=OLD)  # replaced as champion before the first date that is kept
    branch.version(
        "kept", OLD + timedelta(days=1), promoted=date(2026, 3, 1)
    )  # champion on the first date that is kept
    branch.version("last", RECENT, promoted=RECENT)
    branch.version("used", OLD)  # never promoted, but a current run has used it
    branch.run("superseded-long-ago", OLD, "first", superseded=OLD + timedelta(days=1))
    branch.run("superseded-lately", OLD + timedelta(days=2), "first", superseded=RECENT)
    branch.run("current-and-old", OLD, "used")
    branch.run("current", RECENT, "last")
    branch.do(lambda con: con.execute("insert into labels (id, partition_date) values ('a', '2020-01-01')"))
    branch.do(lambda con: con.execute("insert into metrics (metric, first_date) values ('f1', '2020-01-01')"))
    for day in (OLD, RECENT):
        for name in (
            f"data-docs/{day}.html",
            f"reports/report-{OLD}_{day}.html",
            f"reports/report-{OLD}_{day}.json",
            f"staging/{day}/scores.parquet",
        ):
            touch(branch.file(name, day).parent, day)
    return branch


@pytest.fixture
def branch(template: Branch, tmp_path: Path) -> Branch:
    """A copy for one test; its files are as old as those of the template."""
    shutil.copytree(template.folder, tmp_path / "branch")
    return Branch(tmp_path / "branch")


def test_without_yes_everything_stays_as_it_is(branch: Branch) -> None:
    before = branch.everything()
    would = branch.prune(scores=True)
    assert branch.everything() == before
    did = branch.prune(scores=True, yes=True)
    assert (would.done, did.done) == (False, True)
    assert (would.dropped, would.left) == (did.dropped, did.left)
    assert branch.prune(scores=True, yes=True).dropped == ()


def test_superseded_rows_age_from_when_they_were_superseded_and_current_ones_stay(branch: Branch) -> None:
    pruned = branch.prune(yes=True)
    (rows,) = [dropped for dropped in pruned.dropped if dropped.kind == pruning.SUPERSEDED]
    assert (rows.count, rows.rows, rows.oldest, rows.newest) == (
        1,
        3,
        OLD + timedelta(days=1),
        OLD + timedelta(days=1),
    )
    kept = {"superseded-lately", "current-and-old", "current"}
    for table in ("score_rows", "quarantine"):
        assert {row["run_id"] for row in branch.table(f"from {table}")} == kept
    assert {run["run_id"] for run in branch.table("from runs where pruned_at is not null")} == {
        "superseded-long-ago"
    }


def test_old_scores_of_current_runs_and_their_version_are_dropped_only_on_request(
    branch: Branch,
) -> None:
    branch.prune(scores=True, yes=True)
    assert {row["run_id"] for row in branch.table("from score_rows union from score_rows")} == {
        "superseded-lately",
        "current",
    }
    assert {row["version"] for row in branch.table("from models where pruned_at is not null")} == {
        "first",
        "used",
    }
    assert not (branch.files / "models" / "used").exists()


def test_the_ledger_labels_metrics_promotions_and_versions_are_never_deleted(branch: Branch) -> None:
    before = {name: len(branch.table(f"from {name}")) for name in COUNTED}
    branch.prune(scores=True, yes=True)
    assert {name: len(branch.table(f"from {name}")) for name in COUNTED} == before


def test_an_artifact_and_its_card_are_removed_once_nothing_can_need_them(branch: Branch) -> None:
    branch.prune(yes=True)
    assert {path.name for path in (branch.files / "models").iterdir()} == {"kept", "last", "used"}
    assert {path.stem for path in (branch.files / "cards").iterdir()} == {"kept", "last", "used"}
    assert {row["version"] for row in branch.table("from models where pruned_at is not null")} == {"first"}


def test_a_fresh_backfill_of_old_dates_is_young(branch: Branch) -> None:
    backfilled = OLD - timedelta(days=400)
    branch.version("backfill", RECENT)
    branch.run("backfilled", backfilled, "backfill", committed=RECENT)
    names = [
        f"data-docs/{backfilled}.html",
        f"reports/report-{backfilled}_{backfilled}.html",
        f"reports/report-{backfilled}_{backfilled}.json",
        f"staging/{backfilled}/scores.parquet",
    ]
    for name in names:
        touch(branch.file(name, RECENT).parent, RECENT)
    branch.prune(scores=True, yes=True)
    assert [name for name in names if not (branch.files / name).exists()] == []
    assert len(branch.table("from score_rows where run_id = 'backfilled'")) == 3
    assert len(branch.table("from quarantine where run_id = 'backfilled'")) == 3
    assert (branch.files / "models" / "backfill").is_dir()


def test_a_version_stays_while_a_run_committed_lately_uses_it(branch: Branch) -> None:
    branch.run("rescored", OLD - timedelta(days=1), "used", committed=RECENT)
    branch.prune(scores=True, yes=True)
    assert {row["version"] for row in branch.table("from models where pruned_at is not null")} == {"first"}
    assert (branch.files / "models" / "used").is_dir()


def test_scores_of_a_recent_date_that_were_committed_long_ago_are_old(branch: Branch) -> None:
    branch.run("long-ago", RECENT, "last", committed=OLD)
    (scores,) = [each for each in branch.prune(scores=True).dropped if each.kind == pruning.SCORES]
    assert (scores.count, scores.oldest, scores.newest) == (2, OLD, OLD)


def test_pages_and_staging_age_from_their_last_change(branch: Branch) -> None:
    assert (
        kinds(branch.prune(yes=True)).items()
        >= {"Data Docs pages": 1, "reports": 2, "staging folders": 1}.items()
    )
    left = {
        path.name
        for folder in ("data-docs", "reports", "staging")
        for path in (branch.files / folder).iterdir()
    }
    assert left == {
        f"{RECENT}.html",
        f"report-{OLD}_{RECENT}.html",
        f"report-{OLD}_{RECENT}.json",
        str(RECENT),
    }


def test_staging_in_use_and_a_night_that_waits_stay_and_are_reported(branch: Branch) -> None:
    waiting = branch.file(f"staging/{OLD + timedelta(days=1)}/{FILE}", OLD, text="{}").parent
    running = branch.files / "staging" / str(OLD)
    scratch = branch.file("staging/scratch-0000/x", OLD).parent
    with (running / "running").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for folder in (waiting, running, scratch):
            touch(folder, OLD)
        before = sorted(running.iterdir())
        pruned = branch.prune(yes=True)
        assert sorted(running.iterdir()) == before
    assert waiting.is_dir()
    assert not scratch.exists()
    assert [words for words in pruned.left if str(waiting) in words and "nightscore publish" in words]
    assert [words for words in pruned.left if f"{running} is in use by a running process" in words]
    assert branch.prune(yes=True).dropped[0].count == 1  # its process has ended
    assert not running.exists()


def test_the_version_of_a_waiting_night_stays(branch: Branch) -> None:
    staged = branch.files / "staging" / str(OLD)
    every_row = RowSum(3, "0")
    validated = Validated(
        Partition(OLD, 3, "fingerprint"),
        staged / "refused.parquet",
        staged / "quarantine.parquet",
        0,
        found=every_row,
        clean=every_row,
        data_docs=staged / "page.html",
    )
    features = Features(validated, path=None)
    version = Version(
        "first",
        OLD,
        OLD,
        OLD,
        str(branch.files / "models" / "first"),
        "hash",
        branch.files / "cards" / "first.html",
    )
    scored = Scored(staged / "scores.parquet", 3, 0, 1.0)
    night = StagedNight(
        "run",
        features,
        scored,
        version,
        "hash",
        ThresholdSettings(),
        at(OLD),
        {},
        force=False,
        doubt=None,
        format=4,
    )
    write_staged(night, staged)
    branch.prune(yes=True)
    assert staged.is_dir()
    assert (branch.files / "models" / "first").is_dir()
    assert branch.table("from models where pruned_at is not null") == []


def test_old_orphaned_artifacts_are_removed(branch: Branch) -> None:
    for name, changed in (
        ("models/old-orphan/f", OLD),
        ("models/.old.tmp/f", OLD),
        ("models/young-orphan/f", RECENT),
    ):
        touch(branch.file(name, changed).parent, changed)
    branch.file("cards/old-orphan.html", OLD)
    assert kinds(branch.prune(yes=True))["orphaned artifacts and cards"] == 3
    assert {path.name for path in (branch.files / "models").iterdir()} == {
        "kept",
        "last",
        "used",
        "young-orphan",
    }


@pytest.mark.parametrize(
    "path",
    [
        "../../precious",
        "bank/../../../precious",
        "bank/models",
        "bank",
        "/precious",
        "bank/models/../reports",
    ],
)
def test_a_foreign_path_in_the_warehouse_is_never_followed(branch: Branch, path: str, tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "file").write_text("precious")
    branch.version(
        "hostile", OLD, path=path.replace("/precious", str(precious)) if path.startswith("/") else path
    )
    pruned = branch.prune(scores=True, yes=True)
    assert (precious / "file").read_text() == "precious"
    assert [words for words in pruned.left if words.startswith("hostile names an artifact or a card outside")]
    assert {row["version"] for row in branch.table("from models where pruned_at is not null")} == {
        "first",
        "used",
    }
    assert {"kept", "last"} <= {path.name for path in (branch.files / "models").iterdir()}
    assert (branch.files / "reports").is_dir()


def test_links_are_not_followed(branch: Branch, tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    (precious / str(OLD)).mkdir(parents=True)
    (precious / str(OLD) / "file").write_text("precious")
    shutil.rmtree(branch.files / "models" / "first")
    (branch.files / "models" / "first").symlink_to(precious)
    shutil.rmtree(branch.files / "staging")
    (branch.files / "staging").symlink_to(precious)
    (branch.files / "reports" / f"report-{OLD}_{OLD}.html").unlink()
    (branch.files / "reports" / f"report-{OLD}_{OLD}.html").symlink_to(precious / str(OLD) / "file")
    os.utime(
        branch.files / "reports" / f"report-{OLD}_{OLD}.html",
        (at(OLD).timestamp(),) * 2,
        follow_symlinks=False,
    )
    pruned = branch.prune(yes=True)
    assert (precious / str(OLD) / "file").read_text() == "precious"
    assert sum("is a link" in words for words in pruned.left) == 3


def test_a_crash_after_the_commit_leaves_only_what_the_next_prune_removes(
    branch: Branch, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = Branch(branch.folder.with_name("whole"))
    shutil.copytree(branch.folder, whole.folder)

    def crash(*arguments: object) -> bool:
        raise KeyboardInterrupt

    monkeypatch.setattr(pruning, "remove_file", crash)
    with pytest.raises(KeyboardInterrupt):
        branch.prune(scores=True, yes=True)
    monkeypatch.undo()
    assert (branch.files / "models" / "first").is_dir()
    branch.prune(scores=True, yes=True)
    whole.prune(scores=True, yes=True)
    names = [
        sorted(str(path.relative_to(each.folder)) for path in each.files.rglob("*"))
        for each in (branch, whole)
    ]
    assert names[0] == names[1]


def test_a_failing_transaction_leaves_warehouse_and_files(
    branch: Branch, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = branch.everything()
    monkeypatch.setattr(
        sql,
        "read",
        lambda name, read=sql.read: read(name) if name != "retention/mark_versions_pruned" else "selec",
    )
    with pytest.raises(duckdb.Error):
        branch.prune(scores=True, yes=True)
    monkeypatch.undo()
    assert branch.everything() == before


def test_the_space_of_dropped_rows_is_reused(tmp_path: Path) -> None:
    branch = Branch(tmp_path / "large")
    branch.version("v", RECENT)
    branch.run("old", OLD, "v", superseded=OLD, rows=150_000)
    size = Path(branch.warehouse.uri).stat().st_size
    branch.prune(yes=True)
    branch.run("new", RECENT, "v", rows=150_000)
    assert Path(branch.warehouse.uri).stat().st_size <= 1.1 * size


def test_the_command_lists_before_it_drops_and_reports_when_there_is_nothing_to_drop(branch: Branch) -> None:
    with pytest.raises(WarehouseMissing):
        prune(Warehouse(branch.warehouse, "nobody"), KEEP, TODAY, yes=True)
    config = branch.folder / "nightscore.toml"
    config.write_text(CONFIG)
    asked = ["prune", "--config", str(config), "--keep-days", "90"]
    listed = CliRunner().invoke(app, asked)
    assert listed.exit_code == 0
    assert "nothing was changed: add --yes" in listed.stdout
    dropped = json.loads(CliRunner().invoke(app, [*asked, "--yes", "--json"]).stdout)
    assert dropped["done"]
    assert "There is nothing from before" in CliRunner().invoke(app, asked).stdout


@pytest.mark.slow
def test_a_pruned_version_scores_no_night_until_it_is_trained_again(scored_bank: Bank) -> None:
    settings = load_settings(scored_bank.config)
    (model,) = scored_bank.table("from models").to_dicts()
    shutil.rmtree(Path(settings.warehouse.files) / model["artifact_path"])
    Warehouse(settings.warehouse, settings.name).transact(
        lambda con: con.execute(sql.read("retention/mark_versions_pruned"), {"versions": [model["version"]]}),
    )
    assert find_champion(settings, Warehouse(settings.warehouse, settings.name), NIGHT) is None
    assert retrain(scored_bank.config, NIGHT).name == model["version"]
    (again,) = scored_bank.table("from models").to_dicts()
    assert (again["version"], again["pruned_at"]) == (model["version"], None)
    champion = find_champion(settings, Warehouse(settings.warehouse, settings.name), NIGHT)
    assert champion
    assert manifest.fingerprint(Path(champion.path)) == champion.sha256 == again["artifact_sha256"]


@pytest.mark.slow
def test_a_night_whose_rows_were_pruned_keeps_its_ledger_row_and_is_not_evaluated(scored_bank: Bank) -> None:
    settings = load_settings(scored_bank.config)
    (run_id,) = scored_bank.table("from runs")["run_id"]
    for statement in ("retention/delete_scores", "retention/delete_quarantine", "retention/mark_runs_pruned"):
        Warehouse(settings.warehouse, settings.name).transact(
            lambda con, name=statement: con.execute(sql.read(name), {"runs": [run_id]}),
        )
    (line,) = scored_bank.table("from daily").to_dicts()
    assert (line["partition_date"], line["rows_scored"], line["median_score"]) == (NIGHT, ROWS, None)
    assert list(violations_of(settings)) == []
    with pytest.raises(EvaluationError, match="no date has a committed run whose rows are kept"):
        evaluate(scored_bank.config, NIGHT, NIGHT)
    assert nightly(scored_bank.config, NIGHT).status == "already committed"


def violations_of(settings: Settings) -> list[Violation]:
    with Warehouse(settings.warehouse, settings.name).reading() as con:
        return list(violations(con))


@pytest.mark.slow
def test_a_lake_removes_the_files_of_pruned_rows(tmp_path: Path) -> None:
    lake = WarehouseSettings(uri=f"ducklake:sqlite:{tmp_path / 'lake.sqlite'}", files=str(tmp_path / "files"))
    register(lake)
    for fingerprint in ("first", "second"):
        publish(lake, scored_night(tmp_path / "files" / "bank", fingerprint))
    later = datetime.now(UTC).date() + timedelta(days=2)
    assert prune(Warehouse(lake, "bank"), 1, later, yes=True).dropped
    left = "call ducklake_cleanup_old_files('warehouse', cleanup_all => true, dry_run => true)"
    with Warehouse(lake, "bank").reading() as con:
        assert con.sql("select count(*), count(distinct run_id) from score_rows").fetchall() == [(20, 1)]
        assert len(con.sql("from ducklake_snapshots('warehouse')").fetchall()) == 1
    files = Warehouse(lake, "bank").transact(lambda con: con.execute(left).fetchall())
    assert any("score_rows" in str(file) for file in files)
    assert (
        len(list((tmp_path / "files" / "lake").rglob("score_rows/*.parquet"))) == 2
    )  # a reader may use the first one for another day
