"""A night's list without the entities that an analyst dismissed: its length is noted, and no flag changes."""

from datetime import timedelta
from pathlib import Path

from publications import DAY, dataset_named, publish, register, scored_night

from tasks.core.dataset import Dataset
from tasks.core.identity import run_identity
from tasks.labels.answers import one_answer, record_answers
from tasks.publishing.brake import Brake
from tasks.publishing.commit import publish_night
from tasks.warehouse.connection import Warehouse
from tasks.warehouse.settings import WarehouseSettings


def test_a_night_notes_by_how_many_alerts_its_list_is_shorter(tmp_path: Path) -> None:
    settings = WarehouseSettings(uri=str(tmp_path / "w.duckdb"), files=str(tmp_path / "files"))
    warehouse, plain = Warehouse(settings, "bank"), dataset_named("bank")
    alerts = {"alerts": {"quiet_days": 7, "quiet_factor": 1.5}}
    quiet = Dataset.model_validate(plain.model_dump(exclude_defaults=True) | alerts)
    assert run_identity(quiet) == run_identity(plain)
    register(settings)
    publish(settings, scored_night(tmp_path / "files", "a"))
    record_answers(plain, warehouse, one_answer("a-0", "normal", None, None), "Ada")
    night = scored_night(tmp_path / "files", "a", day=DAY + timedelta(days=1))
    published = publish_night(quiet, warehouse, Brake(0.0, 1.0, hold=False), night)
    assert published.doubts == ()
    with warehouse.reading() as con:
        message = con.sql("select message, rows_flagged from current_runs order by partition_date").fetchall()
        assert con.sql("from alerts").fetchall() == []
        assert con.sql("select status, is_quiet from all_alerts").fetchall() == [
            ("open", True),
            ("dismissed", False),
        ]
        assert con.sql("select quiet_days, quiet_factor from alert_rules order by written_at").fetchall() == [
            (0, 2.0),
            (7, 1.5),
        ]
    noted = "1 of 1 alerts are not shown: their entities were dismissed on one of the 7 dates before"
    assert message == [(None, 1), (noted, 1)]
