"""Lists the files that the path of a source means: it is a pattern, and what it matches are files."""

import glob
import os
import re
from collections.abc import Iterator, Sequence
from errno import EACCES
from pathlib import Path

from tasks.core.errors import SourceError, first_line
from tasks.core.filesystem import filesystem_of, is_remote

DATE = r"(\d{4}-\d{2}-\d{2})"
DATE_GLOB = "[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]"
ESCAPED = re.compile(r"\[([\[*?])\]")  # as tasks.core.filesystem.exact_pattern writes a character
WILDCARD = re.compile(
    r"\[[\[*?]\]|(\[!?.[^\]]*\]|[*?])"
)  # its group is a wildcard, the rest is such a character
HIDDEN = (".", "_")  # what such names hold is no data: half-written files, _SUCCESS, _temporary, _delta_log


def find_files(patterns: Sequence[str]) -> list[str]:
    """Returns the files that match each pattern in turn, with their protocol if they are remote.

    Links are followed. A name that a wildcard matched is no data if it begins with . or _, or ends with .crc;
    what a pattern writes out is taken as it is. Raises SourceError if the files cannot be listed.
    """
    try:
        return [file for found in _matches(patterns) for file in found]
    except Exception as error:
        raise SourceError(f"{unescaped(patterns[0])} cannot be listed: {first_line(error)}") from error


def unescaped(pattern: str) -> str:
    """Returns a pattern as people read it: characters that were escaped stand for themselves."""
    return ESCAPED.sub(r"\1", pattern)


def date_pattern(path: str) -> str:
    """Returns a regular expression for the date in a file's path: the last date after the text that stands
    just before {date}.
    """
    before = path.split("{date}")[0]
    ends = [match.end() for match in WILDCARD.finditer(before) if match[1]]
    written = unescaped(before[ends[-1] if ends else 0 :]).split("://")[-1]
    return ".*" + re.escape(written[-40:]) + DATE


def _matches(patterns: Sequence[str]) -> Iterator[list[str]]:
    if not is_remote(patterns[0]):
        for pattern in patterns:
            _require_access(pattern)
            # Unlike fsspec and Path.glob, it follows links to folders.
            found = sorted(glob.glob(pattern, recursive=True))  # noqa: PTH207
            yield [file for file in found if _is_data(file, pattern)]
        return
    filesystem = filesystem_of(patterns[0])
    # Once for all patterns: listings are cached again, and opening a listed file needs no request more.
    filesystem.invalidate_cache()
    for pattern in patterns:
        plain = filesystem._strip_protocol(pattern)
        found = [file for file in sorted(filesystem.glob(pattern)) if _is_data(file, plain)]
        yield [filesystem.unstrip_protocol(file) for file in found]


def _require_access(pattern: str) -> None:
    """Raises PermissionError, which names the folder, if one before the first wildcard may not be searched or
    listed: a listing would leave its files out without a word.
    """
    parts = pattern.split("/")
    for end in range(1, len(parts)):
        folder, is_listed = Path(unescaped("/".join(parts[:end])) or "/"), _has_wildcard(parts[end])
        if folder.is_dir() and not os.access(folder, os.R_OK | os.X_OK if is_listed else os.X_OK):
            raise PermissionError(EACCES, os.strerror(EACCES), str(folder))
        if is_listed:
            break


def _has_wildcard(part: str) -> bool:
    return any(match[1] for match in WILDCARD.finditer(part))


def _is_data(file: str, pattern: str) -> bool:
    for name, wanted in _aligned(file.split("/"), pattern.split("/")):
        if not _has_wildcard(wanted):
            continue
        if name.startswith(HIDDEN) and not unescaped(wanted).startswith(name[0]):
            return False
        if name.endswith(".crc") and not wanted.endswith(".crc"):
            return False
    return True


def _aligned(names: list[str], pattern: list[str]) -> Iterator[tuple[str, str]]:
    """Each part of a path with the part of the pattern that matched it; `**` matches any number of them."""
    if "**" not in pattern:
        yield from zip(names, pattern, strict=False)
        return
    first = pattern.index("**")
    last = pattern[::-1].index("**")  # parts after the last one
    yield from zip(names[:first], pattern[:first], strict=False)
    yield from ((name, "**") for name in names[first : len(names) - last])
    yield from zip(names[len(names) - last :], pattern[len(pattern) - last :], strict=False)
