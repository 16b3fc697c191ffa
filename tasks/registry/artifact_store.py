"""The store of artifacts: each lies in a folder that is named by its content, on any path that fsspec knows,
and is never changed.
"""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from models.detector import manifest
from models.errors import ArtifactError
from tasks.core.errors import first_line
from tasks.core.filesystem import filesystem_of, is_remote
from tasks.warehouse.connection import Warehouse

if TYPE_CHECKING:
    from models.detector.detector import Detector

MEND = "make it reachable, or train the version again with `nightscore train --as-of DATE`"


@dataclass(frozen=True)
class Artifact:
    """path: its folder, local or an fsspec URL.

    sha256: of its manifest, and with that of everything in it.
    """

    path: str
    sha256: str


def root_of(warehouse: Warehouse) -> str:
    """The folder of a dataset's artifacts: below `warehouse.artifacts`, else below `warehouse.files`."""
    store = warehouse.settings.artifacts
    return f"{store.rstrip('/')}/{warehouse.name}" if store else str(warehouse.files / "models")


def as_stored(warehouse: Warehouse, path: str) -> str:
    """An artifact's path as the table `models` has it: relative to `warehouse.files`, if it is below."""
    files = warehouse.settings.files
    local = not is_remote(path) and Path(path).is_relative_to(files)
    return str(Path(path).relative_to(files)) if local else path


def as_found(warehouse: Warehouse, stored: str) -> str:
    """An artifact's path from the table `models`."""
    return stored if is_remote(stored) else str(Path(warehouse.settings.files) / stored)


def put(folder: Path, root: str) -> Artifact:
    """Copies a saved detector into the store, its manifest last, so that a half-written one is never taken
    for whole.

    The same content is written once. Raises ArtifactError where the store cannot be written.
    """
    sha256 = manifest.fingerprint(folder)
    place = f"{root}/{sha256}"
    with _said_plainly(place):
        files = filesystem_of(place)
        if not _is_whole(Artifact(place, sha256)):
            files.makedirs(place, exist_ok=True)
            names = sorted(path.name for path in folder.iterdir() if path.name != manifest.MANIFEST)
            for name in [*names, manifest.MANIFEST]:
                files.put_file(str(folder / name), f"{place}/{name}")
    return Artifact(place, sha256)


def verify(path: str, sha256: str) -> None:
    """Passes where an artifact is what was written.

    Raises ArtifactError, naming the file, where it is not, or cannot be read.
    """
    with fetched(path) as folder:
        manifest.verify(folder, sha256)


def exists(path: str) -> bool:
    """Whether anything is there. Raises ArtifactError where the store cannot be read."""
    with _said_plainly(path):
        return bool(filesystem_of(path).exists(path))


def size(path: str) -> int:
    """Bytes of all that is in the folder of an artifact.

    Raises ArtifactError where the store cannot be read.
    """
    with _said_plainly(path):
        return int(filesystem_of(path).du(path))


def remove(path: str) -> None:
    """Removes an artifact, its manifest first. Raises ArtifactError where the store cannot be written."""
    with _said_plainly(path):
        files = filesystem_of(path)
        if files.exists(f"{path}/{manifest.MANIFEST}"):
            files.rm(f"{path}/{manifest.MANIFEST}")
        if files.exists(path):
            files.rm(path, recursive=True)


@contextmanager
def fetched(path: str) -> Iterator[Path]:
    """The folder of an artifact on this machine; what was fetched for it is gone when the block ends.

    Raises ArtifactError where the store cannot be read.
    """
    if not is_remote(path):
        yield Path(path)
        return
    with tempfile.TemporaryDirectory(prefix="nightscore-") as temporary:
        folder = Path(temporary) / path.rpartition("/")[2]
        folder.mkdir()
        with _said_plainly(path):
            files = filesystem_of(path)
            for name in (entry.rpartition("/")[2] for entry in files.ls(path, detail=False)):
                files.get_file(f"{path}/{name}", str(folder / name))
        yield folder


def _is_whole(artifact: Artifact) -> bool:
    path = f"{artifact.path}/{manifest.MANIFEST}"
    files = filesystem_of(path)
    if not files.exists(path):
        return False
    with tempfile.TemporaryDirectory(prefix="nightscore-") as folder:
        files.get_file(path, f"{folder}/{manifest.MANIFEST}")
        return manifest.fingerprint(Path(folder)) == artifact.sha256


@contextmanager
def _said_plainly(path: str) -> Iterator[None]:
    """Turns what a store says into an ArtifactError that names the place."""
    try:
        yield
    except ArtifactError:
        raise
    except Exception as error:  # every store has errors of its own
        raise ArtifactError(f"the artifact {path} cannot be reached: {first_line(error)}; {MEND}") from error


@lru_cache(maxsize=4)  # compiled graphs are worth keeping, those of the challengers too
def load(path: str, sha256: str) -> "Detector":
    """The detector of an artifact.

    Raises ArtifactError, naming the file, where it is not what was written, or cannot be read.
    """
    from models.detector import (
        artifacts,
    )  # starts TensorFlow, which most of what looks at the store need not wait for

    with fetched(path) as folder:
        return artifacts.load(folder, sha256)
