"""The manifest of a stored detector: the SHA-256 of each of its files.

It is read without Keras, and therefore quickly.
"""

import hashlib
import json
from pathlib import Path

from models.errors import ArtifactError

MANIFEST = "manifest.json"
RETRAIN = "restore it from a backup, or train the version again with `nightscore train --as-of DATE`"


def fingerprint(folder: Path) -> str:
    """Returns the SHA-256 of the folder's manifest, which covers the content of all other files.

    Raises ArtifactError where the manifest is missing.
    """
    if not (folder / MANIFEST).is_file():
        raise ArtifactError(f"{folder / MANIFEST} is missing; {RETRAIN}")
    return sha256_of(folder / MANIFEST)


def verify(folder: Path, sha256: str | None = None) -> None:
    """Checks that every file is the one that was written. sha256: the earlier `fingerprint`, to check the
    manifest as well.

    Raises ArtifactError, naming the file, where one is missing, is not the one that was written, or is not
    listed.
    """
    manifest, found = folder / MANIFEST, fingerprint(folder)
    if sha256 is not None and found != sha256:
        raise ArtifactError(f"{manifest} is not the one that was written; {RETRAIN}")
    try:
        listed = json.loads(manifest.read_bytes())
        expected = {"detector.json", "calibration.parquet", "samples.parquet", network_file(0)}
        complete = expected <= set(listed)
    except (ValueError, TypeError):
        complete = False
    if not complete:
        raise ArtifactError(f"{manifest} is not a detector's manifest; {RETRAIN}")
    for name, digest in listed.items():
        path = folder / name
        if not path.is_file():
            raise ArtifactError(f"{path} is missing; {RETRAIN}")
        if sha256_of(path) != digest:
            raise ArtifactError(
                f"{path} is not the file that was written (SHA-256 {digest[:12]}... expected); {RETRAIN}"
            )


def network_file(member: int) -> str:
    """Returns the file name of a network of the ensemble."""
    return f"network_{member}.keras"


def sha256_of(path: Path) -> str:
    """Returns the SHA-256 of a file's content."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
