"""Labels that arrive late and change: from a file, and from the source's own column; each night brings the
figures up to date.
"""

from datetime import date, timedelta
from pathlib import Path

import polars as pl
import pytest
from banks import NIGHT, Bank

from flows.plain import nightly
from flows.settings import load_settings
from tasks.core.errors import LabelsRefused
from tasks.labels.known_labels import known_labels, store_labels
from tasks.labels.label_file import Recorded, record_labels
from tasks.warehouse.connection import Warehouse
from tasks.warehouse.settings import WarehouseSettings

DAY, DELAY = date(2026, 1, 5), timedelta(days=2)


@pytest.fixture
def warehouse(tmp_path: Path) -> WarehouseSettings:
    """Two rows, `a` and `b`, scored on two dates."""
    warehouse = WarehouseSettings(uri=str(tmp_path / "w.duckdb"))
    run = (
        "insert into runs (run_id, partition_date, status, committed_at) values ($day, $day, "
        "'committed', now())"
    )
    rows = (
        "insert into score_rows (run_id, partition_date, id, entity) values ($day, $day, 'a', 'x'), "
        "($day, $day, 'b', 'y')"
    )
    for day in (DAY, DAY + timedelta(days=1)):
        Warehouse(warehouse, "bank").transact(
            lambda con, day=day: (con.execute(run, {"day": day}), con.execute(rows, {"day": day})),
        )
    return warehouse


def stored(warehouse: WarehouseSettings) -> list[tuple[object, ...]]:
    with Warehouse(warehouse, "bank").reading() as con:
        return con.sql(
            "select id, partition_date, label, known_at, source from labels order by all"
        ).fetchall()


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_a_file_is_recorded_once_and_its_dates_are_found(
    warehouse: WarehouseSettings, tmp_path: Path, suffix: str
) -> None:
    lines = pl.DataFrame(
        {
            "id": ["a", "b", "nobody"],
            "label": [True, False, True],
            "known_at": [DAY + timedelta(days=1)] * 3,
            "source": "chargeback",
            "partition_date": [DAY, None, DAY],
        }
    )
    path = tmp_path / f"labels{suffix}"
    lines.write_csv(path) if suffix == ".csv" else lines.write_parquet(path)
    assert record_labels(Warehouse(warehouse, "bank"), path) == Recorded(2, 0, 1, ("'nobody'",))
    newest = DAY + timedelta(days=1)
    assert stored(warehouse) == [
        ("a", DAY, True, newest, "chargeback"),
        ("b", newest, False, newest, "chargeback"),
    ]
    assert record_labels(Warehouse(warehouse, "bank"), path) == Recorded(0, 2, 1, ("'nobody'",))
    assert len(stored(warehouse)) == 2


