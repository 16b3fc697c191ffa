"""`nightscore doctor`: it finds and names every problem that it checks for, and never raises one."""

import subprocess
import sys
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pytest
from prefect.settings import PREFECT_API_URL, PREFECT_SERVER_ANALYTICS_ENABLED, temporary_settings

from tasks.core.dataset import Dataset
from tasks.notifications.settings import NotifySettings
from tasks.operations import doctor as health
from tasks.operations import installation
from tasks.operations.doctor import RESULTS, SOURCE, Setup, checks
from tasks.operations.installation import INSTALLATION, Check, checks_without_configuration, guarded
from tasks.operations.rehearsal import REHEARSED
from tasks.warehouse.connection import Warehouse
from tasks.warehouse.settings import WarehouseSettings

DAY = date(2024, 3, 1)


@pytest.fixture
def setup(tmp_path: Path) -> Setup:
    pl.DataFrame({"id": [1, 2], "amount": [1.0, 2.0], "fraud": [0, 1]}).write_parquet(
        tmp_path / f"{DAY}.parquet"
    )
    sql = (
        "-- one row per row\nselect id, ln(amount) as log_amount from history where _partition_date = "
        "$partition_date"
    )
    (tmp_path / "features.sql").write_text(sql)
    return Setup(
        dataset_of(tmp_path),
        cards(WarehouseSettings(uri=str(tmp_path / "warehouse.duckdb"), files=str(tmp_path / "files"))),
        NotifySettings(),
    )


def dataset_of(folder: Path, **sections: dict[str, Any]) -> Dataset:
    content: dict[str, Any] = {
        "source": {"path": f"{folder}/{{date}}.parquet"},
        "columns": {"id": "id", "label": "fraud"},
        "features": {"numeric": ["amount"]},
    }
    return Dataset.model_validate({"name": "cards"} | content | sections)


def cards(settings: WarehouseSettings) -> Warehouse:
    return Warehouse(settings, "cards")


def look(name: str, setup: Setup, dataset: Dataset | None = None) -> Check:
    return getattr(health, f"check_{name}")(Setup(dataset or setup.dataset, setup.warehouse, setup.notify))


@pytest.mark.slow
def test_a_correct_setup_passes_and_is_not_changed(setup: Setup, tmp_path: Path) -> None:
    before = sorted(tmp_path.iterdir())
    found = list(checks(setup))
    assert len(found) == len(INSTALLATION) + len(SOURCE) + len(REHEARSED) + len(RESULTS)
    assert all(check.found for check in found)
    besides = {"telemetry", "disk", "training"}  # there is one date, so none to learn from
    assert not [check for check in found if check.ok is False and check.name not in besides]
    assert all(bool(check.fix) == (check.ok is False) for check in found if check.ok is not None)
    assert sorted(tmp_path.iterdir()) == before


