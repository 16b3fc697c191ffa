"""What analysts answer: kept on record, a label from that day on, and refused in one line where unclear."""

from datetime import date, timedelta
from pathlib import Path

import duckdb
import pytest
from publications import dataset_named

from tasks.core.dataset import Dataset
from tasks.core.errors import LabelsRefused
from tasks.labels.answers import Answered, answers_of_file, one_answer, record_answers
from tasks.labels.origins import count_selected, origin_notes
from tasks.warehouse.connection import Warehouse
from tasks.warehouse.settings import WarehouseSettings
from tasks.warehouse.statements import Row

DAY, NEXT = date(2026, 1, 5), date(2026, 1, 6)


def fill(con: duckdb.DuckDBPyConnection) -> None:
    """`a` is scored on two dates, `b`, `7` and `8` on one, `q` is quarantined."""
    for day in (DAY, NEXT):
        con.execute(
            "insert into runs by name select $day as run_id, $day as partition_date, 'committed' as status, "
            "now() as committed_at",
            {"day": day},
        )
    con.execute(
        "insert into score_rows by name select partition_date::varchar as run_id, * from (values "
        "($day::date, 'a', true), ($next, 'a', true), ($next, 'b', true), ($next, '7', false), "
        "($next, '8', false)) as rows (partition_date, id, is_flagged)",
        {"day": DAY, "next": NEXT},
    )
    con.execute(
        "insert into quarantine by name select $day as run_id, $day as partition_date, 'q' as id",
        {"day": DAY},
    )
    con.execute(
        "insert into labels by name select '8' as id, $next as partition_date, false as label, 2 as weight, "
        "$next as known_at, 'source' as source, now() as recorded_at",
        {"next": NEXT},
    )


@pytest.fixture
def warehouse(tmp_path: Path) -> Warehouse:
    warehouse = Warehouse(WarehouseSettings(uri=str(tmp_path / "w.duckdb")), "bank")
    warehouse.transact(fill)
    return warehouse


def answer(warehouse: Warehouse, *given: str, by: str = "Ada", day: date | None = None) -> Answered:
    lines = one_answer(given[0], given[1], day, given[2] if len(given) > 2 else None)
    return record_answers(dataset_named("bank"), warehouse, lines, by)


def read(warehouse: Warehouse, query: str) -> list[Row]:
    with warehouse.reading() as con:
        return con.sql(query).pl().to_dicts()


def test_an_answer_stays_on_record_and_is_a_label_until_a_later_one(warehouse: Warehouse) -> None:
    assert answer(warehouse, "b", "fraud", "called") == Answered(1, 0, 0, 0)
    assert answer(warehouse, "b", "fraud", "called") == Answered(0, 0, 1, 0)
    assert answer(warehouse, "b", "normal", by="Bo") == Answered(0, 1, 0, 0)
    assert answer(warehouse, "b", "fraud", by="Bo") == Answered(1, 0, 0, 0)  # of one day, the last one counts
    kept = "select answer, answered_by, note, known_at, is_flagged from answers order by recorded_at"
    assert [tuple(one.values()) for one in read(warehouse, kept)] == [
        ("fraud", "Ada", "called", date.today(), True),
        ("normal", "Bo", None, date.today(), True),
        ("fraud", "Bo", None, date.today(), True),
    ]
    label = "select label, source, known_at, weight from latest_labels where id = 'b'"
    assert [tuple(one.values()) for one in read(warehouse, label)] == [(True, "answer", date.today(), 1)]
    assert read(warehouse, f"from labels_known_at(date '{date.today() - timedelta(1)}') where id = 'b'") == []


def test_an_answer_that_disagrees_with_the_source_counts_and_is_named(warehouse: Warehouse) -> None:
    said = answer(warehouse, "8", "fraud")
    assert (said.conflicts, said.conflict_lines) == (
        1,
        (f"8 of {NEXT} is fraud by answer, normal by source",),
    )
    (conflict,) = read(warehouse, "select label, source, other_label, other_source from label_conflicts")
    assert tuple(conflict.values()) == (True, "answer", False, "source")
    assert read(warehouse, f"from label_conflicts_known_at(date '{NEXT}')") == []
    assert read(warehouse, "select weight from latest_labels where id = '8'") == [{"weight": 2}]
    assert answer(warehouse, "8", "normal").conflicts == 0


