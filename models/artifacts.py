"""A detector on disk: a folder of Keras files, JSON and Parquet, with a manifest of their SHA-256. Nothing in it can run code.

network_0.keras ...    the networks, read in Keras' safe mode
detector.json          encoder, settings, history, device
calibration.parquet    one array per line: name, shape, values
samples.parquet        encoded rows, in the same form
manifest.json          the SHA-256 of each of the files above
"""

import hashlib
import json
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from pydantic import BaseModel, ConfigDict, ValidationError

from models.calibration import Calibration
from models.detector import Detector
from models.device import keras
from models.encoding import Encoder
from models.errors import ArtifactError
from models.samples import Samples
from models.settings import ModelSettings, TrainingSettings
from models.training import Epoch

MANIFEST = "manifest.json"
RETRAIN = "restore it from a backup, or train the version again with `nightscore train --as-of DATE`"


class _Description(BaseModel):
    """The content of detector.json. format: changes when an older Nightscore could no longer read the folder."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    format: int = 1
    encoder: Encoder
    settings: ModelSettings
    training: TrainingSettings
    history: tuple[Epoch, ...]
    device: str


def fingerprint(folder: Path) -> str:
    """The SHA-256 of the folder's manifest, which names the content of all the others. Raises ArtifactError where there is none."""
    if not (folder / MANIFEST).is_file():
        raise ArtifactError(f"{folder / MANIFEST} is missing; {RETRAIN}")
    return _sha256(folder / MANIFEST)


def save(detector: Detector, folder: Path) -> str:
    """Writes the folder as a whole or not at all, and returns its fingerprint.

    Raises ArtifactError where the folder is already there: a stored detector is never changed.
    """
    if folder.exists():
        raise ArtifactError(f"{folder} is already there; a stored detector is never overwritten: choose another name, or remove it first")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{folder.name}.", dir=folder.parent) as temporary:
        staged = Path(temporary) / folder.name
        staged.mkdir()
        _write(detector, staged)
        manifest = json.dumps({path.name: _sha256(path) for path in sorted(staged.iterdir())}, indent=1).encode()
        (staged / MANIFEST).write_bytes(manifest)
        try:
            staged.rename(folder)
        except OSError as error:
            raise ArtifactError(f"{folder} was written by another process at the same moment; use that one") from error
    return fingerprint(folder)


def load(folder: Path, sha256: str | None = None) -> Detector:
    """The detector that was saved in the folder; it gives the same scores.

    sha256: what `save` returned, to be sure that it is the very same one.
    Raises ArtifactError, naming the file, where one is missing, is not the one that was written, or is not listed.
    """
    _verify(folder, sha256)
    try:
        description = _Description.model_validate_json((folder / "detector.json").read_bytes())
    except ValidationError as error:
        raise ArtifactError(f"{folder / 'detector.json'} was written by another version of Nightscore; train the version again") from error
    networks = tuple(
        keras.saving.load_model(folder / _network(member), compile=False, safe_mode=True) for member in range(description.settings.members)
    )
    calibration = _read_arrays(folder / "calibration.parquet")
    return Detector(
        encoder=description.encoder,
        networks=networks,
        calibration=Calibration(**calibration | {"normals": int(calibration["normals"])}),
        settings=description.settings,
        training=description.training,
        history=description.history,
        device=description.device,
        samples=Samples(**_read_arrays(folder / "samples.parquet")),
    )


def _write(detector: Detector, folder: Path) -> None:
    for member, network in enumerate(detector.networks):
        network.save(folder / _network(member))
    description = _Description(
        encoder=detector.encoder,
        settings=detector.settings,
        training=detector.training,
        history=detector.history,
        device=detector.device,
    )
    (folder / "detector.json").write_text(description.model_dump_json(indent=1), encoding="utf-8")
    _write_arrays(detector.calibration, folder / "calibration.parquet")
    _write_arrays(detector.samples, folder / "samples.parquet")


def _write_arrays(holder: Calibration | Samples, path: Path) -> None:
    arrays = {name: np.asarray(values, np.float32) for name, values in asdict(holder).items()}
    columns = {
        "name": list(arrays),
        "shape": [list(values.shape) for values in arrays.values()],
        "values": [values.ravel() for values in arrays.values()],
    }
    pl.DataFrame(columns, schema={"name": pl.String, "shape": pl.List(pl.Int64), "values": pl.List(pl.Float32)}).write_parquet(path)


def _read_arrays(path: Path) -> dict[str, Any]:
    stored = pl.read_parquet(path)
    return {
        name: values.to_numpy().reshape(shape.to_list())
        for name, shape, values in zip(stored["name"], stored["shape"], stored["values"], strict=True)
    }


def _verify(folder: Path, sha256: str | None) -> None:
    manifest, found = folder / MANIFEST, fingerprint(folder)
    if sha256 is not None and found != sha256:
        raise ArtifactError(f"{manifest} is not the one that was written; {RETRAIN}")
    try:
        listed = json.loads(manifest.read_bytes())
        expected = {"detector.json", "calibration.parquet", "samples.parquet", _network(0)}
        complete = expected <= set(listed)
    except (ValueError, TypeError):
        complete = False
    if not complete:
        raise ArtifactError(f"{manifest} is not a detector's manifest; {RETRAIN}")
    for name, digest in listed.items():
        path = folder / name
        if not path.is_file():
            raise ArtifactError(f"{path} is missing; {RETRAIN}")
        if _sha256(path) != digest:
            raise ArtifactError(f"{path} is not the file that was written (SHA-256 {digest[:12]}... expected); {RETRAIN}")


def _network(member: int) -> str:
    return f"network_{member}.keras"


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
