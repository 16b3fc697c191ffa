"""The view `alerts`: one row per entity and night, with its reasons as one text and its earlier flags."""

from datetime import date, datetime, timedelta

import duckdb
import pytest

import sql

TONIGHT = date(2024, 3, 31)
REASONS = [
    {
        "feature": "amount",
        "contribution": 9.0,
        "observed": "950",
        "expected": "42",
        "share": 0.9,
        "usual": "usually 1.5 to 180",
    },
    {  # as a version before format 4 has stored it
        "feature": "channel",
        "contribution": 1.0,
        "observed": "web",
        "expected": "chip",
        "share": None,
        "usual": None,
    },
]


@pytest.fixture
def con() -> duckdb.DuckDBPyConnection:
    con = duckdb.connect()
    con.execute(sql.read("schema/tables"))
    con.execute(sql.read("schema/macros"))
    con.execute(sql.read("schema/views"))
    return con


def commit(
    con: duckdb.DuckDBPyConnection,
    day: date,
    *rows: tuple[str, str | None, float, bool],
    superseded: bool = False,
) -> None:
    """Inserts a run of a date; rows: (id, entity, score, is_flagged)."""
    run_id = f"{day}-{superseded}"
    at = datetime(2024, 6, 1)
    con.execute(
        "insert into runs by name select $run_id as run_id, $day as partition_date, 'committed' as status, "
        "$at as committed_at, $superseded_at as superseded_at",
        {"run_id": run_id, "day": day, "at": at, "superseded_at": at if superseded else None},
    )
    ranked = sorted(rows, key=lambda row: -row[2])
    for rank, (name, entity, score, is_flagged) in enumerate(ranked, start=1):
        con.execute(
            "insert into score_rows by name select $run_id as run_id, $day as partition_date, $id as id, "
            "$entity as entity, $score as score, $rank as rank, $is_flagged as is_flagged, "
            "$reasons as reasons",
            {
                "run_id": run_id,
                "day": day,
                "id": name,
                "entity": entity,
                "score": score,
                "rank": rank,
                "is_flagged": is_flagged,
                "reasons": REASONS,
            },
        )


def test_an_entity_has_one_row_its_strangest_with_its_reasons_as_text(
    con: duckdb.DuckDBPyConnection,
) -> None:
    commit(
        con,
        TONIGHT,
        ("1", "a", 5.0, True),
        ("2", "a", 9.0, True),
        ("3", "b", 7.0, True),
        ("4", None, 6.0, True),
        ("5", "c", 1.0, False),
    )
    alerts = con.sql("select alert, entity, id, rows_flagged, because from alerts").fetchall()
    because = "amount 950 (usually 1.5 to 180); channel web (expected chip)"
    assert alerts == [(1, "a", "2", 2, because), (2, "b", "3", 1, because), (3, "4", "4", 1, because)]


def test_earlier_flags_are_those_of_current_runs_of_the_thirty_dates_before(
    con: duckdb.DuckDBPyConnection,
) -> None:
    commit(con, TONIGHT, ("t1", "a", 5.0, True), ("t2", "a", 4.0, True), ("t3", "b", 3.0, True))
    commit(
        con,
        TONIGHT - timedelta(days=1),
        ("y1", "a", 5.0, True),
        ("y2", "a", 4.0, True),
        ("y3", "b", 3.0, False),
    )
    commit(con, TONIGHT - timedelta(days=2), ("s1", "a", 5.0, True), superseded=True)
    commit(con, TONIGHT - timedelta(days=30), ("m1", "a", 5.0, True))
    commit(con, TONIGHT - timedelta(days=31), ("n1", "a", 5.0, True))
    alerts = con.sql(
        "select partition_date, entity, flagged_last_30_days from alerts order by 1 desc, 2"
    ).fetchall()
    assert alerts == [
        (TONIGHT, "a", 3),
        (TONIGHT, "b", 0),
        (TONIGHT - timedelta(days=1), "a", 2),
        (TONIGHT - timedelta(days=30), "a", 1),
        (TONIGHT - timedelta(days=31), "a", 0),
    ]
