"""What the label and weight columns of the source say of a row. They never decide whether it is scored."""

from collections.abc import Iterator

import duckdb

from sql import identifier, literal
from tasks.core.canonical import canonical_text
from tasks.core.dataset import Dataset
from tasks.core.masking import MASK
from tasks.source.row_rules import configured_texts
from tasks.source.view import SourceView

MOST_LABELS = 100  # different values of a label column that are listed


def label_value(view: SourceView, dataset: Dataset) -> str:
    """Returns an SQL expression, BOOLEAN, for the label of a row: null where it is not known, or is none.

    With `columns.label_positive`, every value is a label: fraud if it is named there, else normal.
    """
    text, columns = _label_text(view, dataset), dataset.columns
    if columns.label_positive and columns.label in view.types:
        positive = configured_texts(columns.label_positive, view.found[columns.label])
        return f"{text} in ({', '.join(f'lower({literal(value)})' for value in positive)})"
    number = f"try_cast({text} as double)"
    is_true, is_false = f"{text} = 'true' or {number} = 1", f"{text} = 'false' or {number} = 0"
    return f"case when {is_true} then true when {is_false} then false end"


def is_strange_label(view: SourceView, dataset: Dataset) -> str:
    """Returns an SQL expression, BOOLEAN, for whether the label column holds something that is no label."""
    return f"({_label_text(view, dataset)} is not null and {label_value(view, dataset)} is null)"


def weight_value(view: SourceView, dataset: Dataset) -> str:
    """Returns an SQL expression, DOUBLE, for the sample weight of a row: 1 without a weight column, null
    where it is not known: null, NaN, infinite, negative, or no number.
    """
    name = dataset.columns.weight
    if name is None:
        return "cast(1 as double)"
    if name not in view.types:
        return "cast(null as double)"
    number = f"try_cast({canonical_text(identifier(name), view.types[name])} as double)"
    return f"case when isfinite({number}) and {number} >= 0 then {number} end"


def kind_value(view: SourceView, dataset: Dataset) -> str:
    """Returns an SQL expression, VARCHAR, for the kind of fraud of a row; null where it is not known."""
    name = dataset.columns.label_kind
    if name is None or name not in view.types:
        return "cast(null as varchar)"
    return f"nullif(trim({canonical_text(identifier(name), view.types[name])}), '')"


def count_labels(
    con: duckdb.DuckDBPyConnection, dataset: Dataset, view: SourceView
) -> list[tuple[str, bool | None, int]]:
    """Returns each value of the label column in a view, what it means (True: fraud, None: it is no label) and
    its number of rows, the most frequent first; at most MOST_LABELS values.
    """
    rows: list[tuple[str, bool | None, int]] = con.execute(
        f"""
        select
            {_label_text(view, dataset, lower=False)} as value,
            any_value({label_value(view, dataset)}),
            count(*),
        from {identifier(view.name)}
        where value is not null
        group by value
        order by count(*) desc, value
        limit {MOST_LABELS}
        """
    ).fetchall()
    return rows


def label_notes(con: duckdb.DuckDBPyConnection, dataset: Dataset, view: SourceView) -> Iterator[str]:
    """Yields what is wrong with the labels and weights of the view `day`, as sentences for the ledger."""
    columns = dataset.columns
    late = {"label": columns.label, "weight": columns.weight, "kind": columns.label_kind}
    for role, name in late.items():
        if name is None:
            continue
        if name not in view.types:
            yield f"there is no {role} column {name}; its {role}s are not known"
        elif name in view.lacking:
            file = view.lacking[name][0]
            yield f"{file} has no {role} column {name}; the {role}s of its rows are not known"
    strange, unweighted, example = con.execute(
        f"""
        select
            count(*) filter ({is_strange_label(view, dataset)}),
            count(*) filter ({weight_value(view, dataset)} is null),
            min({_label_text(view, dataset)}) filter ({is_strange_label(view, dataset)}),
        from day
        """
    ).fetchall()[0]
    if strange:
        shown = MASK if columns.label in columns.private else repr(example)
        yield (
            f"{strange:,} values of the label column {columns.label} are no label, such as {shown}; these "
            "rows are scored, and are in no metric and no training until they have one"
        )
    if unweighted and columns.weight in view.types:
        yield (
            f"{unweighted:,} values of the weight column {columns.weight} are no weight (a finite number of "
            "at least 0); these rows are scored, and are in no metric"
        )


def _label_text(view: SourceView, dataset: Dataset, *, lower: bool = True) -> str:
    """The label as canonical text, in lower case or as it is; null where there is none."""
    name = dataset.columns.label
    if name is None or name not in view.types:
        return "cast(null as varchar)"
    text = canonical_text(identifier(name), view.types[name])
    text = f"lower({text})" if lower else text
    return f"coalesce({view.unfit(name)}, {text})" if name in view.checked else text
