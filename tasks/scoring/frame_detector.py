"""Detectors for frames in memory: the champion of a dataset, or one that is fitted without any warehouse."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import ValidationError

from models.settings import ImageSettings, ModelSettings, Section, ThresholdSettings, TrainingSettings
from tasks.core.column_settings import ColumnSettings
from tasks.core.dataset import Dataset, FeatureSettings
from tasks.core.errors import NoChampion
from tasks.registry.artifact_store import load
from tasks.registry.versions import find_champion
from tasks.warehouse.connection import Warehouse

if TYPE_CHECKING:  # TensorFlow starts with the first detector, not with the import
    import polars as pl

    from models.detector import detector as detectors
    from tasks.features.build import FeatureBatch

F = TypeVar("F")
S = TypeVar("S", bound=Section)
Keys = Mapping[str, Any]  # of a section of the configuration


@dataclass(frozen=True)
class FittedDetector:
    """Scores frames of polars, pandas or Arrow; each answer is a frame of the same kind, with the rows in
    their order.

    columns: where the frame has their columns, the answer has the id, and `budget` counts entities.
    threshold: which rows are flagged, where `score` is not given another rule. timezone: in which instants
    become text, where they are categories.
    """

    detector: "detectors.Detector"
    features: FeatureSettings
    threshold: ThresholdSettings = field(default_factory=ThresholdSettings)
    columns: ColumnSettings | None = None
    timezone: str = "UTC"

    def score(self, frame: F, threshold: Keys | None = None) -> F:
        """Returns id (if the frame has it), error, score, p_value and is_flagged, as in the view `scores`; of
        a detector with a head also flagged_by, where the threshold has a reserve.

        threshold: strategy, value and reserve, as in [threshold]. The strategies that depend on the night
        (batch_quantile, budget, fdr) take the frame for one.
        Raises FrameRefused where the frame lacks a feature, ThresholdError where the strategy cannot be
        applied.
        """
        from models.flagging.flags import NightScores
        from models.flagging.reserve import flag_night, patterns
        from tasks.features.frames import as_kind_of

        batch = self._read(frame)
        scores, keys = self.detector.score(batch.features), batch.keys.to_dict()
        p_values = self.detector.p_values(scores.score)
        ids, entities = keys.get("id"), keys.get("entity", keys.get("id"))
        if entities is not None and ids is not None:
            entities = entities.fill_null(ids)
        rule = _checked(ThresholdSettings, threshold) if threshold else self.threshold
        night = NightScores(scores.score, p_values, entities, ids)
        flags = flag_night(self.detector, night, scores.alone, rule)
        found = {
            "error": scores.error,
            "score": scores.score,
            "p_value": p_values,
            "is_flagged": flags.flagged,
        }
        if flags.unknown is not None:
            found["flagged_by"] = patterns(flags)
        return as_kind_of(frame, _beside_ids(batch, found))

    def explain(self, frame: F, top: int = 3) -> F:
        """Returns id (if the frame has it) and reasons: the `top` features that contribute most to each row's
        score, as the view `scores` has them.

        Raises FrameRefused where the frame lacks a feature.
        """
        from tasks.features.frames import as_kind_of
        from tasks.scoring.masked_reasons import mask_reasons

        batch = self._read(frame)
        private = self.columns.private if self.columns else ()
        reasons = mask_reasons(self.detector.reasons(batch.features, top), private, self.features.image)
        return as_kind_of(frame, _beside_ids(batch, {"reasons": reasons}))

    def save(self, folder: str | Path) -> str:
        """Writes the detector into a new folder, without columns and threshold; returns its fingerprint.

        Raises ArtifactError where the folder exists.
        """
        from models.detector import artifacts

        return artifacts.save(self.detector, Path(folder))

    def _read(self, frame: Any) -> "FeatureBatch":
        from tasks.features.frames import read_frame

        return read_frame(frame, self.features, self.columns, self.timezone)


class Detector:
    """What a detector shall learn: its features, and the keys of the sections [model] and [training]."""

    def __init__(
        self,
        numeric: Sequence[str] = (),
        categorical: Sequence[str] = (),
        *,
        image: Keys | None = None,
        model: Keys | None = None,
        training: Keys | None = None,
    ) -> None:
        """Raises ValueError where a key is unknown, or no feature is named."""
        pixels = _checked(ImageSettings, image) if image else None
        self.features = _checked(
            FeatureSettings,
            {"numeric": tuple(numeric), "categorical": tuple(categorical), "image": pixels},
        )
        self.model = _checked(ModelSettings, model or {})
        self.training = _checked(TrainingSettings, training or {})

    def fit(self, frame: Any, frauds: Any = None) -> FittedDetector:
        """Learns from normal rows; the same rows in the same order give the same detector.

        frauds: a frame of known frauds, for `score = "auto"` and for thresholds that need them.
        Raises FrameRefused where a frame lacks a feature, TrainingError where the rows are unusable.
        """
        from models.detector.detector import train
        from tasks.features.frames import read_frame

        features = self.features
        learnt = train(
            read_frame(frame, features).features,
            features.numeric,
            features.categorical,
            self.model,
            self.training,
            image=features.image,
            anomalies=None if frauds is None else read_frame(frauds, features).features,
        )
        return FittedDetector(learnt, features)

    @staticmethod
    def load(folder: str | Path) -> FittedDetector:
        """Returns the detector that was saved in a folder.

        Raises ArtifactError where a file is missing, or is not the one that was written.
        """
        from models.detector import artifacts

        detector = artifacts.load(Path(folder))
        encoder = detector.encoder
        features = FeatureSettings(
            numeric=tuple(each.name for each in encoder.numeric),
            categorical=tuple(each.name for each in encoder.categorical),
            image=encoder.image.image if encoder.image else None,
        )
        return FittedDetector(detector, features)


def load_champion(dataset: Dataset, warehouse: Warehouse, day: date) -> FittedDetector:
    """Returns the champion of a date, with the threshold and the columns of the configuration.

    Raises NoChampion where there is none that was trained with this configuration.
    """
    version = find_champion(dataset, warehouse, day)
    if version is None:
        raise NoChampion(
            "no version that was trained with this configuration is champion; see `nightscore models`, then "
            "run `nightscore train --as-of DATE --promote`"
        )
    return FittedDetector(
        load(version.path, version.sha256),
        dataset.features,
        dataset.threshold,
        dataset.columns,
        dataset.source.timezone,
    )


def _checked(kind: type[S], keys: Keys) -> S:
    """Raises ValueError, one line, where a key is unknown or its value is wrong."""
    try:
        return kind.model_validate(keys)
    except ValidationError as error:
        problems = [f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors()]
        raise ValueError("; ".join(problem.removeprefix(": ") for problem in problems)) from error


def _beside_ids(batch: "FeatureBatch", columns: Mapping[str, Any]) -> "pl.DataFrame":
    import polars as pl

    ids = batch.keys.to_dict().get("id")
    return pl.DataFrame(({} if ids is None else {"id": ids}) | dict(columns))
