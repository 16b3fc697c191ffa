"""Deliveries that nobody would think of: a day of a bank, its rows, types and files changed at random."""

import random
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path

import polars as pl

TYPES = [
    pl.String, pl.Float32, pl.Float64, pl.Int8, pl.Int64, pl.UInt64, pl.Decimal(12, 2), pl.Boolean, pl.Null,
    pl.Datetime("us"), pl.Datetime("ns"), pl.Datetime("us", "Asia/Tokyo"), pl.Date, pl.Binary, pl.Categorical,
]  # fmt: skip
NAMES = ["_id", "filename", "Amount ", "_partition_date", "select", "a.b", "💳", "", 'say "so"', "row\nbreak"]
TEXTS = [
    "",
    " ",
    "true ",
    "NULL",
    "nan",
    "1,234",
    "7.0",
    "007",
    "it's",
    'a "b"',
    "x" * 9_000,
    "two\nlines",
    "\0",
]
NUMBERS = [float("nan"), float("inf"), -1.0, 0.0, 1e308, -1e308, 1e-308, 2.0**53 + 2, 0.1]
Change = Callable[[random.Random, pl.DataFrame], pl.DataFrame]


Write = Callable[[random.Random, Path, pl.DataFrame], None]


def write_mutated(draw: random.Random, folder: Path, frame: pl.DataFrame, writes: list[Write]) -> list[str]:
    """Writes a day after up to three changes, in one of these ways, and returns the names of all."""
    chosen = draw.sample(CHANGES, draw.choice([0, 1, 1, 2, 3]))
    for change in chosen:
        if frame.width:
            frame = change(draw, frame)
    write = draw.choice(writes)
    if write is not no_partition:
        folder.mkdir(parents=True)
        write(draw, folder, frame)
    return [change.__name__ for change in (*chosen, write)]


def other_type(draw: random.Random, frame: pl.DataFrame) -> pl.DataFrame:
    name, chosen = draw.choice(frame.columns), draw.choice(TYPES)
    for kind in (chosen, pl.String):
        with suppress(pl.exceptions.PolarsError):  # it has no such form
            return frame.with_columns(pl.col(name).cast(kind, strict=False))
    return frame


def nested(draw: random.Random, frame: pl.DataFrame) -> pl.DataFrame:
    name = draw.choice(frame.columns)
    column = pl.col(name)
    return frame.with_columns(draw.choice([pl.concat_list(column), pl.struct(column)]).alias(name))


def some_nulls(draw: random.Random, frame: pl.DataFrame) -> pl.DataFrame:
    return _some(draw, frame, draw.choice(frame.columns), pl.lit(None))


def odd_numbers(draw: random.Random, frame: pl.DataFrame) -> pl.DataFrame:
    floats = [name for name, kind in frame.schema.items() if kind == pl.Float64]
    return _some(draw, frame, draw.choice(floats), pl.lit(draw.choice(NUMBERS))) if floats else frame


def odd_texts(draw: random.Random, frame: pl.DataFrame) -> pl.DataFrame:
    texts = [name for name, kind in frame.schema.items() if kind == pl.String]
    return _some(draw, frame, draw.choice(texts), pl.lit(draw.choice(TEXTS))) if texts else frame


def odd_times(draw: random.Random, frame: pl.DataFrame) -> pl.DataFrame:
    if frame.schema.get("at") != pl.Datetime("us"):
        return frame
    moved = pl.col("at") + timedelta(days=draw.choice([-1, 1, 400]))
    return _some(
        draw, frame, "at", draw.choice([moved, pl.lit(datetime(1, 1, 1)), pl.lit(datetime(9999, 12, 31))])
    )


def repeated_rows(draw: random.Random, frame: pl.DataFrame) -> pl.DataFrame:
    return pl.concat([frame, frame.head(draw.choice([1, 5, frame.height]))])


def other_order(draw: random.Random, frame: pl.DataFrame) -> pl.DataFrame:
    columns = draw.sample(frame.columns, frame.width)
    return frame.select(columns).sample(fraction=1, shuffle=True, seed=draw.randrange(1_000))


