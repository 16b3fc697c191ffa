"""Which files a path means: what it matches is read as that file, and once."""

from datetime import date
from pathlib import Path

import duckdb
import fsspec
import polars as pl
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tasks.core.date_path import date_path, unescaped
from tasks.core.filesystem import exact_pattern
from tasks.source.listing import find_files

PHASES = (Phase.explicit, Phase.reuse, Phase.generate)
NAMES = st.text(st.sampled_from("ab1[]*?!-. _{}:,'ü%"), min_size=1, max_size=8).filter(
    lambda name: name.strip(".") and not name.startswith("-")
)


@pytest.mark.slow
@settings(
    phases=PHASES,
    max_examples=150,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(st.lists(NAMES, min_size=1, max_size=4, unique=True), NAMES)
def test_every_file_is_found_and_read_as_itself_whatever_its_name(
    tmp_path_factory: pytest.TempPathFactory, names: list[str], parent: str
) -> None:
    folder = tmp_path_factory.mktemp("names") / parent
    folder.mkdir()
    files = [folder / f"x{name}.parquet" for name in names]
    for number, file in enumerate(files):
        pl.DataFrame({"number": [number]}).write_parquet(file)
    assert find_files([f"{exact_pattern(str(folder))}/*.parquet"]) == sorted(map(str, files))
    with duckdb.connect() as con:
        for number, file in enumerate(files):
            assert find_files([exact_pattern(str(file))]) == [str(file)]
            assert con.execute("from read_parquet(?)", [exact_pattern(str(file))]).fetchall() == [(number,)]
    assert unescaped(exact_pattern(str(folder))) == str(folder)


TREE = (
    "date=2024-03-10/part-0.parquet",
    "date=2024-03-10/_part-1.parquet",
    "date=2024-03-10/.part-2.parquet",
    "date=2024-03-10/part-0.parquet.crc",
    "date=2024-03-10/_temporary/0/part-3.parquet",
    "date=2024-03-10/hour=1/part-4.parquet",
    "_landing/date=2024-03-10/part-5.parquet",
    "_delta_log/00010.checkpoint.parquet",
    "_SUCCESS",
)


@pytest.mark.parametrize("protocol", ["", "memory://"])
@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("date=2024-03-10/*", ["date=2024-03-10/part-0.parquet"]),
        (
            "date=2024-03-10/**/*.parquet",
            ["date=2024-03-10/hour=1/part-4.parquet", "date=2024-03-10/part-0.parquet"],
        ),
        ("*/part-0.parquet", ["date=2024-03-10/part-0.parquet"]),
        ("_landing/date=2024-03-10/*.parquet", ["_landing/date=2024-03-10/part-5.parquet"]),
        ("date=2024-03-10/_part-*.parquet", ["date=2024-03-10/_part-1.parquet"]),
        ("date=2024-03-10/_part-1.parquet", ["date=2024-03-10/_part-1.parquet"]),
        ("*/*.parquet", ["date=2024-03-10/part-0.parquet"]),
        ("*.checkpoint.parquet", []),
    ],
)
def test_what_a_wildcard_matches_is_no_data_where_its_name_is_hidden(
    tmp_path: Path, protocol: str, pattern: str, found: list[str]
) -> None:
    root = f"{protocol}{tmp_path}" if not protocol else f"{protocol}/{tmp_path.name}"
    filesystem = fsspec.core.url_to_fs(root)[0]
    for name in TREE:
        filesystem.makedirs(f"{root}/{name}".rpartition("/")[0], exist_ok=True)
        filesystem.pipe_file(f"{root}/{name}", b"x")
    files = [file for file in find_files([f"{root}/{pattern}"]) if not filesystem.isdir(file)]
    assert [file.partition(f"{tmp_path.name}/")[2] for file in files] == found


@pytest.mark.parametrize(
    ("path", "file", "day"),
    [
        ("/x/[[]a] b/date={date}/*.parquet", "/x/[a] b/date=2024-03-10/p.parquet", "2024-03-10"),
        ("/x/2020-01-01/*/d={date}.parquet", "/x/2020-01-01/y/d=2024-03-10.parquet", "2024-03-10"),
        ("/x/[ab]/d={date}/*", "/x/a/d=2024-03-10/p", "2024-03-10"),
    ],
)
def test_the_date_is_what_stands_after_the_text_before_it(path: str, file: str, day: str) -> None:
    assert date_path(path).date_of(file) == date.fromisoformat(day)
