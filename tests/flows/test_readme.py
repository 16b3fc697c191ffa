"""What the README shows of the demo is what the demo prints."""

import re
from pathlib import Path

import pytest

from flows.cli.tables import evaluation_tables
from flows.demo import play

README = Path(__file__).parents[2] / "README.md"


@pytest.mark.slow
def test_the_readme_shows_what_the_demo_prints(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _, evaluation, _ = play(tmp_path)
    evaluation_tables(evaluation)
    printed = [re.sub(r"[│┃]", " ", line).strip() for line in capsys.readouterr().out.splitlines()]
    section = README.read_text().split("## What you see")[1].split("\n## ")[0]
    blocks = "\n".join(line[4:] if line.startswith("    ") else "" for line in section.splitlines())
    paragraphs = [
        " ".join(part.split("\n")).strip() for part in blocks.split("\n\n") if "night  " not in part
    ]
    lines = [line for line in blocks.splitlines() if "   " in line]
    texts = [text for text in paragraphs if text and "   " not in text]
    assert len(lines) > 12
    assert len(texts) == 2
    for line in lines:
        (same,) = [one for one in printed if cells(one)[0] == cells(line)[0]][:1]
        assert numbers(line) == nearly(numbers(same)[: len(numbers(line))]), (line, same)
    for text in texts:
        (same,) = [one for one in printed if wording(one) == wording(text)]
        assert numbers(text) == nearly(numbers(same)), (text, same)


def nearly(values: list[float]) -> object:
    return pytest.approx(values, rel=0.1, abs=0.03)


def cells(line: str) -> list[str]:
    return re.split(r" {2,}", line.strip())


def wording(text: str) -> str:
    return re.sub(r"[\d.,]+", "#", text)


def numbers(line: str) -> list[float]:
    without_names = re.sub(r"\d{4}-\d\d-\d\d(-\w+)?|at \d+", " ", line)
    return [float(number.replace(",", "")) for number in re.findall(r"\d[\d,]*(?:\.\d+)?", without_names)]
