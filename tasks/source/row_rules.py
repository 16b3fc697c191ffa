"""The rules of [quality] and of the column roles as SQL: which rows of the source break one.

They are the rules that the Great Expectations gate checks on the night itself, in the form in which many
dates of a look-back can be counted at once. Images are not looked at.
"""

from collections.abc import Iterable, Iterator, Sequence

from duckdb.sqltypes import DOUBLE, DuckDBPyType

from sql import identifier, literal
from tasks.core.canonical import as_number, canonical_text, may_be_inexact
from tasks.core.column_settings import ColumnRule
from tasks.core.dataset import Dataset
from tasks.core.duckdb_types import is_float, is_image, is_text
from tasks.core.errors import shown
from tasks.core.sql_expressions import null_if_nan
from tasks.source.view import SourceView

DATE_COLUMN = "_partition_date"  # of the view that feature SQL reads
INFINITE = ("inf", "-inf")  # as canonical text
Rule = tuple[str, str]  # the name of the rule, and its column


def configured_columns(dataset: Dataset) -> list[str]:
    """Returns every column that a partition must have. Label, weight and kind are not among them: they may
    come later, and never decide whether a row is scored.
    """
    late = dataset.columns.late
    return [name for name in dataset.source_columns if name not in late]


def missing_columns(dataset: Dataset, view: SourceView) -> list[str]:
    """Returns the configured columns that the view of one date lacks, each with the file where only some
    files lack it.
    """
    return [
        shown(name) + (f" in {view.lacking[name][0]}" if name in view.lacking else "")
        for name in configured_columns(dataset)
        if name not in view.types or name in view.lacking
    ]


def reserved_columns(dataset: Dataset, view: SourceView) -> list[str]:
    """Returns the columns of the source by whose name feature SQL finds the date of a row."""
    return [name for name in view.types if dataset.features.sql and name.lower() == DATE_COLUMN]


def typed_columns(dataset: Dataset, view: SourceView) -> dict[str, list[str]]:
    """Returns the columns of each rule about a type: time_type, number_type and image_type."""
    features = () if dataset.features.sql else dataset.features.numeric
    ranged = [
        name for name, rule in quality_rules(dataset).items() if rule.min is not None or rule.max is not None
    ]
    image, time = dataset.features.image, dataset.columns.time
    has_image = image is not None and (dataset.features.sql is None or is_source_image(dataset, view))
    return {
        "time_type": [time] if time else [],
        "number_type": list(dict.fromkeys([*features, *ranged])),
        "image_type": [image.column] if image and has_image else [],
    }


def is_source_image(dataset: Dataset, view: SourceView) -> bool:
    """Whether the source itself has the column of images."""
    image = dataset.features.image
    return image is not None and image.column in view.types and is_image(view.types[image.column])


def quality_rules(dataset: Dataset) -> dict[str, ColumnRule]:
    """Returns the rules of [quality.columns] but for those of the columns that may come later."""
    late = dataset.columns.late
    return {name: rule for name, rule in dataset.quality.columns.items() if name not in late}


def configured_texts(values: Iterable[str | float | bool], kinds: Sequence[DuckDBPyType]) -> list[str]:
    """Returns the canonical texts of values that the configuration names of a column. Unless the column is
    text, true stands for 1 and 1 for true where only one of the two forms is named.
    """
    texts = [canonical_value(value) for value in values]
    booleans, numbers = {"true", "false"}, {"1", "0"}
    if all(map(is_text, kinds)) or (booleans & set(texts) and numbers & set(texts)):
        return texts
    same = {"true": "1", "false": "0", "1": "true", "0": "false"}
    return texts + [same[text] for text in texts if text in same]


def canonical_value(value: str | float | bool) -> str:
    """Returns the canonical text of a value of the configuration."""
    if isinstance(value, bool):
        return str(value).lower()
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def checked_columns(dataset: Dataset, view: SourceView) -> list[str]:
    """Returns the columns of CSV files whose values must fit their type."""
    late = dataset.columns.late
    return [name for name in view.checked if name not in late]


def violations(dataset: Dataset, view: SourceView, *, finite: tuple[str, ...] = ()) -> dict[Rule, str]:
    """Returns an SQL condition for each rule, true for the rows that break it; only unique_id is not among
    them.

    finite: columns of the source that must be finite besides those that the gate checks.
    """
    columns = dataset.columns
    rules: dict[Rule, str] = {("not_null", columns.id): f"{view.id} is null"}
    for role, name in (("id", columns.id), ("entity", columns.entity)):
        if name in view.types and any(map(may_be_inexact, view.found[name])):
            rules["id_exact", name] = f"not {view.exact(role)}"
    for name in checked_columns(dataset, view):
        rules["fits_type", name] = f"{view.unfit(name)} is not null"
    if columns.time is not None:
        time = identifier(columns.time)
        rules["not_null", columns.time] = f"{time} is null"
        rules["date_in_partition", columns.time] = (
            f"coalesce(not isfinite({view.event_time}) or cast({view.event_time} as date) <> {view.date}, "
            f"{time} is not null)"
        )
    for name, rule in quality_rules(dataset).items():
        if name in view.types:
            rules |= dict(_column_violations(view, name, rule))
    features = () if dataset.features.sql else dataset.features.numeric
    for name in dict.fromkeys([*features, *quality_rules(dataset), *finite]):
        if name in view.types and any(map(is_float, view.found[name])):
            column, kind = identifier(name), view.types[name]
            infinite = f"{canonical_text(column, kind)} in ({', '.join(map(literal, INFINITE))})"
            rules["finite", name] = f"coalesce({f'isinf({column})' if is_float(kind) else infinite}, false)"
    return rules


def _column_violations(view: SourceView, name: str, rule: ColumnRule) -> Iterator[tuple[Rule, str]]:
    column, kind = identifier(name), view.types[name]
    text = canonical_text(column, kind)
    if not rule.nullable:
        yield ("not_null", name), f"{null_if_nan(column, kind)} is null"
    if rule.min is not None or rule.max is not None:
        number = null_if_nan(as_number(column, kind), DOUBLE)
        limits = [(rule.min, "<"), (rule.max, ">")]
        outside = [
            f"{number} {sign} cast('{limit!r}' as double)" for limit, sign in limits if limit is not None
        ]
        yield ("range", name), f"coalesce({' or '.join(outside)}, false)"
    if rule.allowed is not None:
        allowed = ", ".join(map(literal, configured_texts(rule.allowed, view.found[name]))) or "null"
        yield ("allowed", name), f"coalesce({text} not in ({allowed}), false)"
