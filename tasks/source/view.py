"""The view of the source's rows that every reader starts from.

It has the source's columns, and columns of the product whose names differ from all of the source's. A row is
its canonical id and, where an id occurs twice on a date, its copy; never its position in a read, since a
query of DuckDB may give its rows in another order each time.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date

import duckdb
from duckdb.sqltypes import SQLNULL, TIMESTAMP, VARCHAR, DuckDBPyType

from sql import identifier, literal
from tasks.core.canonical import canonical_text, converted, is_exact
from tasks.core.dataset import Dataset
from tasks.core.date_path import unescaped
from tasks.core.duckdb_types import has_time_zone, is_boolean, is_float, is_number
from tasks.core.errors import SourceError
from tasks.source.column_types import kinds_of, target_type, type_if_null
from tasks.source.connection import connect, list_dates, readable
from tasks.source.part import Part
from tasks.source.parts import read_parts

Types = Mapping[str, DuckDBPyType]


@dataclass(frozen=True)
class SourceView:
    """A view of the source's rows.

    types: the source's columns and their types in the view. found: all types that a column has in files with
    rows, none if it is null in all of them; a column with several is canonical text, or the widest of them if
    all are integers or all are times.
    mark: the prefix of the product's columns, with which no column of the source begins.
    is_query: whether the source is a view of DuckDB. Its sums of floats may differ in the last digit from
        read to read, so that its floats are compared as float32.
    lacking: the files with rows that lack a column, by its name.
    checked: the columns of CSV files that have a type, in order; see `unfit`.
    """

    name: str
    types: dict[str, DuckDBPyType]
    found: dict[str, tuple[DuckDBPyType, ...]]
    mark: str
    is_query: bool = False
    lacking: dict[str, tuple[str, ...]] = field(default_factory=dict)
    checked: tuple[str, ...] = ()

    @property
    def is_mixed(self) -> bool:
        """Whether the type of some column differs from file to file."""
        return any(len(kinds) > 1 for kinds in self.found.values())

    def own(self, name: str) -> str:
        """The quoted name of a column of the product."""
        return identifier(f"{self.mark}{name}")

    @property
    def id(self) -> str:
        """The canonical id, VARCHAR."""
        return self.own("id")

    @property
    def entity(self) -> str:
        """The canonical entity, VARCHAR; null without an entity column."""
        return self.own("entity")

    @property
    def event_time(self) -> str:
        """The time, TIMESTAMP; null without a time column."""
        return self.own("event_time")

    @property
    def date(self) -> str:
        """The date of the partition."""
        return self.own("date")

    @property
    def copy(self) -> str:
        """The number of a row among those of its id, of `with_copies`."""
        return self.own("copy")

    def unfit(self, name: str) -> str:
        """The text of a checked column that does not fit its type, VARCHAR; null where it fits."""
        return self.own(f"unfit_{name}")

    def exact(self, role: str) -> str:
        """Whether the value of the role `id` or `entity` can be one, BOOLEAN."""
        return self.own(f"exact_{role}")


def create_view(
    con: duckdb.DuckDBPyConnection,
    dataset: Dataset,
    name: str,
    days: Sequence[date],
    types: Types | None = None,
    united: bool = False,
) -> SourceView:
    """Creates the view `name` over the source's rows of these dates, and returns its description.

    types: the types that the columns shall have, as far as they are named; a value that has no such form is
        null. A time column with a zone becomes local time of `source.timezone`.
    united: whether DuckDB unites files whose columns differ in type, as earlier fingerprints were taken.
    Raises PartitionMissing if the last date has no partition, SourceError if the source cannot be listed.
    """
    parts = read_parts(con, dataset, days, united)
    names = list(dict.fromkeys(name for part in parts for name in part.types))
    found = {name: kinds_of(part.types.get(name, SQLNULL) for part in parts) for name in names}
    lacking = {
        name: tuple(file for part in parts if name not in part.types for file in part.files) for name in names
    }
    zone = dataset.source.timezone if dataset.columns.time else None
    targets = {name: target_type(kinds, name == dataset.columns.time) for name, kinds in found.items()}
    targets |= {column: kind for column, kind in (types or {}).items() if column in found}
    mark = "_" * (1 + max((len(column) - len(column.lstrip("_")) for column in names), default=0))
    is_query = any(part.is_view for part in parts)
    view = SourceView(
        name,
        {},
        found,
        mark,
        is_query,
        {name: files for name, files in lacking.items() if files},
        tuple(sorted({name for part in parts for name in part.unfit})),
    )
    selects = [_select(view, dataset, part, targets, zone) for part in parts]
    con.execute(f"create or replace temp view {identifier(name)} as {' union all by name '.join(selects)}")
    created = con.sql(f"from {identifier(name)}")
    kinds_by_name = dict(zip(created.columns, created.types, strict=True))
    own = {column for column in kinds_by_name if column.startswith(mark)}
    return replace(view, types={name: kind for name, kind in kinds_by_name.items() if name not in own})


def numeric_roles(dataset: Dataset) -> tuple[str, ...]:
    """Returns which of the roles id and entity are columns of numbers in the newest partition.

    Raises SourceError if the source cannot be read or has no dates.
    """
    source, roles = dataset.source, {"id": dataset.columns.id, "entity": dataset.columns.entity}
    if not (days := list_dates(source)):
        raise SourceError(
            f"the source has no dates ({unescaped(source.path or source.table or '')}); deliver a partition"
        )
    with connect(source) as con, readable(source, days[-1]):
        found = create_view(con, dataset, "newest", days[-1:]).found
    return tuple(
        role for role, name in roles.items() if all(map(is_number, found.get(name or "", ()) or [VARCHAR]))
    )


def key_of_copy(view: SourceView, dataset: Dataset) -> str:
    """Returns an SQL expression, VARCHAR, by which the rows of one id are ordered: the SHA-256 of the row
    without the columns that may come later, then these: label, weight, kind. Rows with the same key are
    equal.

    It is taken of canonical text, so that neither types nor the order of the columns matter, and is not
    stored in the warehouse: private values could be found from it by trying.
    """
    columns = dataset.columns
    texts = {name: _key_text(view, name) for name in sorted(view.types)}
    last = {name: f"coalesce(lower({texts.pop(name)}), '')" for name in columns.late if name in texts}
    content = ", ".join(
        f"{literal(name + ' ')} || cast(to_json({text}) as varchar)" for name, text in texts.items()
    )
    return f"concat_ws(' ', {', '.join([f'sha256(concat_ws(chr(10), {content}))', *last.values()])})"


def _key_text(view: SourceView, name: str) -> str:
    text = canonical_text(_comparable(view, name), view.types[name])
    if any(map(is_boolean, view.found[name])):  # in another file, the same value may be 1 or 0
        text = f"case {text} when 'true' then '1' when 'false' then '0' else {text} end"
    return f"coalesce({view.unfit(name)}, {text})" if name in view.checked else text


def with_copies(view: SourceView, dataset: Dataset, ids: str) -> str:
    """Returns a subquery: the rows of the view whose id is among the column `id` of the relation `ids`, or
    null, with the number of the row among those of its date and id: `view.copy`, from 0.
    """
    return (
        f"(select *, row_number() over (partition by {view.date}, {view.id} "
        f"order by {key_of_copy(view, dataset)}) - 1 as {view.copy} from {identifier(view.name)} "
        f"where {view.id} is null or {view.id} in (select id from {ids}))"
    )


def hashed_columns(view: SourceView, dataset: Dataset) -> dict[str, str]:
    """Returns what a fingerprint is taken of, the quoted columns by their names in order: all but those
    that may come later, and the date by the name that it has had in every fingerprint.
    """
    late = dataset.columns.late
    named = {name: _comparable(view, name) for name in view.types if name not in late}
    named |= {f"\0{name}": view.unfit(name) for name in view.checked if name not in late}
    return dict(sorted((named | {"_partition_date": view.date}).items()))


def _comparable(view: SourceView, name: str) -> str:
    """Returns an SQL expression for a column, the same at each read of an unchanged source."""
    column = identifier(name)
    if not (view.is_query and is_float(view.types[name])):
        return column
    return f"case when abs({column}) < 1e38 then cast(cast({column} as float) as double) else {column} end"


def _select(
    view: SourceView,
    dataset: Dataset,
    part: Part,
    targets: Mapping[str, DuckDBPyType | None],
    zone: str | None,
) -> str:
    columns, kinds, values = dataset.columns, dict(part.types), {n: identifier(n) for n in part.types}
    for name in [name for name, kind in kinds.items() if kind == SQLNULL]:
        kinds[name] = targets.get(name) or next(iter(view.found[name]), type_if_null(dataset, name))
        values[name] = f"cast(null as {kinds[name]})"
    if columns.time is not None and columns.time in kinds and has_time_zone(kinds[columns.time]):
        values[columns.time] = f"timezone({literal(zone or 'UTC')}, {values[columns.time]})"
        kinds[columns.time] = TIMESTAMP
    shown = []
    for name, kind in kinds.items():
        target = targets.get(name)
        value = values[name] if target is None else converted(values[name], kind, target)
        shown.append(f"{value} as {identifier(name)}")
    time = values.get(columns.time or "")
    own = {view.event_time: f"try_cast({time or 'null'} as timestamp)", view.date: part.date}
    for role, column in (("id", columns.id), ("entity", columns.entity)):
        own[view.own(role)], own[view.exact(role)] = "cast(null as varchar)", "true"
        if column is not None and column in kinds:
            own[view.own(role)] = canonical_text(values[column], kinds[column])
            own[view.exact(role)] = is_exact(values[column], kinds[column])
    own |= {view.unfit(name): part.unfit.get(name, "cast(null as varchar)") for name in view.checked}
    added = [f"{value} as {name}" for name, value in own.items()]
    return f"select {', '.join([*shown, *added])} from {part.relation} where {part.where}"
