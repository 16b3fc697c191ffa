"""Finds the source that a folder, a file or a pattern of files means, for `nightscore init`."""

import re
from collections import Counter
from os.path import commonprefix
from pathlib import Path

from tasks.core.csv_settings import SUFFIXES, CsvSettings
from tasks.core.date_path import FIELD, date_path
from tasks.core.duckdb_types import is_date, is_timestamp
from tasks.core.errors import SourceError
from tasks.core.filesystem import exact_pattern
from tasks.core.source_settings import SourceSettings
from tasks.operations.csv_inspection import look_at_csv
from tasks.operations.path_dates import split_at_date
from tasks.source.connection import connect
from tasks.source.file_parts import file_parts
from tasks.source.listing import find_files

KINDS = (".parquet", *SUFFIXES)  # the first of which there are files
STRAYS = 0.1  # files of other kinds, as a share of those of one kind, that do not stop it


def file_source(path: str, ignored: list[str]) -> SourceSettings:
    """Returns the source of files: its path has fields in place of their dates or, where no file has a date
    in its path, it has the date column of their rows; of CSV files, it has their dialect and types.

    ignored: gets a sentence about the files that are left aside. Raises SourceError if there are no files, or
    files of several kinds.
    """
    if FIELD.search(path):
        files = find_files([date_path(path).any_date])
        return _with_types(path, files, _suffix(files, path))
    is_pattern = re.search(r"[*?[]", path) and not Path(path).is_dir()
    is_one = path.endswith(KINDS) and not is_pattern
    folder = re.split(r"[*?[]", path)[0].rpartition("/")[0] if is_pattern or is_one else path.rstrip("/")
    below = path if is_pattern else exact_pattern(path) if is_one else f"{exact_pattern(folder)}/**/*"
    every = find_files([below])
    suffix = _suffix(every, path)
    files = [file for file in every if file.endswith(suffix)]
    place = exact_pattern(folder) + "/" if folder or path.startswith("/") else ""
    pattern = _dated_pattern([file.removeprefix(folder).lstrip("/") for file in files], suffix, path, ignored)
    if pattern is not None:
        return _with_types(place + pattern, files, suffix)
    return _with_types(below if is_pattern or is_one else below + suffix, files, suffix, is_dated=False)


def _suffix(files: list[str], path: str) -> str:
    """Returns the ending of the files to read. Raises SourceError if none is Parquet or CSV."""
    found = next((kind for kind in KINDS if any(file.endswith(kind) for file in files)), None)
    if found is None:
        raise SourceError(f"there are no .parquet or .csv files in {path}")
    return found


def _dated_pattern(files: list[str], suffix: str, path: str, ignored: list[str]) -> str | None:
    """Returns the pattern of files below a folder, with fields for their dates; None if no file has one.

    ignored: see `file_source`. Raises SourceError if there are several patterns.
    """
    found = Counter(split_at_date(file, suffix) for file in files)
    if undated := found.pop(None, 0):
        if not found:
            return None
        example = next(file for file in files if split_at_date(file, suffix) is None)
        ignored.append(
            f"{undated} of {len(files)} files in {path} have no YYYY-MM-DD or YYYYMMDD in their path below "
            f"it and are not read, such as {example}"
        )
    _leave_strays(found, path, ignored)
    shared = commonprefix([after for _, after in filter(None, found)])  # noqa: RUF071 (characters are meant)
    patterns = {
        before + (f"{shared}*{suffix}" if "/" not in after and len(found) > 1 else after)
        for before, after in filter(None, found)
    }
    if len(patterns) > 1:
        several = ", ".join(sorted(patterns)[:3])
        raise SourceError(
            f"{path} holds several kinds of files ({several}); give the path of one kind, with "
            "{date} for the date"
        )
    return patterns.pop()


def _leave_strays(found: Counter[tuple[str, str] | None], path: str, ignored: list[str]) -> None:
    """Removes the kinds of files, by what is before their date, of which there are few beside one other."""
    kinds: Counter[str] = Counter()
    for before, after in filter(None, found):
        kinds[before] += found[before, after]
    (most, count), *others = kinds.most_common()
    strays = sum(kinds.values()) - count
    if not others or strays > STRAYS * count:
        return
    example = next(f"{before}{after}" for before, after in filter(None, found) if before != most)
    ignored.append(f"{strays} files of another kind in {path} are not read, such as {example}")
    for key in [key for key in filter(None, found) if key[0] != most]:
        del found[key]


def _with_types(path: str, files: list[str], suffix: str, *, is_dated: bool = True) -> SourceSettings:
    """Returns the source with the dialect and types of CSV files, and the date column where one is needed."""
    given: dict[str, object] = {}
    if suffix != ".parquet":
        look = look_at_csv(files)
        given["types"] = look.types
        if look.dialect != CsvSettings() or not path.endswith(SUFFIXES):
            given["csv"] = look.dialect
    if is_dated:
        return SourceSettings.model_validate({"path": path, **given})
    source = SourceSettings.model_validate({"path": path, "date_column": "_", **given})
    return source.model_copy(update={"date_column": _date_column(source, files, path)})


def _date_column(source: SourceSettings, files: list[str], path: str) -> str:
    """Returns the first column of dates, else of timestamps. Raises SourceError if there is none."""
    with connect(source) as con:
        types = next(iter(file_parts(con, source, {files[-1]: None}))).types
    for is_of in (is_date, is_timestamp):
        if found := [name for name, kind in types.items() if is_of(kind)]:
            return found[0]
    raise SourceError(
        f"the files in {path}, such as {files[-1]}, have neither a date such as YYYY-MM-DD or YYYYMMDD in "
        "their path nor a column of dates or timestamps; add one, so that their rows can be assigned to days"
    )
