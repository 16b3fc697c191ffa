"""Files of labels and of answers as nobody should write them."""

import random
from datetime import date
from pathlib import Path

import polars as pl
from mutations import nested, other_name, other_type, without_column

HEADERS = {"labels": "id,label,known_at,source\n", "answer": "id,answer,date,note\n"}
LINES = {
    "labels": [
        "{id},{label},{day}T12:00:00,phone\n",
        "{id},{label},,phone\n",
        " {id} , {label} ,{day},phone\n",
        "{id},maybe,{day},phone\n",
        "nobody,{label},{day},phone\n",
        "{id},{label},inf,phone\n",
        "{id},{label},{day},answer\n",
        '"{id}\n',
        "{id},{label},{day},phone\n{id},2,{day},phone\n",
    ],
    "answer": [
        "{id},{answer},{day},called\n",
        "{id},{answer},,\n",
        ' {id} , {answer} ,{day},"two\nlines"\n',
        "{id},perhaps,{day},\n",
        "nobody,{answer},{day},\n",
        "{id},{answer},9999-12-31,\n",
        "{id},{answer},soon,\n",
        '{id},{answer},"{day}\n',
        "{id},fraud,{day},\n{id},normal,{day},\n",
        ",,,\n",
    ],
}
ENCODINGS = ["utf-8", "utf-8", "utf-8-sig", "utf-16", "latin-1"]


def write_lines(draw: random.Random, folder: Path, command: str, ids: list[str], day: date) -> Path:
    """Writes a file for `nightscore labels` or `answer`, mostly CSV."""
    line = draw.choice(LINES[command])
    values = [
        {"id": each, "label": draw.choice([0, 1]), "answer": draw.choice(["fraud", "Normal"]), "day": day}
        for each in ids
    ]
    text = HEADERS[command] + "".join(line.format(**each) for each in values)
    if draw.random() < 0.2:
        return _parquet(draw, folder, HEADERS[command].strip().split(","), values)
    content = bytearray(
        draw.choice([text, text, text.replace("\n", "\r\n"), text.replace(",", ";")]).encode(
            draw.choice(ENCODINGS)
        )
    )
    if draw.random() < 0.1:
        del content[draw.randrange(len(content)) :]
    path = folder / f"{command}.csv"
    path.write_bytes(content)
    return path


def _parquet(draw: random.Random, folder: Path, names: list[str], values: list[dict[str, object]]) -> Path:
    columns = {"known_at": "day", "date": "day", "source": "source", "note": "source"}
    rows = [{name: {"source": "phone", **each}[columns.get(name, name)] for name in names} for each in values]
    frame = pl.DataFrame(rows)
    for change in draw.sample([other_type, nested, without_column, other_name], draw.choice([0, 1, 1, 2])):
        frame = change(draw, frame)
    path = folder / "labels.parquet"
    frame.write_parquet(path)
    return path
