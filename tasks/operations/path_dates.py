"""Finds the date in the path of a file, for `nightscore init`."""

import re
from collections.abc import Iterator
from datetime import date

YEAR, MONTH, DAY = r"((?:19|20)[0-9]{2})", r"(0?[1-9]|1[0-2])", r"(0?[1-9]|[12][0-9]|3[01])"
BETWEEN = r"(-|_|\.|/(?:[A-Za-z_]+=)?)"  # such as /month=
COMPACT = r"(?<![0-9])((?:19|20)[0-9]{2})(0[1-9]|1[0-2])(0[1-9]|[12][0-9]|3[01])(?![0-9])"
WRITTEN = re.compile(rf"(?<![0-9]){YEAR}{BETWEEN}{MONTH}{BETWEEN}{DAY}(?![0-9])")


def split_at_date(file: str, suffix: str) -> tuple[str, str] | None:
    """Returns the path of a file up to its date, with fields in place of it, and what is after it, with
    wildcards for everything below a dated folder; None if the path has no date.
    """
    found = next(_dates(file), None)
    if found is None:
        return None
    day, start, end, field = found
    folder, *below = file[end:].split("/")
    after = "/".join([folder, *["*"] * (len(below) - 1), *[f"*{suffix}"] * bool(below)])
    return _with_fields(file[:start], day) + field, after


def _dates(file: str) -> Iterator[tuple[date, int, int, str]]:
    """Yields the dates in a path, the plain ones first: the date, where it begins and ends, and its field."""
    for match in WRITTEN.finditer(file):
        year, first, month, second, day = match.groups()
        if (found := _date(year, month, day)) is None:
            continue
        iso = match[0] == found.isoformat()
        field = "{date}" if iso else f"{{date:%Y}}{first}{{date:%m}}{second}{{date:%d}}"
        yield found, match.start(), match.end(), field
    for match in re.finditer(COMPACT, file):
        if (found := _date(*match.groups())) is not None:
            yield found, match.start(), match.end(), "{date:%Y%m%d}"


def _with_fields(before: str, day: date) -> str:
    """Returns the folders before a date with fields in place of its year and month, such as year=2024/."""
    *folders, rest = before.split("/")
    texts = {f"{day:%Y}": "{date:%Y}", f"{day:%m}": "{date:%m}", str(day.month): "{date:%m}"}
    split = [folder.rpartition("=") for folder in folders]
    return "/".join([*(f"{key}{sign}{texts.get(value, value)}" for key, sign, value in split), rest])


def _date(year: str, month: str, day: str) -> date | None:
    try:
        return date(int(year), int(month), int(day))
    except ValueError:
        return None
