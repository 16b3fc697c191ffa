"""Finds and removes the artifacts of pruned versions in a store outside the dataset's own folder.

Only artifacts that the registry names are considered.
"""

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from tasks.operations.prune_files import ARTIFACTS
from tasks.registry.artifact_store import exists, remove, size


@dataclass(frozen=True)
class OldArtifact:
    """An artifact to remove. since: the date of its training. bytes: of all its files."""

    path: str
    since: date
    bytes: int
    kind: str = ARTIFACTS


def is_in_store(root: str, path: str) -> bool:
    """Whether the path is one where the store below `root` writes artifacts."""
    return bool(re.fullmatch(re.escape(root) + "/[0-9a-f]{64}", path))


def old_artifacts(
    root: str, places: Sequence[dict[str, Any]], versions: Collection[str]
) -> list[OldArtifact]:
    """Returns the artifacts of pruned versions, and of `versions`, that still exist and that no version in
    use names.

    places: rows of `sql/retention/list_artifact_paths.sql`. versions: names of versions to be pruned.
    Raises ArtifactError if the store cannot be read.
    """
    gone = [place for place in places if place["is_pruned"] or place["version"] in versions]
    live = {place["artifact_path"] for place in places if place not in gone}
    own = {
        place["artifact_path"]: place["since"] for place in gone if is_in_store(root, place["artifact_path"])
    }
    return [
        OldArtifact(path, since, size(path))
        for path, since in own.items()
        if path not in live and exists(path)
    ]


def remove_artifacts(old: Sequence[OldArtifact]) -> None:
    """Removes the artifacts.

    Raises ArtifactError if the store cannot be written; the next pruning removes the rest.
    """
    for artifact in old:
        remove(artifact.path)
