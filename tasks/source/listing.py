"""Lists the files that the path of a source means: it is a pattern, and what it matches are files."""

import glob
import os
from collections.abc import Iterator, Sequence
from errno import EACCES
from pathlib import Path

from tasks.core.date_path import has_wildcard, unescaped
from tasks.core.errors import SourceError, first_line
from tasks.core.filesystem import filesystem_of, is_remote

HIDDEN = (".", "_")  # what such names hold is no data: half-written files, _SUCCESS, _temporary, _delta_log


def find_files(patterns: Sequence[str]) -> list[str]:
    """Returns the files that match each pattern in turn; see `match_files`."""
    return [file for found in match_files(patterns) for file in found]


def match_files(patterns: Sequence[str]) -> list[list[str]]:
    """Returns the files that match each pattern, with their protocol if they are remote.

    Links are followed. A name that a wildcard matched is no data if it begins with . or _, or ends with .crc;
    what a pattern writes out is taken as it is. Raises SourceError if the files cannot be listed.
    """
    try:
        return list(_matches(patterns))
    except Exception as error:
        raise SourceError(f"{unescaped(patterns[0])} cannot be listed: {first_line(error)}") from error


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
        folder, is_listed = Path(unescaped("/".join(parts[:end])) or "/"), has_wildcard(parts[end])
        if folder.is_dir() and not os.access(folder, os.R_OK | os.X_OK if is_listed else os.X_OK):
            raise PermissionError(EACCES, os.strerror(EACCES), str(folder))
        if is_listed:
            break


def _is_data(file: str, pattern: str) -> bool:
    for name, wanted in _aligned(file.split("/"), pattern.split("/")):
        if not has_wildcard(wanted):
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