@pytest.mark.parametrize(
    ("row_id", "day", "complaint"),
    [
        ("a", None, f"id 'a' was scored on 2 dates, such as {NEXT}, {DAY}; name its date"),
        ("b", DAY, f"id 'b' was not scored on {DAY}, but on {NEXT}"),
        ("q", None, "id 'q' was never scored, for it was quarantined"),
        ("nobody", None, "no scored row has the id 'nobody'"),
        (" ", None, "id ' ' is not valid; write an id"),
        ("a", date.today() + timedelta(2), "date .* is not valid"),
    ],
)
def test_an_id_that_means_no_row_or_several_is_refused(
    warehouse: Warehouse, row_id: str, day: date | None, complaint: str
) -> None:
    with pytest.raises(LabelsRefused, match=complaint) as refused:
        answer(warehouse, row_id, "fraud", day=day)
    assert len(str(refused.value).splitlines()) == 1
    assert read(warehouse, "from answers") == []


def test_a_file_is_recorded_once(warehouse: Warehouse, tmp_path: Path) -> None:
    path = tmp_path / "answers.csv"
    path.write_text(f"\ufeffid, answer, date, note\na,Fraud,{DAY},seen\n\na,normal,{NEXT},\n7.0,normal,,\n")
    dataset, lines = dataset_named("bank"), answers_of_file(path)
    assert record_answers(dataset, warehouse, lines, "Ada", path) == Answered(1, 2, 0, 0)
    assert record_answers(dataset, warehouse, lines, "Ada", path) == Answered(0, 0, 3, 0)
    kept = read(warehouse, "select id, partition_date, answer from answers order by all")
    assert [tuple(one.values()) for one in kept] == [
        ("7", NEXT, "normal"),
        ("a", DAY, "fraud"),
        ("a", NEXT, "normal"),
    ]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("id,note\nb,x\n", "has no column answer"),
        (
            "id,answer\nb,fraud\n7,maybe\n8,perhaps\n",
            r"line 3: answer 'maybe' is not valid \(2 such values\)",
        ),
        ("id,answer,date\nb,fraud,soon\n", "line 2: date 'soon' is not valid"),
        ("id,answer\nb,fraud\na,fraud\n", "line 3: id 'a' was scored on 2 dates"),
        ("id,answer\nb,fraud\nnobody,fraud\n", "line 3: no scored row has the id 'nobody'"),
        ("id,answer\nb,fraud\n7,normal\nb,normal\n", "lines 2 and 4 give 'b' different answers"),
        ("id,answer\n7,fraud\n7.0,normal\n", "lines 2 and 3 give '7' different answers"),
        ("id,answer\nb\n", "line 2 has 1 values, and the header 2"),
    ],
)
def test_a_file_with_one_line_that_cannot_be_meant_is_refused_whole(
    warehouse: Warehouse, tmp_path: Path, text: str, complaint: str
) -> None:
    path = tmp_path / "answers.csv"
    path.write_text(text)
    with pytest.raises(LabelsRefused, match=complaint):
        record_answers(dataset_named("bank"), warehouse, answers_of_file(path), "Ada", path)
    assert read(warehouse, "from answers") == []
    assert read(warehouse, "from labels where source = 'answer'") == []


def test_a_private_id_is_in_no_message(warehouse: Warehouse) -> None:
    content = dataset_named("bank").model_dump(exclude_defaults=True)
    private = Dataset.model_validate(content | {"columns": {"id": "id", "private": ["id"]}})
    assert (
        record_answers(private, warehouse, one_answer("8", "fraud", None, None), "Ada").conflict_lines == ()
    )
    with pytest.raises(LabelsRefused) as refused:
        record_answers(private, warehouse, one_answer("nobody", "fraud", None, None), "Ada")
    assert "nobody" not in str(refused.value)


def test_labels_that_come_from_flags_alone_are_counted_and_conflicts_are_named(warehouse: Warehouse) -> None:
    today = date.today()
    dataset, window = dataset_named("bank"), (DAY, NEXT, today)
    assert origin_notes(dataset, warehouse, window, 1) == []
    for row_id in ("b", "7", "8"):  # flagged; not flagged; labelled by the source
        answer(warehouse, row_id, "fraud")
    selection, conflict = origin_notes(dataset, warehouse, window, 3)
    assert selection.startswith("1 of the 3 labels come from flags alone")
    assert "2 come from the source" in selection
    assert f"1 labels disagree with another source's (8 of {NEXT}: answer against source)" in conflict
    assert count_selected(warehouse, DAY, NEXT, today - timedelta(1)) == 0
