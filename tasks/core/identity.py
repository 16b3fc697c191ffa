"""What makes two nights, or two versions, the same: hashes over a stated list of configuration keys.

A format is such a list, and its number is part of the hash that is stored. A stored hash is compared by the
formula of its own format, so that a new format makes no committed night due again and no champion foreign. A
key that is added later goes into the newest list and into NEUTRAL, with the value that changes nothing: where
a configuration has that value, the key is left out, and the hash is what it was. Whatever changes scores gets
a new format, and a line in the changelog.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sql
from tasks.core.dataset import Dataset

FEATURES = (
    "features.sql",  # the text of the statement
    "features.numeric",
    "features.categorical",
    "features.label_derived",
    "features.image.column",
    "features.image.height",
    "features.image.width",
    "features.image.channels",
)
QUALITY = (
    "quality.on_bad_rows",
    "quality.max_bad_share",
    "quality.min_rows",
    "quality.columns.*.nullable",
    "quality.columns.*.min",
    "quality.columns.*.max",
    "quality.columns.*.allowed",
)
MODEL = (
    "model.architecture",
    "model.hidden",
    "model.filters",
    "model.latent",
    "model.activation",
    "model.input_noise",
    "model.dropout",
    "model.activity_regularisation",
    "model.kl_weight",
    "model.draws",
    "model.score",
    "model.explain_below",
    "model.members",
)
TRAINING = (  # but for when a version is trained, who promotes it, and which gate withholds it
    "training.window_days",
    "training.label_delay_days",
    "training.rows",
    "training.epochs",
    "training.batch_size",
    "training.learning_rate",
    "training.seed",
    "training.max_rows",
)
THRESHOLD = ("threshold.strategy", "threshold.value")
ROLES = ("columns.id", "columns.entity", "columns.time")

Formats = Mapping[int, Sequence[str]]
RUN_FORMATS: dict[int, Sequence[str]] = {
    1: (*FEATURES, *QUALITY, *MODEL, *THRESHOLD),
    2: (*FEATURES, *QUALITY, *MODEL, *THRESHOLD, *ROLES),
}
TRAINING_FORMATS: dict[int, Sequence[str]] = {1: (*FEATURES, *QUALITY, *MODEL, *TRAINING)}
NEUTRAL: dict[
    str, Any
] = {}  # a key that was added to a format later -> the value that leaves its hash as it was


@dataclass(frozen=True)
class Identity:
    """The hash of a configuration by each known format, the newest first."""

    hashes: tuple[str, ...]

    @property
    def current(self) -> str:
        """The hash that is stored with what is made now."""
        return self.hashes[0]

    def __contains__(self, stored: object) -> bool:
        """Whether a stored hash, of whatever format, is of this configuration."""
        return stored in self.hashes


def run_identity(dataset: Dataset) -> Identity:
    """What decides the scores and flags of a night, besides its source and its version."""
    return _identity(dataset, RUN_FORMATS)


def training_identity(dataset: Dataset) -> Identity:
    """What decides what a version learns, besides its rows."""
    return _identity(dataset, TRAINING_FORMATS)


def _identity(dataset: Dataset, formats: Formats) -> Identity:
    content = dataset.model_dump(mode="json")
    if dataset.features.sql:
        content["features"]["sql"] = sql.read(dataset.features.sql)
    return Identity(
        tuple(_hash(content, number, formats[number]) for number in sorted(formats, reverse=True))
    )


def _hash(content: dict[str, Any], number: int, keys: Sequence[str]) -> str:
    """16 hexadecimal digits, after the number of the format; the first format had no number."""
    paths = [
        key.split(".")
        for key in keys
        if key not in NEUTRAL or _value(content, key.split(".")) != NEUTRAL[key]
    ]
    digest = hashlib.sha256(json.dumps(_stated(content, paths), sort_keys=True).encode()).hexdigest()[:16]
    return digest if number == 1 else f"{number}:{digest}"


def _stated(content: Any, paths: Iterable[Sequence[str]]) -> Any:
    """The content reduced to the keys at these paths; `*` stands for every key of a table."""
    below: dict[str, list[Sequence[str]]] = {}
    for path in paths:
        if not path or not isinstance(content, dict):
            return content
        below.setdefault(path[0], []).append(path[1:])
    if "*" in below:
        return {name: _stated(value, below["*"]) for name, value in content.items()}
    return {name: _stated(content[name], rest) for name, rest in below.items()}


def _value(content: Any, path: Sequence[str]) -> Any:
    for name in path:
        content = content[name] if isinstance(content, dict) else None
    return content
