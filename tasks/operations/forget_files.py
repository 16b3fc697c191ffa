"""Finds and removes the files of a dataset that name an entity."""

import json
import re
import shutil
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date
from html import unescape
from pathlib import Path

from tasks.core.errors import NightError
from tasks.core.staging import abandoned, remove, staging
from tasks.operations.prune_files import DATE, PAGES, STAGED, is_own, is_used

HELD = "leftovers of held nights"


@dataclass(frozen=True)
class Place:
    """A file or folder to remove."""

    kind: str
    path: Path


def named_in(text: str, names: Collection[str]) -> bool:
    """Whether a text has one of the names as a whole word, as it is or escaped for HTML or JSON."""
    texts = [text, unescape(text)]
    for name in names:
        for written in {name, json.dumps(name)[1:-1], json.dumps(name, ensure_ascii=False)[1:-1]}:
            whole = re.compile(rf"(?<!\w){re.escape(written)}(?!\w)")
            if any(written in each and whole.search(each) for each in texts):
                return True
    return False


def pages_that_name(
    files: Path, names: Collection[str], dates: Collection[date], *, is_masked: bool
) -> list[Place]:
    """Returns the pages of these dates that have one of the names; a report's page and its JSON go together.

    is_masked: whether pages mask what would name it, so that every page of the dates counts.
    """
    found = {
        path.with_suffix("")
        for folder, (_, pattern) in PAGES.items()
        for path in _entries(files / folder)
        if pattern.fullmatch(path.name)
        and _is_of(path, dates)
        and (is_masked or named_in(path.read_text(encoding="utf-8"), names))
    }
    return [
        Place(kind, path)
        for folder, (kind, pattern) in PAGES.items()
        for path in _entries(files / folder)
        if path.with_suffix("") in found and pattern.fullmatch(path.name)
    ]


def staged_places(files: Path) -> list[Place]:
    """Returns what ended runs have left: staging folders, and folders of nights that are no longer held.

    Raises NightError where a running process has one: it may commit rows of the entity.
    """
    left = [
        path
        for path in _entries(staging(files))
        if path.is_dir() and re.fullmatch(rf"{DATE}|scratch-.*", path.name)
    ]
    if used := [path.name for path in left if is_used(path)]:
        raise NightError(
            f"{len(used)} folders in {staging(files)} are in use by a running process that may store the "
            f"entity: {', '.join(used)}; wait for its end, then forget the entity"
        )
    held = [Place(HELD, path) for path in _entries(files / "held") if path.is_dir()]
    return [*(Place(STAGED, path) for path in left), *held]


def remove_places(files: Path, places: Sequence[Place]) -> None:
    """Removes files and folders. Raises NightError where a folder is in use by now, or a link leads to it."""
    for place in places:
        if not is_own(files, place.path):
            raise NightError(f"{place.path} is a link, or lies behind one; remove it by hand, then try again")
        if place.kind == STAGED:
            with abandoned(place.path) as is_free:
                if not is_free and place.path.exists():
                    raise NightError(f"{place.path} is in use by now; wait for its process, then try again")
                if is_free:
                    remove(place.path)
        elif place.path.is_dir():
            shutil.rmtree(place.path)
        else:
            place.path.unlink(missing_ok=True)


def _entries(folder: Path) -> list[Path]:
    return sorted(folder.iterdir()) if folder.is_dir() else []


def _is_of(path: Path, dates: Collection[date]) -> bool:
    """Whether one of the dates is in the period of a page's name."""
    named = [date.fromisoformat(each) for each in re.findall(DATE, path.name)]
    return any(named[0] <= day <= named[-1] for day in dates)
