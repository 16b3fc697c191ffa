"""Tables on standard output: no value is shortened; a terminal that is too narrow gets one line per value."""

import re
from decimal import Decimal

import pytest

from flows.data_table import data_table

COLUMNS = ("entity", "amount", "because")
LONG = "amount 950 (expected 42); terminal_risk_7d 1 (expected 0.007386)"
ROWS = [("[bold]card[/b]", Decimal("950.10"), LONG), ("b", Decimal("7.00"), None)]


def test_without_a_terminal_every_row_is_one_line_and_numbers_are_right_aligned(
    capsys: pytest.CaptureFixture[str],
) -> None:
    data_table(COLUMNS, ROWS)
    first, second = [line for line in capsys.readouterr().out.splitlines() if line.startswith("│")]
    assert [cell.strip() for cell in first.strip("│").split("│")] == [ROWS[0][0], "950.10", LONG]
    assert "│   7.00 │" in second


@pytest.mark.parametrize("width", [80, 40])
def test_a_narrow_terminal_folds_long_texts_and_a_narrower_one_lists_the_values(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, width: int
) -> None:
    monkeypatch.setenv("TTY_COMPATIBLE", "1")
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", str(width))
    data_table(COLUMNS, ROWS)
    printed = re.sub(r"\x1b\[\d*m", "", capsys.readouterr().out)
    assert max(map(len, printed.splitlines())) <= width
    assert "[bold]card[/b]" in printed
    assert ("│" in printed) == (width == 80)
    assert " ".join(printed.replace("│", " ").split()).count("amount 950 (expected 42);") == 1
