"""Decides whether two nights, or two versions, are the same, by hashes over explicit lists of configuration
keys.

Each list is a format, and its number is part of the stored hash. A stored hash is compared with the hash of
the same format, so a new format neither makes a committed night due again nor invalidates a champion.

To add a key later, add it to the newest list, and to NEUTRAL with the value that changes no scores: a
configuration with that value leaves the key out, so its hash stays the same; one with another value has no
hash in the formats without the key. A change to the scores needs a new format and a line in the changelog.
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
TRAINING = (  # without the keys for when to train, how to promote and which gate withholds a version
    "training.window_days",
    "training.label_delay_days",
    "training.rows",
    "training.epochs",
    "training.batch_size",
    "training.learning_rate",
    "training.seed",
    "training.max_rows",
)
HEAD = ("head.kind", "head.window_days", "head.least_frauds", "head.weight")  # none of them without a head
THRESHOLD = ("threshold.strategy", "threshold.value")
RESERVE = "threshold.reserve"
SOURCE = ("source.times", "source.types", "source.csv")  # what values are
ROLES = ("columns.id", "columns.entity", "columns.time")

Formats = Mapping[int, Sequence[str]]
RUN_FORMATS: dict[int, Sequence[str]] = {
    1: (*FEATURES, *QUALITY, *MODEL, *THRESHOLD),
    2: (*FEATURES, *QUALITY, *MODEL, *THRESHOLD, *ROLES),
    3: (*FEATURES, *QUALITY, *MODEL, *THRESHOLD, *ROLES),
    4: (*FEATURES, *QUALITY, *MODEL, *THRESHOLD, *ROLES, *SOURCE),
    5: (*FEATURES, *QUALITY, *MODEL, *THRESHOLD, *ROLES, *SOURCE, *HEAD, RESERVE),
}
TRAINING_FORMATS: dict[int, Sequence[str]] = {
    1: (*FEATURES, *QUALITY, *MODEL, *TRAINING),
    2: (*FEATURES, *QUALITY, *MODEL, *TRAINING),
    3: (*FEATURES, *QUALITY, *MODEL, *TRAINING, *SOURCE, "columns.label_positive"),
    4: (*FEATURES, *QUALITY, *MODEL, *TRAINING, *SOURCE, "columns.label_positive", *HEAD),
}


@dataclass(frozen=True)
class Former:
    """The value that a key had where it is not set, up to these formats of runs and of trainings."""

    value: Any
    run_format: int
    training_format: int


FORMER_DEFAULTS = {
    "model.hidden": Former([100, 20, 100], 2, 1),
    "training.epochs": Former(40, 2, 1),
    "training.batch_size": Former(512, 2, 1),
    "model.score": Former("whitened", 3, 2),
    "model.architecture": Former("dense", 4, 3),
}
# A key added to a format later, with the value for which it is left out of the hash.
NEUTRAL: dict[str, Any] = {
    "source.times": "local",
    "source.types": {},
    "source.csv": None,
    "columns.label_positive": [],
    RESERVE: 0.0,
    **dict.fromkeys(HEAD),
}


@dataclass(frozen=True)
class Identity:
    """The hashes of a configuration, one per format, the newest format first."""

    hashes: tuple[str, ...]

    @property
    def current(self) -> str:
        """The hash of the newest format, which new runs and versions store."""
        return self.hashes[0]

    def __contains__(self, stored: object) -> bool:
        """Whether a stored hash of any format belongs to this configuration."""
        return stored in self.hashes


def run_identity(dataset: Dataset) -> Identity:
    """Returns the identity of the keys that decide a night's scores and flags, besides source and version."""
    until = {key: former.run_format for key, former in FORMER_DEFAULTS.items()}
    return _identity(dataset, RUN_FORMATS, until)


def training_identity(dataset: Dataset) -> Identity:
    """Returns the identity of the keys that decide what a version learns, besides its rows."""
    until = {key: former.training_format for key, former in FORMER_DEFAULTS.items()}
    return _identity(dataset, TRAINING_FORMATS, until)


def _identity(dataset: Dataset, formats: Formats, until: Mapping[str, int]) -> Identity:
    """until: the last format in which a key that is not set has its former default."""
    content = dataset.model_dump(mode="json")
    if dataset.features.sql:
        content["features"]["sql"] = sql.read(dataset.features.sql)
    if dataset.head.kind == "none":
        content["head"] = dict.fromkeys(content["head"])
    former = {
        number: _with_former_defaults(content, [key for key, last in until.items() if number <= last])
        for number in formats
    }
    newest_first = sorted(formats, reverse=True)
    return Identity(
        tuple(
            _hash(former[number], number, formats[number])
            for number in newest_first
            if _is_told(content, set(formats[newest_first[0]]) - set(formats[number]))
        )
    )


def _is_told(content: dict[str, Any], lacking: set[str]) -> bool:
    """Whether a format without these keys tells the configuration from others: each has its neutral value."""
    later = lacking & NEUTRAL.keys()
    return all(_value(content, key.split(".")) == NEUTRAL[key] for key in later)


def _with_former_defaults(content: dict[str, Any], keys: Iterable[str]) -> dict[str, Any]:
    filled = dict(content)
    for key in keys:
        section, name = key.split(".")
        if filled[section][name] is None:
            filled[section] = {**filled[section], name: FORMER_DEFAULTS[key].value}
    return filled


def _hash(content: dict[str, Any], number: int, keys: Sequence[str]) -> str:
    """Returns the number of the format and 16 hexadecimal digits; for format 1, the digits alone."""
    paths = [
        key.split(".")
        for key in keys
        if key not in NEUTRAL or _value(content, key.split(".")) != NEUTRAL[key]
    ]
    digest = hashlib.sha256(json.dumps(_selected(content, paths), sort_keys=True).encode()).hexdigest()[:16]
    return digest if number == 1 else f"{number}:{digest}"


def _selected(content: Any, paths: Iterable[Sequence[str]]) -> Any:
    """Returns the content reduced to the keys at these paths; `*` stands for every key of a table."""
    below: dict[str, list[Sequence[str]]] = {}
    for path in paths:
        if not path or not isinstance(content, dict):
            return content
        below.setdefault(path[0], []).append(path[1:])
    if "*" in below:
        return {name: _selected(value, below["*"]) for name, value in content.items()}
    return {name: _selected(content[name], rest) for name, rest in below.items()}


def _value(content: Any, path: Sequence[str]) -> Any:
    for name in path:
        content = content[name] if isinstance(content, dict) else None
    return content
