"""The configuration of one dataset: every section, composed, from one TOML file."""

import difflib
import os
import re
import tomllib
from functools import partial
from pathlib import Path
from typing import Any, Self

from pydantic import ValidationError, model_validator

import sql
from flows.compute import ComputeSettings
from flows.errors import SettingsError
from flows.schedule import ScheduleSettings
from tasks.core.dataset import Dataset, legal_name
from tasks.core.date_path import written_out
from tasks.core.filesystem import exact_pattern, is_remote
from tasks.evaluation.settings import EvaluationSettings
from tasks.monitoring.settings import ChallengerSettings
from tasks.notifications.settings import NotifySettings
from tasks.pages.settings import ReportSettings
from tasks.source.view import numeric_roles
from tasks.warehouse.connection import Warehouse
from tasks.warehouse.ducklake import resolve_uri
from tasks.warehouse.settings import WarehouseSettings

DEFAULT_FILE = "nightscore.toml"
VARIABLE = r"\$\{(\w+)\}"
Place = tuple[int | str, ...]  # the keys that lead to a value
FROM_LABELS = ("midpoint", "best_f1", "cost")  # threshold strategies that look at known frauds


class Settings(Dataset):
    """One dataset's whole configuration."""

    challenger: ChallengerSettings = ChallengerSettings()
    """When a new version becomes champion."""
    evaluation: EvaluationSettings = EvaluationSettings()
    """How nights are judged."""
    report: ReportSettings = ReportSettings()
    """How results are shown."""
    warehouse: WarehouseSettings = WarehouseSettings()
    """Where results go."""
    schedule: ScheduleSettings = ScheduleSettings()
    """When nights start."""
    compute: ComputeSettings = ComputeSettings()
    """Where a backfill runs."""
    notify: NotifySettings = NotifySettings()
    """Who is told when a night needs attention."""

    @model_validator(mode="after")
    def _labels_where_needed(self) -> Self:
        if self.features.label_derived and not self.columns.label:
            raise ValueError("features.label_derived needs columns.label")
        if self.threshold.strategy in FROM_LABELS and not self.columns.label:
            raise ValueError(
                f"threshold.strategy {self.threshold.strategy} needs columns.label; name it, or choose "
                '"train_quantile"'
            )
        if self.threshold.strategy in FROM_LABELS and self.training.rows == "all":
            raise ValueError(
                f'threshold.strategy {self.threshold.strategy} needs training.rows = "normal": it '
                "looks at frauds that nothing learnt from"
            )
        return self

    @model_validator(mode="after")
    def _unit_of_a_fixed_threshold(self) -> Self:
        unnamed = self.model.named_architecture is None and self.features.image is None
        if self.threshold.strategy == "fixed" and self.model.score and unnamed:
            raise ValueError(
                "threshold.strategy fixed flags from a value in units of the score, which depend on the "
                'network, so model.architecture must be set; until the default changed, it was "dense"'
            )
        if self.threshold.strategy == "fixed" and self.model.score is None:
            raise ValueError(
                "threshold.strategy fixed flags from a value in units of the score, so model.score must be "
                'set; until the default changed, it was "whitened"'
            )
        return self

    @model_validator(mode="after")
    def _names_of_features(self) -> Self:
        features = () if self.features.image else self.features.names
        if features and (unknown := [name for name in self.report.names if name not in features]):
            raise ValueError(
                f"report.names has {', '.join(unknown)}, which is no feature; there are {', '.join(features)}"
            )
        return self

    def open_warehouse(self) -> Warehouse:
        """Returns the warehouse of this dataset; nothing is opened yet."""
        return Warehouse(self.warehouse, self.name, partial(numeric_roles, self))

    @property
    def files(self) -> Path:
        """The dataset's own folder for models, reports and staging."""
        return Path(self.warehouse.files) / self.name


def is_configured() -> bool:
    """Whether a configuration is found where none is named by --config."""
    return "NIGHTSCORE_CONFIG" in os.environ or Path(DEFAULT_FILE).is_file()


def find_config(config: Path | None) -> Path:
    """`--config`, else `$NIGHTSCORE_CONFIG`, else `./nightscore.toml`.

    Raises SettingsError where there is no such file.
    """
    path = config or Path(os.environ.get("NIGHTSCORE_CONFIG", DEFAULT_FILE))
    if not path.is_file():
        raise SettingsError(
            f"there is no configuration {path}; write one with `nightscore init`, or name it with --config"
        )
    return path.resolve()