def test_the_kind_of_a_fraud_is_kept_and_the_newest_one_counts(
    warehouse: WarehouseSettings, tmp_path: Path
) -> None:
    path, bank = tmp_path / "labels.csv", Warehouse(warehouse, "bank")

    def recorded(*lines: str) -> tuple[int, int]:
        path.write_text("\n".join(("id,label,known_at,source,kind", *lines)))
        found = record_labels(bank, path)
        return found.added, found.known

    assert recorded("a,1,2026-01-07,chargeback,lost card", "b,0,2026-01-07,chargeback,lost card") == (2, 0)
    assert recorded("a,1,2026-01-07,chargeback,", "a,1,2026-01-07,chargeback,lost card") == (0, 2)
    assert recorded("a,1,2026-01-08,analyst,") == (1, 0)
    kinds = "select id, kind from labels_known_at('infinity'::date) order by id"
    with bank.reading() as con:
        assert con.sql(kinds).fetchall() == [("a", "lost card"), ("b", None)]
    assert recorded("a,1,2026-01-08,analyst,leaked") == (1, 0)
    with bank.reading() as con:
        assert con.sql(kinds).fetchall() == [("a", "leaked"), ("b", None)]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("id,label,source\na,1,analyst\n", "has no column known_at"),
        (
            "id,label,known_at,source\na,1,2026-01-05,analyst\nb,maybe,2026-01-05,analyst\n",
            "1 values of label .* line 3: 'maybe'",
        ),
        (
            "id,label,known_at,source\na,1,soon,analyst\nb,1,later,analyst\n",
            "2 values of known_at .* line 2: 'soon'",
        ),
        ("id,label,known_at,source\n,1,2026-01-05,analyst\n", "1 values of id .* line 2"),
        ("id,label,known_at,source\na,1,2026-01-05,source\n", "1 values of source .* line 2: 'source'"),
        ("id,label,known_at,source\na,1,2026-01-05,Answer\n", "1 values of source .* line 2: 'Answer'"),
        (
            "id,label,known_at,source,partition_date\na,1,2026-01-05,analyst,5th\n",
            "1 values of partition_date .* line 2: '5th'",
        ),
        ("id,label,known_at,source\na,1,2026-01-05\n", "line 2 has 3 values, and the header 4"),
        ('id,label,known_at,source\n"a\nb",1,2026-01-05,x\n\na,2,2026-01-05,x\n', "line 5: '2'"),
        ("id,label,known_at,source\na,1,26-01-05,analyst\n", "line 2: '26-01-05'; write a date"),
        ("id,label,known_at,source\na,1,infinity,analyst\n", "line 2: 'infinity'"),
        ("id,label,known_at,source\na,1,2226-01-05,analyst\n", "line 2: '2226-01-05'"),
        (
            "id,label,known_at,source\na,1,2026-01-04,analyst\n",
            "line 2 is known at 2026-01-04, before its transaction of 2026-01-06",
        ),
        (
            "id,label,known_at,source\na,1,2026-01-07,x\nb,1,2026-01-07,x\na,0,2026-01-07,x\n",
            "lines 2 and 4 give 'a' different labels",
        ),
        (
            "id,label,known_at,source,kind\na,1,2026-01-07,x,\na,1,2026-01-07,x,k\na,1,2026-01-07,x,l\n",
            "lines 3 and 4 give 'a' different kinds",
        ),
        ("id,label,known_at,source\n'a,1,2026-01-07,x\n", 'no id of its 1 lines .* such as "\'a"'),
        ("id,id,label,known_at,source\na,a,1,2026-01-07,x\n", "column id more than once"),
        ("", "is empty"),
    ],
)
def test_a_file_with_one_line_that_cannot_be_meant_is_refused_whole(
    warehouse: WarehouseSettings, tmp_path: Path, text: str, complaint: str
) -> None:
    path = tmp_path / "labels.csv"
    path.write_text(text)
    with pytest.raises(LabelsRefused, match=complaint):
        record_labels(Warehouse(warehouse, "bank"), path)
    assert stored(warehouse) == []


def test_files_that_are_no_table_of_values_are_refused_in_one_line(
    warehouse: WarehouseSettings, tmp_path: Path
) -> None:
    (tmp_path / "utf16.csv").write_text("id,label,known_at,source\na,1,2026-01-07,x\n", encoding="utf-16")
    rows = {"id": ["a"], "label": [[1]], "known_at": [DAY], "source": ["analyst"]}
    pl.DataFrame(rows).write_parquet(tmp_path / "list.parquet")
    for name, complaint in (("utf16.csv", "is not UTF-8"), ("list.parquet", "column label has type List")):
        with pytest.raises(LabelsRefused, match=complaint) as refused:
            record_labels(Warehouse(warehouse, "bank"), tmp_path / name)
        assert len(str(refused.value).splitlines()) == 1
    assert stored(warehouse) == []


def test_an_id_is_matched_as_it_stands_and_only_then_as_the_number_that_it_writes(
    warehouse: WarehouseSettings, tmp_path: Path
) -> None:
    rows = (
        "insert into score_rows (run_id, partition_date, id, entity) values ($day, $day, '7', 'x'), "
        "($day, $day, '8', 'x'), ($day, $day, '8.0', 'y')"
    )
    bank = Warehouse(warehouse, "bank")
    bank.transact(lambda con: con.execute(rows, {"day": DAY}))
    path = tmp_path / "labels.csv"
    path.write_text(
        'id, label, known_at, source\n7.0, 1, 2026-01-07, x\n8.0,1,2026-01-07,x\n"1,234",1,2026-01-07,x\n'
    )
    assert record_labels(bank, path) == Recorded(2, 0, 1, ("'1,234'",))
    assert [row[0] for row in stored(warehouse)] == ["7", "8.0"]
    assert record_labels(bank, path, is_private=True) == Recorded(0, 2, 1)


