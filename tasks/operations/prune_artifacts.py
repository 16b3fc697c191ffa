"""The artifacts of pruned versions in a store that is not below the dataset's own folder.

Only what the registry names is looked at.
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
    """An artifact that is to go. since: the date of its training. bytes: of all that is in it."""

    path: str
    since: date
    bytes: int
    kind: str = ARTIFACTS


def is_in_store(root: str, path: str) -> bool:
    """Whether a path is where the store below `root` puts an artifact."""
    return bool(re.fullmatch(re.escape(root) + "/[0-9a-f]{64}", path))


def old_artifacts(
    root: str, places: Sequence[dict[str, Any]], versions: Collection[str]
) -> list[OldArtifact]:
    """Those of versions that are pruned, or will be as soon as `versions` are, that are still there and that
    no version in use names.

    places: rows of `sql/retention/list_artifact_paths.sql`. Raises ArtifactError where the store cannot be
    read.
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
    """Removes them. Raises ArtifactError where the store cannot be written; the next prune then goes on."""
    for artifact in old:
        remove(artifact.path)