def load_settings(config: Path | None = None) -> Settings:
    """Reads a configuration; relative paths in it are relative to the file, `${VAR}` comes from the
    environment.

    Raises SettingsError, one line: the file, each wrong key, and what was meant.
    """
    path = find_config(config)
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except UnicodeDecodeError as error:
        raise _refused(path, f"is not UTF-8 ({error}); save it as UTF-8") from error
    except tomllib.TOMLDecodeError as error:
        raise _refused(path, f"is not valid TOML: {error}") from error
    unset: dict[Place, str] = {}
    content = _resolve(_substitute(raw, (), unset), path.parent)
    problems = [*map(_explain_unset, unset, unset.values()), *_missing_sql(content, path.parent)]
    try:
        settings = Settings.model_validate(content)
    except ValidationError as error:
        found = [each for each in error.errors() if not any(_covers(each["loc"], place) for place in unset)]
        problems += map(_explain, found)
    if problems:
        raise SettingsError(f"{path}: {'; '.join(problems)}", tuple(problems))
    return settings


def _refused(path: Path, problem: str) -> SettingsError:
    return SettingsError(f"{path} {problem}", (problem,))


def _substitute(value: Any, place: Place, unset: dict[Place, str]) -> Any:
    """Replaces `${VAR}` by the environment's value, or leaves it and adds its place and name to `unset`."""
    if isinstance(value, dict):
        return {key: _substitute(item, (*place, key), unset) for key, item in value.items()}
    if isinstance(value, list):
        return [_substitute(item, (*place, number), unset) for number, item in enumerate(value)]
    if not isinstance(value, str):
        return value
    # string.Template would also replace $VAR and $$, which passwords and patterns may hold.
    if absent := [name for name in re.findall(VARIABLE, value) if name not in os.environ]:
        unset[place] = absent[0]
        return value
    return re.sub(VARIABLE, lambda match: os.environ[match[1]], value)


def _covers(found: Place, place: Place) -> bool:
    """Whether a problem was found at this place, or at a section around it."""
    return place[: len(found)] == found


def _explain_unset(place: Place, name: str) -> str:
    return (
        f"{'.'.join(map(str, place))} needs the environment variable {name}; set it, or write the value in "
        "its place"
    )


def _resolve(content: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Makes local paths absolute; the feature SQL is looked for beside the configuration first, then among
    our own.
    """
    content.setdefault("name", legal_name(folder.name))
    content.setdefault("warehouse", {})
    warehouse = _table(content, "warehouse")
    warehouse.setdefault("uri", WarehouseSettings().uri)
    warehouse.setdefault("files", WarehouseSettings().files)
    for section, key in (
        ("source", "path"),
        ("source", "database"),
        ("warehouse", "files"),
        ("warehouse", "artifacts"),
    ):
        value = _table(content, section).get(key)
        if isinstance(value, str) and not is_remote(value):
            # Of the source's path, only what is written there is a pattern: the folders before it are names.
            is_pattern = (section, key) == ("source", "path")
            place = written_out(exact_pattern(str(folder))) if is_pattern else str(folder)
            content[section][key] = str(Path(place) / value)
    if isinstance(warehouse["uri"], str):
        warehouse["uri"] = resolve_uri(warehouse["uri"], folder)
    feature_sql = _table(content, "features").get("sql")
    if isinstance(feature_sql, str) and (folder / feature_sql).is_file():
        content["features"]["sql"] = str(folder / feature_sql)
    return content


def _table(content: dict[str, Any], section: str) -> dict[str, Any]:
    """Returns the keys of a section, none where it is missing or is no section."""
    found = content.get(section)
    return found if isinstance(found, dict) else {}


def _missing_sql(content: dict[str, Any], folder: Path) -> list[str]:
    """Returns a line where there is no file of the feature SQL."""
    feature_sql = _table(content, "features").get("sql")
    if not isinstance(feature_sql, str) or (folder / feature_sql).is_file():
        return []
    if (sql.FOLDER / feature_sql).is_file():
        return []
    return [
        f"features.sql: there is neither {folder / feature_sql} nor a file sql/{feature_sql} of Nightscore"
    ]


def _explain(problem: Any) -> str:
    """One problem that pydantic found, in words."""
    *section, key = [str(part) for part in problem["loc"]] or ["configuration"]
    where = ".".join([*section, key])
    if problem["type"] == "extra_forbidden":
        return f"{where} is not a key that Nightscore knows{_suggest(section, key)}"
    if problem["type"] == "missing":
        return f"{where} is missing"
    return f"{where}: {problem['msg'].removeprefix('Value error, ')}"


def _suggest(section: list[str], key: str) -> str:
    fields = Settings.model_fields
    for part in section:
        annotation = fields[part].annotation if part in fields else None
        fields = getattr(annotation, "model_fields", {})
    close = difflib.get_close_matches(key, fields, n=1)
    return f"; did you mean {close[0]}?" if close else ""
