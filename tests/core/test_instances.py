"""A kept DuckDB instance carries nothing from one use to the next."""

import os
from contextlib import AbstractContextManager

import duckdb
import polars as pl
import pytest

from tasks.core.instances import session

Made = list[duckdb.DuckDBPyConnection]


@pytest.fixture
def made() -> Made:
    return []


def use(made: Made, kind: str) -> AbstractContextManager[duckdb.DuckDBPyConnection]:
    def make() -> duckdb.DuckDBPyConnection:
        made.append(duckdb.connect())
        return made[-1]

    def clear(instance: duckdb.DuckDBPyConnection) -> bool:
        instance.execute("detach database if exists other")
        return kind != "used up"

    return session(kind, make, clear)


def test_what_a_use_set_registered_and_made_ends_with_it(made: Made) -> None:
    for as_of in ("1999-01-01", None):
        with use(made, "leaves nothing") as con:
            assert con.sql("select getvariable('as_of')").fetchall() == [(None,)]
            assert con.sql("select current_setting('timezone')").fetchall() != [("Asia/Tokyo",)]
            assert con.sql("select count(*) from duckdb_views() where not internal").fetchall() == [(0,)]
            assert con.sql("select count(*) from duckdb_tables()").fetchall() == [(0,)]
            assert con.sql("select current_schema()").fetchall() == [("main",)]
            if as_of:
                con.execute(f"set variable as_of = '{as_of}'")
                con.execute("set timezone = 'Asia/Tokyo'")
                con.register("found", pl.DataFrame({"id": [1]}).to_arrow())
                con.execute("create temp table kept as from found")
                con.execute("attach ':memory:' as other")
                con.execute("create schema other.bank; use other.bank")
    assert len(made) == 1


def test_an_instance_whose_use_failed_is_made_anew(made: Made) -> None:
    with pytest.raises(ValueError, match="wrong"), use(made, "fails"):
        raise ValueError("wrong")
    with use(made, "fails") as con:
        assert con.sql("select 1").fetchall() == [(1,)]
    assert len(made) == 2


def test_an_instance_that_cannot_be_used_again_is_closed(made: Made) -> None:
    for _ in range(2):
        with use(made, "used up") as con:
            assert con.sql("select 1").fetchall() == [(1,)]
    assert len(made) == 2
    with pytest.raises(duckdb.ConnectionException):
        made[0].execute("select 1")


def test_uses_at_once_have_instances_of_their_own(made: Made) -> None:
    with use(made, "at once") as first, use(made, "at once") as second:
        for number, con in enumerate((first, second)):
            con.execute(f"create table mine as select {number} as number")
            assert con.sql("from mine").fetchall() == [(number,)]
    assert len(made) == 2


def test_a_forked_process_leaves_the_instances_of_its_parent_alone(
    made: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    with use(made, "forked"):
        pass
    monkeypatch.setattr(os, "getpid", lambda: -1)
    with use(made, "forked"):
        pass
    assert len(made) == 2
