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


def answer(con: duckdb.DuckDBPyConnection, day: date, name: str, said: str, at: datetime) -> None:
    con.execute(
        "insert into answers by name select $day as partition_date, $id as id, $said as answer, "
        "'Ada' as answered_by, $at as recorded_at",
        {"day": day, "id": name, "said": said, "at": at},
    )


def shown(con: duckdb.DuckDBPyConnection) -> list[tuple[int, str]]:
    return con.sql("select alert, entity from alerts order by partition_date, alert").fetchall()


def test_an_answered_alert_is_no_longer_shown_and_keeps_its_number_and_its_history(
    con: duckdb.DuckDBPyConnection,
) -> None:
    commit(con, TONIGHT, ("1", "a", 9.0, True), ("2", "a", 8.0, True), ("3", "b", 7.0, True))
    assert shown(con) == [(1, "a"), (2, "b")]
    status = "select status from all_alerts where entity = 'a'"
    for hour, (name, said, expected) in enumerate(
        [
            ("2", "normal", "open"),  # not its strangest row
            ("1", "normal", "dismissed"),
            ("2", "fraud", "confirmed"),
            ("2", "normal", "dismissed"),
        ]
    ):
        answer(con, TONIGHT, name, said, datetime(2024, 6, 2, hour))
        assert con.sql(status).fetchall() == [(expected,)]
    assert shown(con) == [(2, "b")]
    con.execute("set variable as_of = timestamptz '2024-06-02 00:30:00'")
    assert shown(con) == [(1, "a"), (2, "b")]


@pytest.mark.parametrize(
    ("dismissed", "tonight", "version", "days_before", "is_shown"),
    [
        ((5.0, 0.02), (9.0, 0.02), "v1", 7, False),
        ((5.0, 0.02), (9.0, 0.02), "v1", 8, True),  # quiet for seven dates
        ((5.0, 0.02), (10.1, 0.02), "v1", 1, True),  # more than twice the score
        ((5.0, 0.02), (9.0, 0.01), "v1", 1, True),  # at the lowest p-value of a version with 99 held-out rows
        ((5.0, 0.01), (9.0, 0.01), "v1", 1, False),
        ((5.0, 0.05), (99.0, 0.03), "v2", 1, False),  # scores of two versions are not comparable
        ((5.0, 0.05), (1.0, 0.02), "v2", 1, True),
    ],
)
def test_a_dismissed_entity_is_quiet_unless_it_is_much_stranger(
    con: duckdb.DuckDBPyConnection,
    dismissed: tuple[float, float],
    tonight: tuple[float, float],
    version: str,
    days_before: int,
    is_shown: bool,
) -> None:
    earlier = TONIGHT - timedelta(days=days_before)
    for day, (score, p_value), name, scorer in (
        (earlier, dismissed, "e", "v1"),
        (TONIGHT, tonight, "t", version),
    ):
        commit(con, day, (name, "a", score, True), (f"{name}-b", "b", 0.5, True))
        con.execute(
            "update score_rows set p_value = $p, model_version = $version where partition_date = $day",
            {"p": p_value, "version": scorer, "day": day},
        )
    con.execute("""insert into models by name select 'v1' as version, '{"held_out": 99}' as metrics""")
    answer(con, earlier, "e", "normal", datetime(2024, 6, 2))
    tonights = f"select entity, quiet_tonight from alerts where partition_date = '{TONIGHT}' order by alert"
    assert con.sql(tonights).fetchall() == [("a", 0), ("b", 0)]  # without a rule
    con.execute("insert into alert_rules values (7, 2.0, timestamptz '2024-06-03 00:00:00')")
    assert con.sql(tonights).fetchall() == ([("a", 0), ("b", 0)] if is_shown else [("b", 1)])
    if not is_shown:
        con.execute("set variable as_of = timestamptz '2024-06-02 12:00:00'")
        assert len(con.sql(tonights).fetchall()) == 2
        con.execute("reset variable as_of")
        if days_before > 1:
            between = TONIGHT - timedelta(days=1)
            commit(con, between, ("c", "a", 1.0, True))
            answer(con, between, "c", "fraud", datetime(2024, 6, 4))
            assert con.sql(tonights).fetchall() == [("a", 0), ("b", 0)]  # confirmed since
