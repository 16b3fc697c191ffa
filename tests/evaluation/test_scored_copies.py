"""Which copy of an id a run scored: copy 0, or of a run of before format 3 the one its quarantine lacks."""

import logging
from datetime import date
from pathlib import Path

import polars as pl
import pytest

from tasks.core.dataset import Dataset
from tasks.evaluation.scored_copies import find_scored_copies
from tasks.source.connection import connect
from tasks.source.identities import read_identities
from tasks.source.row_json import row_json
from tasks.source.view import create_view, with_copies

DAY = date(2024, 3, 10)


def find(
    folder: Path, quarantined: list[int], *, is_earlier: bool, private: tuple[str, ...] = ()
) -> dict[str, int]:
    """The scored copies of a day with one id of three rows, whose copies `quarantined` are in quarantine."""
    frame = pl.DataFrame({"id": [1, 2, 2, 2, 3], "amount": [1.0, 2.0, 3.0, 4.0, 5.0]})
    (folder / str(DAY)).mkdir(exist_ok=True)
    frame.write_parquet(folder / str(DAY) / "part.parquet")
    data = Dataset.model_validate(
        {
            "name": "copies",
            "source": {"path": f"{folder}/{{date}}/*.parquet"},
            "columns": {"id": "id", "private": private},
            "features": {"numeric": ["amount"]},
        }
    )
    with connect(data.source) as con:
        view = create_view(con, data, "day", [DAY])
        identities = read_identities(con, data, view)
        con.execute("create temp table twice as select '2' as id")
        copies = with_copies(view, data, "twice")
        contents = con.execute(
            f"select {view.copy} as copy, {row_json(data, view)} as content from {copies}"
        ).pl()
        stored = contents.filter(pl.col("copy").is_in(quarantined)).with_columns(id=pl.lit("2"))
        if is_earlier:
            stored = stored.with_columns(copy=pl.lit(None, pl.Int64))
        found = find_scored_copies(con, data, view, identities, pl.Series("id", ["1", "2"]), stored)
    return dict(found.rows())


def test_a_run_of_this_format_scored_copy_0(tmp_path: Path) -> None:
    assert find(tmp_path, [1, 2], is_earlier=False) == {"1": 0, "2": 0}


@pytest.mark.parametrize("scored", [0, 1, 2])
def test_an_earlier_run_scored_the_copy_that_its_quarantine_lacks(tmp_path: Path, scored: int) -> None:
    quarantined = [copy for copy in range(3) if copy != scored]
    assert find(tmp_path, quarantined, is_earlier=True) == {"1": 0, "2": scored}


def test_what_cannot_be_told_is_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        assert find(tmp_path, [0], is_earlier=True) == {"1": 0, "2": 0}
    assert "1 ids occur more than once in the source" in caplog.text


def test_copies_that_look_alike_in_quarantine_cannot_be_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        assert find(tmp_path, [1, 2], is_earlier=True, private=("id", "amount")) == {"1": 0, "2": 0}
    assert "1 ids occur more than once in the source" in caplog.text
