"""Deliveries of CSV that nobody would think of; the bank writes semicolons and decimal commas."""

import csv
import gzip
import io
import random
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import polars as pl
from mutations import new_column, no_partition, other_name, other_order, without_column


def as_csv(frame: pl.DataFrame, delimiter: str = ";", decimal: str = ",", end: str = "\n") -> str:
    """A frame as text, null as nothing."""
    text = io.StringIO()
    writer = csv.writer(text, delimiter=delimiter, lineterminator=end)
    writer.writerow(frame.columns)
    writer.writerows([_written(value, decimal) for value in row] for row in frame.iter_rows())
    return text.getvalue()


def csv_file(draw: random.Random, folder: Path, frame: pl.DataFrame) -> None:
    (folder / "part-0.csv").write_text(as_csv(frame), encoding="utf-8", newline="")


def packed_csv(draw: random.Random, folder: Path, frame: pl.DataFrame) -> None:
    (folder / "part-0.csv.gz").write_bytes(gzip.compress(as_csv(frame).encode()))


def several_csv(draw: random.Random, folder: Path, frame: pl.DataFrame) -> None:
    """Two files, of which the second has other columns or is packed."""
    cut = draw.randrange(frame.height + 1)
    csv_file(draw, folder, frame.head(cut))
    change = draw.choice([other_name, without_column, new_column, other_order])
    rest = change(draw, frame.tail(frame.height - cut)) if frame.width else frame
    (folder / "part[1].csv.gz").write_bytes(gzip.compress(as_csv(rest).encode()))


def other_encoding(draw: random.Random, folder: Path, frame: pl.DataFrame) -> None:
    text = as_csv(frame).replace("chip", "chîp")
    (folder / "part-0.csv").write_bytes(
        text.encode(draw.choice(["utf-8-sig", "utf-16", "latin-1"]), "replace")
    )


def other_dialect(draw: random.Random, folder: Path, frame: pl.DataFrame) -> None:
    text = draw.choice(
        [as_csv(frame, ","), as_csv(frame, "\t"), as_csv(frame, decimal="."), as_csv(frame, end="\r\n")]
    )
    (folder / "part-0.csv").write_text(text, encoding="utf-8", newline="")


def changed_lines(draw: random.Random, folder: Path, frame: pl.DataFrame) -> None:
    """Lines that are cut, doubled, empty, too long or without their header."""
    lines = as_csv(frame).splitlines(keepends=True)
    at = draw.randrange(len(lines))
    change = draw.choice(LINES)
    (folder / "part-0.csv").write_text(
        "".join([*lines[:at], *change(lines[at]), *lines[at + 1 :]]), newline=""
    )


def damaged_csv(draw: random.Random, folder: Path, frame: pl.DataFrame) -> None:
    content, name = as_csv(frame).encode(), "part-0.csv"
    if draw.random() < 0.5:
        content, name = gzip.compress(content), "part-0.csv.gz"
    changed = bytearray(content)
    if draw.random() < 0.5:
        del changed[draw.randrange(len(changed)) :]
    else:
        for _ in range(20):
            changed[draw.randrange(len(changed))] = draw.randrange(256)
    (folder / name).write_bytes(changed)


def no_csv(draw: random.Random, folder: Path, frame: pl.DataFrame) -> None:
    (folder / "part-0.csv").write_bytes(draw.choice([b"", b"\n", b"PAR1", b"\0" * 500, b"<html></html>\n"]))


def csv_rows(folder: Path) -> int:
    """The rows of a folder of such files: lines that are not empty, but the headers."""
    return sum(_rows(path) for path in folder.glob("part*"))


def _rows(path: Path) -> int:
    content = path.read_bytes()
    text = (gzip.decompress(content) if path.suffix == ".gz" else content).decode("utf-8-sig")
    return max(0, sum(bool(row) for row in csv.reader(io.StringIO(text, newline=""), delimiter=";")) - 1)


def _written(value: object, decimal: str) -> str:
    if value is None or isinstance(value, float):
        return "" if value is None else repr(value).replace(".", decimal)
    if isinstance(value, bool):
        return str(value).lower()
    return value.isoformat(" ") if isinstance(value, datetime) else str(value)


Line = Callable[[str], list[str]]
LINES: list[Line] = [
    lambda line: [],
    lambda line: [line, line],
    lambda line: [line, "\n"],
    lambda line: [line, ";;;;;;\n"],
    lambda line: [line[: len(line) // 2]],
    lambda line: [line.rstrip("\n") + ";x\n"],
    lambda line: ['"' + line],
    lambda line: [line.replace(";", '";', 1)],
    lambda line: [line.replace(";", ' ; "', 2)],
    lambda line: [line.rstrip("\n") + "\r\n"],
    lambda line: ["# made by hand\n", line],
    lambda line: [line.rstrip("\n") + "x" * 3_000_000 + "\n"],
]
CSV_FILES = [
    packed_csv, several_csv, several_csv, other_encoding, other_dialect, changed_lines, changed_lines,
    changed_lines, damaged_csv, damaged_csv, no_csv, no_partition,
]  # fmt: skip
