"""The blocks of docs/tutorial.md run in order in an empty folder, and print what the page shows."""

import re
import shlex
from pathlib import Path

import pytest
from typer.testing import CliRunner

from flows.cli.app import app

PAGE = Path(__file__).parents[2] / "docs" / "tutorial.md"
TRAINED = {"run", "sql", "explain", "evaluate"}  # commands whose figures come from a trained network


@pytest.mark.slow
def test_the_blocks_of_the_tutorial_run_and_print_what_it_shows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("NIGHTSCORE_CONFIG", raising=False)
    monkeypatch.setenv("COLUMNS", "200")
    ran, printed, compared = "", "", 0
    for kind, block in re.findall(r"```(\w+)\n(.*?)```", PAGE.read_text(), re.DOTALL):
        if kind == "python":
            exec(block, {})
        elif kind == "csv":
            Path("chargebacks.csv").write_text(block)
        elif kind == "sh":
            _, ran, *options = shlex.split(block)
            result = CliRunner().invoke(app, [ran, *options])
            assert result.exit_code == 0, (block, result.output)
            printed = result.stdout
        else:
            lines = [line for line in block.splitlines() if line != "..."]
            found = [cells(line, ran) for line in printed.splitlines()]
            assert [line for line in lines if cells(line, ran) not in found] == [], printed
            compared += len(lines)
    assert compared > 25


def cells(line: str, command: str) -> list[str]:
    """The cells of a line, however a table is drawn; without the figures that a training decides."""
    drawn = [cell.strip() for cell in re.split(r"[│┃\t]|  +", line)]
    kept = [cell for cell in drawn if cell and cell != "alternatives"]
    return [re.sub(r"\d[\d.,]*(-\w{8}\b)?", "#", cell) for cell in kept] if command in TRAINED else kept
