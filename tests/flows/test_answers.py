"""The formats of `nightscore sql`: every value is whole in each of them, and a pipe gets plain text."""

import csv
import io
import json
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import pytest
import typer

from flows.cli.answers import FORMATS, Format, chosen_format, write_answer
from tasks.warehouse.query import Answer

LONG = "x" * 500
ANSWER = Answer(
    ["id", "score", "flagged", "day", "seen", "reasons", "note"],
    [
        (
            "a|b",
            0.1 + 0.2,
            True,
            date(2026, 1, 2),
            datetime(2026, 1, 2, 3, tzinfo=UTC),
            [{"share": 0.5}],
            LONG,
        ),
        ('c,\t"d\n', Decimal("1.10"), None, None, None, [], None),
    ],
)
FIRST = [
    "a|b",
    "0.30000000000000004",
    "true",
    "2026-01-02",
    "2026-01-02T03:00:00+00:00",
    '[{"share": 0.5}]',
    LONG,
]


def test_a_pipe_gets_one_plain_line_per_row_with_tabs_between_whole_values(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "20")
    write_answer(ANSWER, Format.table, None)
    lines = capsys.readouterr().out.splitlines()
    assert [line.split("\t") for line in lines] == [
        ANSWER.columns,
        FIRST,
        ['c,\\t"d\\n', "1.10", "", "", "", "[]", ""],
    ]


def test_csv_reads_back(tmp_path: Path) -> None:
    write_answer(ANSWER, Format.csv, tmp_path / "answer.csv")
    header, first, second = csv.reader(
        io.StringIO((tmp_path / "answer.csv").read_bytes().decode(), newline="")
    )
    assert (header, first) == (ANSWER.columns, FIRST)
    assert second == ['c,\t"d\n', "1.10", "", "", "", "[]", ""]


def test_json_and_its_lines_are_row_objects() -> None:
    rows = json.loads(FORMATS[Format.json](ANSWER))
    assert [json.loads(line) for line in FORMATS[Format.jsonl](ANSWER).splitlines()] == rows
    assert rows[0]["score"] == 0.1 + 0.2
    assert rows[1] == dict(zip(ANSWER.columns, ['c,\t"d\n', "1.10", None, None, None, [], None], strict=True))


def test_json_has_null_for_what_is_no_number() -> None:
    answer = Answer(["a"], [(float("nan"),), ([1.5, {"b": float("-inf")}],)])
    assert FORMATS[Format.json](answer) == '[{"a": null}, {"a": [1.5, {"b": null}]}]\n'


@pytest.mark.parametrize("form", [Format.json, Format.jsonl])
def test_an_object_never_loses_one_of_two_columns_of_a_name(form: Format) -> None:
    with pytest.raises(typer.BadParameter, match="several columns id; name them apart"):
        FORMATS[form](Answer(["id", "id"], [(1, 2)]))


def test_markdown_keeps_a_row_in_a_line_and_its_bars_in_their_cells() -> None:
    header, line, first, second = FORMATS[Format.markdown](ANSWER).splitlines()
    assert (header.count("|"), line.count("---")) == (8, 7)
    assert first.startswith("| a\\|b | 0.30000000000000004 | true |")
    assert second.startswith('| c,\t"d<br> | 1.10 |  |')


@pytest.mark.parametrize(
    ("asked", "as_json", "file", "form"),
    [
        (None, False, None, Format.table),
        (None, True, None, Format.json),
        (Format.json, True, None, Format.json),
        (None, False, "answer.CSV", Format.csv),
        (None, False, "answer.txt", Format.table),
        (Format.jsonl, False, "answer.csv", Format.jsonl),
    ],
)
def test_the_format_is_asked_for_or_that_of_the_file(
    asked: Format | None, as_json: bool, file: str | None, form: Format
) -> None:
    assert chosen_format(asked, as_json, Path(file) if file else None) is form


def test_json_and_another_format_are_not_both_asked_for() -> None:
    with pytest.raises(typer.BadParameter, match="give --json or --format csv, not both"):
        chosen_format(Format.csv, True, None)
