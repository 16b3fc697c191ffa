"""A detector on disk: a folder of Keras files, JSON and Parquet, with a manifest of their SHA-256. It
contains no executable code.

network_0.keras ...    the networks, read in Keras' safe mode
detector.json          encoder, settings, history, device
calibration.parquet    one array per row: name, shape, values
samples.parquet        encoded rows, in the same form
head.txt               the trees of the head, where there is one, as LightGBM writes them
alone.parquet          where there is a head, the scores of normal rows without it, in the same form
manifest.json          the SHA-256 of each of the files above
"""

import json
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal

import numpy as np
import polars as pl
from pydantic import BaseModel, ConfigDict, ValidationError

from models.detector.blend import Blend, NetworkScores
from models.detector.calibration import Calibration
from models.detector.detector import Detector
from models.detector.manifest import MANIFEST, fingerprint, network_file, sha256_of, verify
from models.detector.score_kinds import parts_of
from models.device import keras
from models.encoding.encoder import Encoder
from models.encoding.layout import Layout
from models.encoding.samples import Samples
from models.errors import ArtifactError
from models.head.boosted import Boosted
from models.head.rows import HeadReport
from models.networks.fitting import Epoch
from models.settings import ModelSettings, TrainingSettings

HEAD, ALONE = "head.txt", "alone.parquet"
NUMBERS = {
    "normals": int,
    "refine_above": np.float32,
    "first_scale": np.float32,
}  # of a calibration, beside its arrays


class _Head(BaseModel):
    """The head beside its trees: the report of its training and, where it is used, the numbers of its
    Blend.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    report: HeadReport
    least: float | None = None
    tail: tuple[float, ...] = ()
    far_weight: float = 0.0

    @staticmethod
    def of(detector: Detector) -> "_Head | None":
        if detector.head_report is None:
            return None
        if detector.blend is None:
            return _Head(report=detector.head_report)
        return _Head(
            report=detector.head_report,
            least=detector.blend.head.least,
            tail=tuple(detector.blend.tail.tolist()),
            far_weight=float(detector.blend.far_weight),
        )

    def read(self, folder: Path) -> Blend | None:
        """Returns the blend with the trees that are in the folder; None where the head is not used."""
        if self.least is None:
            return None
        head = Boosted((folder / HEAD).read_text(encoding="utf-8"), self.least)
        tail, alone = np.array(self.tail, np.float32), NetworkScores(**_read_arrays(folder / ALONE))
        return Blend(head, tail, np.float32(self.far_weight), alone)


class _Description(BaseModel):
    """The content of detector.json.

    format: changes when older versions of Nightscore cannot read the folder. Format 1 has only the moments of
    residuals of a `Normality`, format 2 has no tails, format 3 no parts, format 4 no head and no spacing of
    the reference, format 6 no logarithms. No release wrote format 5.
    parts: of a Detector; in formats without them, those of `_former_parts`.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    format: Literal[1, 2, 3, 4, 6, 7] = 7
    encoder: Encoder
    settings: ModelSettings
    parts: tuple[str, ...] | None = None
    training: TrainingSettings
    history: tuple[Epoch, ...]
    device: str
    head: _Head | None = None


def save(detector: Detector, folder: Path) -> str:
    """Writes the folder atomically and returns its fingerprint.

    Raises ArtifactError where the folder exists: a stored detector is never changed.
    """
    if folder.exists():
        raise ArtifactError(
            f"{folder} already exists; a stored detector is never overwritten: choose another name, "
            "or remove it first"
        )
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{folder.name}.", dir=folder.parent) as temporary:
        staged = Path(temporary) / folder.name
        staged.mkdir()
        _write(detector, staged)
        manifest = json.dumps(
            {path.name: sha256_of(path) for path in sorted(staged.iterdir())}, indent=1
        ).encode()
        (staged / MANIFEST).write_bytes(manifest)
        try:
            staged.rename(folder)
        except OSError as error:
            raise ArtifactError(
                f"{folder} was written by another process at the same time; use that one"
            ) from error
    return fingerprint(folder)


def load(folder: Path, sha256: str | None = None) -> Detector:
    """Returns the detector saved in the folder; it gives the same scores.

    sha256: what `save` returned, to check that it is the same detector.
    Raises ArtifactError, naming the file, where one is missing, is not the one that was written, or is not
    listed.
    """
    verify(folder, sha256)
    try:
        description = _Description.model_validate_json((folder / "detector.json").read_bytes())
    except ValidationError as error:
        raise ArtifactError(
            f"{folder / 'detector.json'} was written by another version of Nightscore; train the "
            "version again"
        ) from error
    networks = tuple(
        keras.saving.load_model(folder / network_file(member), compile=False, safe_mode=True)
        for member in range(description.settings.members)
    )
    calibration = _read_arrays(folder / "calibration.parquet")
    numbers = {name: kind(calibration[name]) for name, kind in NUMBERS.items() if name in calibration}
    return Detector(
        encoder=description.encoder,
        networks=networks,
        calibration=Calibration(**calibration | numbers),
        settings=description.settings,
        parts=description.parts or _former_parts(description.settings, description.encoder.layout),
        training=description.training,
        history=description.history,
        device=description.device,
        samples=Samples(**_read_arrays(folder / "samples.parquet")),
        blend=description.head.read(folder) if description.head else None,
        head_report=description.head.report if description.head else None,
    )


def _former_parts(settings: ModelSettings, layout: Layout) -> tuple[str, ...]:
    """Returns the parts of a score in formats without them: a denoiser's combined one had always `error`."""
    parts = parts_of(settings, layout)
    return ("error", *parts[1:]) if settings.architecture == "denoiser" and len(parts) > 1 else parts


def _write(detector: Detector, folder: Path) -> None:
    for member, network in enumerate(detector.networks):
        network.save(folder / network_file(member))
    description = _Description(
        head=_Head.of(detector),
        encoder=detector.encoder,
        settings=detector.settings,
        parts=detector.parts,
        training=detector.training,
        history=detector.history,
        device=detector.device,
    )
    (folder / "detector.json").write_text(description.model_dump_json(indent=1), encoding="utf-8")
    if detector.blend:
        (folder / HEAD).write_text(detector.blend.head.text, encoding="utf-8")
        _write_arrays(detector.blend.alone, folder / ALONE)
    _write_arrays(detector.calibration, folder / "calibration.parquet")
    _write_arrays(detector.samples, folder / "samples.parquet")


def _write_arrays(holder: Calibration | NetworkScores | Samples, path: Path) -> None:
    arrays = {name: np.asarray(values, np.float32) for name, values in asdict(holder).items()}
    columns = {
        "name": list(arrays),
        "shape": [list(values.shape) for values in arrays.values()],
        "values": [values.ravel() for values in arrays.values()],
    }
    pl.DataFrame(
        columns, schema={"name": pl.String, "shape": pl.List(pl.Int64), "values": pl.List(pl.Float32)}
    ).write_parquet(path)


def _read_arrays(path: Path) -> dict[str, Any]:
    stored = pl.read_parquet(path, glob=False)
    return {
        name: values.to_numpy().reshape(shape.to_list())
        for name, shape, values in zip(stored["name"], stored["shape"], stored["values"], strict=True)
    }