def without_column(draw: random.Random, frame: pl.DataFrame) -> pl.DataFrame:
    return frame.drop(draw.choice(frame.columns))


def other_name(draw: random.Random, frame: pl.DataFrame) -> pl.DataFrame:
    name = draw.choice(frame.columns)
    other = draw.choice([name.upper(), f" {name}", name.title(), "ünknown"])
    return frame if other in frame.columns else frame.rename({name: other})


def new_column(draw: random.Random, frame: pl.DataFrame) -> pl.DataFrame:
    return frame.with_columns(pl.lit(draw.choice([1, "x", None])).alias(draw.choice(NAMES)))


def fewer_rows(draw: random.Random, frame: pl.DataFrame) -> pl.DataFrame:
    return frame.head(draw.choice([0, 1, 2, frame.height // 2]))


CHANGES: list[Change] = [
    other_type, other_type, nested, some_nulls, some_nulls, odd_numbers, odd_numbers, odd_texts, odd_times,
    repeated_rows, other_order, without_column, other_name, new_column, fewer_rows,
]  # fmt: skip


def one_file(draw: random.Random, folder: Path, frame: pl.DataFrame) -> None:
    frame.write_parquet(folder / "part-0.parquet")


def several_files(draw: random.Random, folder: Path, frame: pl.DataFrame) -> None:
    """Two files, of which the second may have other types, names, or columns."""
    cut = draw.randrange(frame.height + 1)
    one_file(draw, folder, frame.head(cut))
    change = draw.choice([other_type, some_nulls, other_name, without_column, new_column, other_order])
    rest = change(draw, frame.tail(frame.height - cut)) if frame.width else frame
    rest.write_parquet(folder / "part[1].parquet")


def empty_file_beside(draw: random.Random, folder: Path, frame: pl.DataFrame) -> None:
    one_file(draw, folder, frame)
    other_type(draw, frame.head(0)).write_parquet(folder / "empty.parquet")


def damaged(draw: random.Random, folder: Path, frame: pl.DataFrame) -> None:
    one_file(draw, folder, frame)
    path = folder / "part-0.parquet"
    content = bytearray(path.read_bytes())
    if draw.random() < 0.5:
        del content[draw.randrange(len(content)) :]
    else:
        for _ in range(20):
            content[draw.randrange(len(content))] = draw.randrange(256)
    path.write_bytes(content)


def no_parquet(draw: random.Random, folder: Path, frame: pl.DataFrame) -> None:
    (folder / "part-0.parquet").write_bytes(draw.choice([b"", b"PAR1", b"id,amount\n1,2\n", b"\0" * 500]))


def hidden_files(draw: random.Random, folder: Path, frame: pl.DataFrame) -> None:
    one_file(draw, folder, frame)
    for name in ("_SUCCESS", ".part-0.parquet.crc", "._part-0.parquet", "_part-1.parquet", "readme.txt"):
        (folder / name).write_bytes(b"no data")


def folder_beside(draw: random.Random, folder: Path, frame: pl.DataFrame) -> None:
    one_file(draw, folder, frame)
    (folder / "x.parquet").mkdir()


def link(draw: random.Random, folder: Path, frame: pl.DataFrame) -> None:
    target = folder.parent.parent / "elsewhere"
    target.mkdir(exist_ok=True)
    frame.write_parquet(target / f"{folder.name}.parquet")
    (folder / "part-0.parquet").symlink_to(target / f"{folder.name}.parquet")


def no_partition(draw: random.Random, folder: Path, frame: pl.DataFrame) -> None:
    """Nothing is delivered."""


FILES: list[Write] = [
    empty_file_beside,
    damaged,
    damaged,
    no_parquet,
    hidden_files,
    folder_beside,
    link,
    no_partition,
]


def _some(draw: random.Random, frame: pl.DataFrame, name: str, value: pl.Expr) -> pl.DataFrame:
    """The frame with this value in one, a few, or all rows of a column."""
    every = draw.choice([frame.height or 1, 50, 10, 1])
    changed = pl.when(pl.int_range(pl.len()) % every == 0).then(value).otherwise(pl.col(name))
    return frame.with_columns(changed.alias(name))