def test_no_check_ever_raises(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> Check:
        raise RuntimeError("it fell over\nwith a long story")

    monkeypatch.setattr(installation, "INSTALLATION", (broken,))
    nowhere = cards(WarehouseSettings(uri=str(tmp_path), files=str(tmp_path / "files")))
    found = list(checks(Setup(dataset_of(tmp_path / "absent"), nowhere, NotifySettings())))
    assert found[0] == Check(
        "broken", False, "it fell over", "fix the error, then run `nightscore doctor` again"
    )
    assert found[0].to_json() == {
        "name": "broken",
        "ok": False,
        "found": "it fell over",
        "mend": "fix the error, then run `nightscore doctor` again",
    }
    wrong = {check.name: check for check in found if check.ok is False}
    assert {"source", "columns", "warehouse"} <= wrong.keys()
    assert all(check.fix and "\n" not in check.found for check in wrong.values())


def test_the_dates_of_the_source_are_counted_and_the_newest_is_read(setup: Setup, tmp_path: Path) -> None:
    assert look("source", setup) == Check("source", True, f"1 dates, {DAY} to {DAY}; the newest has 2 rows")
    assert look("source", setup, dataset_of(tmp_path / "empty")).ok is False
    (tmp_path / "2024-03-02.parquet").write_bytes(b"PAR1 torn")
    torn = checks_of("source", setup)
    assert torn.ok is False
    assert "2024-03-02" in torn.found


def checks_of(name: str, setup: Setup) -> Check:
    """The check as `checks` runs it, with its exceptions caught."""
    return guarded(name, lambda: look(name, setup))


@pytest.mark.parametrize(
    ("sections", "missing"),
    [
        ({}, None),
        ({"columns": {"id": "id", "time": "when", "entity": "card"}}, "card, when"),
        ({"columns": {"id": "id", "details": ["till"]}}, "till"),
        ({"features": {"numeric": ["amount", "age"]}}, "age"),
        ({"features": {"numeric": ["built_by_sql"], "sql": "features"}}, None),
    ],
)
def test_missing_columns_are_named(
    setup: Setup, tmp_path: Path, sections: dict[str, Any], missing: str | None
) -> None:
    check = look("columns", setup, dataset_of(tmp_path, **sections))
    assert check.ok is (missing is None)
    assert missing is None or check.found == f"missing: {missing}"


@pytest.mark.parametrize(
    ("text", "feature", "ok", "found"),
    [
        (None, "log_amount", True, "returns all 1 features"),
        (None, "age", False, "does not return age"),
        ("selec 1", "log_amount", False, "syntax error"),
        ("select id, ln(price) as log_amount from history", "log_amount", False, "price"),
    ],
)
def test_feature_sql_is_bound(
    setup: Setup, tmp_path: Path, text: str | None, feature: str, ok: bool, found: str
) -> None:
    file = tmp_path / "features.sql"
    if text:
        file.write_text(text)
    check = look(
        "feature_sql", setup, dataset_of(tmp_path, features={"sql": str(file), "numeric": [feature]})
    )
    assert check.ok is ok
    assert found in check.found


def test_feature_sql_may_be_missing_only_if_none_is_configured(setup: Setup, tmp_path: Path) -> None:
    assert look("feature_sql", setup).ok is None
    absent = look(
        "feature_sql",
        setup,
        dataset_of(tmp_path, features={"sql": str(tmp_path / "absent.sql"), "numeric": ["x"]}),
    )
    assert absent.ok is False
    assert "absent.sql" in absent.found


def test_a_new_an_existing_and_a_broken_warehouse(setup: Setup) -> None:
    assert "does not exist yet" in look("warehouse", setup).found
    assert not Path(setup.warehouse.settings.uri).exists()
    with duckdb.connect(setup.warehouse.settings.uri) as con:
        con.execute("create schema cards")
    assert look("warehouse", setup).found.endswith("it holds cards")
    Path(setup.warehouse.settings.uri).write_bytes(b"no database at all" * 999)
    assert checks_of("warehouse", setup).ok is False
    lake = WarehouseSettings(uri="ducklake:postgres:host=127.0.0.1 port=9 dbname=x password=secret")
    unreachable = guarded(
        "warehouse", lambda: look("warehouse", Setup(setup.dataset, cards(lake), setup.notify))
    )
    assert unreachable.ok is False
    assert "127.0.0.1" in unreachable.found
    assert "secret" not in unreachable.found


def test_a_lake_is_checked_like_a_file(setup: Setup, tmp_path: Path) -> None:
    lake = WarehouseSettings(uri=f"ducklake:sqlite:{tmp_path / 'lake.sqlite'}", files=str(tmp_path / "files"))
    assert "does not exist yet" in look("warehouse", Setup(setup.dataset, cards(lake), setup.notify)).found
    Warehouse(lake, "cards").transact(lambda con: con.execute("select 1"))
    assert look("warehouse", Setup(setup.dataset, cards(lake), setup.notify)).found.endswith("it holds cards")
    assert look("results", Setup(setup.dataset, cards(lake), setup.notify)).ok is True


def test_a_held_warehouse_is_distinguished_from_a_broken_one(setup: Setup) -> None:
    hold = (
        f"import duckdb; con = duckdb.connect({setup.warehouse.settings.uri!r}); print('held', "
        "flush=True); input()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", hold], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout
        assert holder.stdout.readline() == "held\n"
        check = look("warehouse", setup)
        holder.communicate("\n")
    assert check.ok is None
    assert "held by another process" in check.found
    assert look("warehouse", setup).ok is True


def test_too_little_disk_space_is_reported(setup: Setup, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "FREE_GIB", 1e9)
    check = look("disk", setup)
    assert check.ok is False
    folder = Path(setup.warehouse.settings.files)
    assert str(folder.parent) in check.found
    assert not folder.exists()


def test_installed_versions_are_compared_with_the_declared_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    assert installation.check_python().ok is True
    assert installation.check_packages().ok is True
    monkeypatch.setattr(
        installation.metadata,
        "requires",
        lambda _: ["duckdb==0.1", "nobody-has-this", "absent; extra == 'gpu'"],
    )
    check = installation.check_packages()
    assert check.ok is False
    assert check.found == f"duckdb is {duckdb.__version__}, ==0.1 needed; nobody-has-this is not installed"


def test_a_tensorflow_that_kills_its_process_is_only_a_failed_check(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    killed = tmp_path / "python"
    killed.write_text("#!/bin/sh\nkill -ILL $$\n")
    killed.chmod(0o755)
    monkeypatch.setattr(installation.sys, "executable", str(killed))
    check = installation.check_device()
    assert check.ok is False
    assert "ended with status -4" in check.found


def test_a_silent_prefect_server_and_enabled_telemetry_are_reported(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with temporary_settings(restore_defaults={PREFECT_API_URL}):
        assert installation.check_prefect().ok is True
    with temporary_settings({PREFECT_API_URL: "http://127.0.0.1:9/api"}):
        check = installation.check_prefect()
    assert check.ok is False
    assert "127.0.0.1:9" in check.found
    monkeypatch.setenv("DO_NOT_TRACK", "1")
    monkeypatch.setenv("GX_ANALYTICS_ENABLED", "false")
    with temporary_settings({PREFECT_SERVER_ANALYTICS_ENABLED: True}):
        assert installation.check_telemetry().fix == "set PREFECT_SERVER_ANALYTICS_ENABLED=false"
    with temporary_settings({PREFECT_SERVER_ANALYTICS_ENABLED: False}):
        assert installation.check_telemetry().ok is True
        monkeypatch.delenv("DO_NOT_TRACK")
        assert installation.check_telemetry().fix == "set DO_NOT_TRACK=1"


def test_another_module_with_the_name_of_a_package_of_ours_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert installation.check_modules().ok
    (tmp_path / "models.py").touch()
    (tmp_path / "sql").mkdir()  # without __init__.py it hides nothing
    monkeypatch.syspath_prepend(tmp_path)
    check = installation.check_modules()
    assert (check.ok, check.found.split(" ")[0]) == (None, str(tmp_path / "models.py"))


def test_without_a_configuration_the_installation_is_checked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(installation, "INSTALLATION", (installation.check_python,))
    assert [(check.name, check.ok) for check in checks_without_configuration()] == [
        ("python", True),
        ("config", None),
    ]
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("PREFECT_HOME", str(tmp_path / "deep" / "below"))
    assert (installation.check_home().ok, installation.check_prefect_home().ok) == (True, True)
    (tmp_path / "deep").write_text("a file")
    assert "is no folder" in installation.check_prefect_home().found
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "with a blank"))
    assert installation.check_graph_cache().ok is None
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert str(tmp_path / "cache") in installation.check_graph_cache().found