@pytest.mark.parametrize("name", ["absent.csv", "labels.xlsx"])
def test_a_file_that_is_none_is_refused(warehouse: WarehouseSettings, tmp_path: Path, name: str) -> None:
    with pytest.raises(LabelsRefused, match=name):
        record_labels(Warehouse(warehouse, "bank"), tmp_path / name)


@pytest.mark.slow
def test_every_matured_date_is_judged_once_per_label_cut_off(scored_bank: Bank, tmp_path: Path) -> None:
    matures = NIGHT + DELAY
    nightly(scored_bank.config, matures)
    (first,) = judged(scored_bank)
    nightly(scored_bank.config, matures)
    assert judged(scored_bank) == [first]
    missed = scored_bank.table(
        f"select id from scores where not is_flagged and partition_date = '{NIGHT}' order by score limit 5"
    )
    report = missed.with_columns(label=pl.lit(1), known_at=pl.lit(matures), source=pl.lit("analyst"))
    report.write_csv(tmp_path / "verdicts.csv")
    settings = load_settings(scored_bank.config)
    assert record_labels(Warehouse(settings.warehouse, settings.name), tmp_path / "verdicts.csv").added == 5
    nightly(scored_bank.config, matures)
    again = judged(scored_bank)
    assert again[0] == first
    assert again[1]["positives"] > first["positives"]
    assert again[1]["value"] < first["value"]  # recall, of more frauds
    nightly(
        scored_bank.config, matures
    )  # the source's column still says no; what the analyst said later stands
    assert judged(scored_bank) == again


def judged(bank: Bank) -> list[dict[str, object]]:
    where = (
        f"first_date = '{NIGHT}' and last_date = '{NIGHT}' and detector = 'nightscore' and metric = "
        "'recall' and features = 'all' and population = 'all'"
    )
    return bank.table(
        f"select as_of, value, positives from metrics where {where} order by measured_at"
    ).to_dicts()


@pytest.mark.slow
def test_what_is_reported_in_time_is_known_to_the_next_training(scored_bank: Bank, tmp_path: Path) -> None:
    settings = load_settings(scored_bank.config)
    (worst,) = scored_bank.table("select id from scores where rank = 50")["id"]
    known_at = NIGHT + timedelta(days=1)
    pl.DataFrame({"id": worst, "label": 1, "known_at": known_at, "source": "analyst"}).write_csv(
        tmp_path / "verdict.csv"
    )
    record_labels(Warehouse(settings.warehouse, settings.name), tmp_path / "verdict.csv")
    assert settings.label_delay_days == DELAY.days

    def frauds(as_of: date) -> set[str]:
        warehouse = Warehouse(settings.warehouse, settings.name)
        labels = known_labels(settings, warehouse, NIGHT, NIGHT, as_of)
        assert labels["id"].is_unique().all()
        return set(labels.filter("label")["id"])

    assert frauds(known_at) - frauds(known_at - timedelta(days=1)) == {worst}


@pytest.mark.slow
@pytest.mark.parametrize("stores_labels", [False, True])
def test_a_known_fraud_is_learnt_as_normal_by_no_default_of_the_source(
    scored_bank: Bank, stores_labels: bool
) -> None:
    """An early answer `fraud` stays where the source says 0 at maturity, an early `normal` does not where it
    says 1, whether a night has stored that or not.
    """
    settings = load_settings(scored_bank.config)
    warehouse = Warehouse(settings.warehouse, settings.name)
    rows = pl.read_parquet(scored_bank.day_folder(NIGHT) / "part-0.parquet")
    normal, fraud = (rows.filter(pl.col("is_fraud") == label)["id"][0] for label in (False, True))
    said = (
        "insert into labels by name select $id as id, $day as partition_date, $label as label, 1 as weight, "
        "$day as known_at, 'answer' as source, now() as recorded_at"
    )
    for row_id, label in ((normal, True), (fraud, False)):
        values = {"id": row_id, "day": NIGHT, "label": label}
        warehouse.transact(lambda con, values=values: con.execute(said, values))
    matured = NIGHT + DELAY
    if stores_labels:
        store_labels(settings, warehouse, NIGHT, NIGHT, as_of=matured)
    labels = known_labels(settings, warehouse, NIGHT, NIGHT, matured)
    assert dict(labels.filter(pl.col("id").is_in([normal, fraud])).select("id", "label").rows()) == {
        normal: True,
        fraud: True,
    }
    assert set(labels.filter("label")["id"]) == {normal, *rows.filter("is_fraud")["id"]}
