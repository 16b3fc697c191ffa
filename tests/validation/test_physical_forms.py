"""A day of the source gives the same rows whatever the physical types, orders, files and names of its columns
are: the same clean rows with the same features, the same bad rows, the same labels.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import duckdb
import polars as pl
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from sql import identifier, literal
from tasks.core.dataset import Dataset
from tasks.features.build import build_features, feature_batches
from tasks.labels.source_labels import read_labels
from tasks.source.ingest import read_partition
from tasks.validation.validate import validate_partition

DAY = date(2024, 3, 10)
DAYS = [DAY - timedelta(days=2), DAY - timedelta(days=1), DAY]
ROWS = 30
COLUMNS = ("id", "at", "card", "amount", "code", "label", "weight")
# Each column as types in which all of its values have the same meaning.
FORMS = {
    "id": ("bigint", "integer", "hugeint", "double", "decimal(18,0)", "decimal(12,2)", "float", "varchar"),
    "card": ("smallint", "bigint", "double", "decimal(10,2)", "varchar"),
    "amount": ("double", "float", "decimal(12,2)", "decimal(18,4)"),
    "code": ("integer", "double", "decimal(6,1)", "varchar"),
    "label": ("tinyint", "double", "boolean", "varchar", "decimal(3,1)"),
    "weight": ("double", "float", "decimal(6,2)", "integer"),
    "at": ("timestamp", "timestamp_ns", "timestamp_ms"),
}
NAMES = [
    "_id", "_row", "_entity", "_event_time", "_file", "filename", "file", "id", "entity", "event_time",
    "copy", "day", "clean", "key", "c0", "select", "a b", 'a"b', "a.b", "Straße", "😀", "__date", "row",
    "error", "label", "feature amount", "is_repeated", "_partition_date", "%", "'", "$day",
]  # fmt: skip
SQL = """
with rolled as (
    select
        id, card, amount, code, _partition_date,
        coalesce(avg(amount) over (
            partition by card order by "at"
            range between interval 2 days preceding and interval 1 microsecond preceding
        ), 0) as mean_before
    from history
)
select id, amount, code, mean_before from rolled where _partition_date = $partition_date
"""


def rows_of(day: date, *, repeats: bool = True) -> list[dict[str, Any]]:
    """Thirty payments; two have a bad amount, one has no id, two repeat an id with another amount."""
    rows = [
        {
            "id": day.day * 1000 + number,
            "at": datetime(day.year, day.month, day.day) + timedelta(minutes=number * 7),
            "card": number % 4,
            "amount": 10.0 + number * 0.25,
            "code": number % 3,
            "label": int(number % 7 == 3),
            "weight": 1 + number % 2,
        }
        for number in range(ROWS)
    ]
    rows[4]["amount"], rows[5]["amount"], rows[9]["id"] = -1.0, None, None
    rows[11]["card"], rows[12]["code"], rows[13]["label"] = None, None, None
    if repeats:
        rows += [rows[20] | {"amount": 77.5}, rows[21] | {"label": 1 - rows[21]["label"]}]
    return rows


@dataclass(frozen=True)
class Form:
    """How the rows of one file are written. types: by column. order: of the columns."""

    types: dict[str, str]
    order: tuple[str, ...]


def form(data: st.DataObject) -> Form:
    types = {name: data.draw(st.sampled_from(kinds), label=name) for name, kinds in FORMS.items()}
    return Form(types, tuple(data.draw(st.permutations(COLUMNS), label="columns")))


PHASES = (Phase.explicit, Phase.reuse, Phase.generate)  # a night is too slow to shrink
PLAIN = Form({name: kinds[0] for name, kinds in FORMS.items()}, COLUMNS)


def write(
    path: Path, rows: list[dict[str, Any]], form: Form, names: dict[str, str], others: Sequence[str] = ()
) -> None:
    """Writes one Parquet file; null is NaN where the type has NaN. others: columns that nobody configured."""
    path.parent.mkdir(parents=True, exist_ok=True)
    frame = pl.DataFrame(rows, schema={n: pl.Datetime("us") if n == "at" else pl.Float64 for n in COLUMNS})
    with duckdb.connect() as con:
        con.register("rows", frame.to_arrow())
        values = [_written(form, names, name) for name in form.order]
        values += [f"'x' as {identifier(name)}" for name in others]
        con.execute(f"copy (select {', '.join(values)} from rows) to {literal(str(path))} (format parquet)")


def _written(form: Form, names: dict[str, str], name: str) -> str:
    kind = form.types[name]
    value = f"cast({identifier(name)} as {kind})"
    if kind == "varchar":
        value = f"cast(cast({identifier(name)} as bigint) as varchar)"
    if kind in ("double", "float"):
        value = f"coalesce({value}, 'nan'::{kind})"
    return f"{value} as {identifier(names.get(name, name))}"


def dataset(folder: Path, names: dict[str, str], *, with_sql: bool) -> Dataset:
    called = {name: names.get(name, name) for name in COLUMNS}
    features: dict[str, Any] = {"numeric": [called["amount"]], "categorical": [called["code"]]}
    if with_sql:
        (folder / "features.sql").write_text(SQL)
        features = {
            "sql": str(folder / "features.sql"),
            "numeric": ["amount", "mean_before"],
            "categorical": ["code"],
        }
    return Dataset.model_validate(
        {
            "name": "forms",
            "source": {"path": f"{folder}/{{date}}/*.parquet", "lookback_days": 2},
            "columns": {"id": called["id"], "time": called["at"], "entity": called["card"],
                        "label": called["label"], "weight": called["weight"]},
            "features": features,
            "quality": {"max_bad_share": 0.5, "columns": {called["amount"]: {"min": 0, "nullable": False}}},
            "training": {"label_delay_days": 0},
        }
    )  # fmt: skip


def outcome(data: Dataset, names: dict[str, str], staging: Path) -> dict[str, Any]:
    """What a night knows of the day: clean rows with their features, bad rows, labels."""
    back = {other: name for name, other in names.items()}
    validated = validate_partition(data, read_partition(data, DAY), staging)
    batches = list(feature_batches(data, build_features(data, validated, 0, staging), 1000))
    keys = pl.concat([batch.keys for batch in batches])
    features = pl.concat([batch.features for batch in batches])
    rows = {
        key["id"]: (key["entity"], key["event_time"], {back.get(n, n): value for n, value in row.items()})
        for key, row in zip(keys.iter_rows(named=True), features.iter_rows(named=True), strict=True)
    }
    bad = pl.read_parquet(validated.quarantine).select("id", "copy", "rule", "column").rows()
    labels = read_labels(data, DAY, DAY).select("id", "entity", "label", "weight").rows()
    return {
        "rows": rows,
        "bad": sorted((i or "", copy, rule, back.get(column, column)) for i, copy, rule, column in bad),
        "labels": sorted(labels, key=str),
        "notes": [note for note in validated.notes if "repeat" in note],
    }


@contextmanager
def delivered(
    forms: list[Form],
    order: list[int],
    names: dict[str, str],
    *,
    repeats: bool = True,
    others: Sequence[str] = (),
) -> Iterator[Path]:
    """The days in a folder, the rows of each in this order, divided among as many files as forms."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        for day in DAYS:
            rows = rows_of(day, repeats=repeats)
            shuffled = [rows[index % len(rows)] for index in order if index < len(rows)]
            for number, each in enumerate(forms):
                write(
                    folder / str(day) / f"part-{number}.parquet", shuffled[number :: len(forms)], each, names
                )
        yield folder


def assert_same(found: dict[str, Any], plain: dict[str, Any]) -> None:
    assert {name: found[name] for name in ("bad", "labels", "notes")} == {
        name: plain[name] for name in ("bad", "labels", "notes")
    }
    assert found["rows"].keys() == plain["rows"].keys()
    for row_id, (entity, time, values) in found["rows"].items():
        assert (entity, time) == plain["rows"][row_id][:2]
        expected = plain["rows"][row_id][2]
        numbers = {name: value for name, value in expected.items() if isinstance(value, float)}
        assert {name: values[name] for name in numbers} == pytest.approx(numbers, rel=1e-9)
        assert {**values, **numbers} == expected


@pytest.fixture(scope="module", params=[False, True], ids=["columns", "sql"])
def with_sql(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


@pytest.fixture(scope="module")
def plain(with_sql: bool, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    with delivered([PLAIN], list(range(ROWS + 2)), {}) as folder:
        return outcome(dataset(folder, {}, with_sql=with_sql), {}, tmp_path_factory.mktemp("plain"))


@pytest.mark.slow
@settings(max_examples=8, suppress_health_check=list(HealthCheck), phases=PHASES)
@given(data=st.data())
def test_types_orders_and_files_change_nothing(
    data: st.DataObject, plain: dict[str, Any], with_sql: bool
) -> None:
    forms = [form(data) for _ in range(data.draw(st.integers(1, 3), label="files"))]
    order = data.draw(st.permutations(range(ROWS + 2)), label="rows")
    with delivered(forms, list(order), {}) as folder, TemporaryDirectory() as staging:
        assert_same(outcome(dataset(folder, {}, with_sql=with_sql), {}, Path(staging)), plain)


@pytest.mark.slow
@settings(max_examples=8, suppress_health_check=list(HealthCheck), phases=PHASES)
@given(data=st.data())
def test_names_change_nothing(data: st.DataObject, tmp_path_factory: pytest.TempPathFactory) -> None:
    chosen = data.draw(st.permutations(NAMES), label="names")[: len(COLUMNS)]
    names = dict(zip(COLUMNS, chosen, strict=True))
    if len({name.lower() for name in chosen}) < len(chosen):
        return  # DuckDB tells names apart by their letters alone
    order = list(range(ROWS))
    with delivered([PLAIN], order, {}, repeats=False) as folder, TemporaryDirectory() as staging:
        expected = outcome(dataset(folder, {}, with_sql=False), {}, Path(staging))
    with delivered([PLAIN, PLAIN], order, names, repeats=False) as folder, TemporaryDirectory() as staging:
        assert_same(outcome(dataset(folder, names, with_sql=False), names, Path(staging)), expected)


@pytest.mark.slow
@settings(max_examples=4, suppress_health_check=list(HealthCheck), phases=PHASES)
@given(data=st.data())
def test_columns_that_nobody_configured_change_nothing(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    taken = {*COLUMNS, "_partition_date"}
    names = data.draw(st.permutations([name for name in NAMES if name not in taken]), label="others")[:8]
    order = list(range(ROWS))
    with delivered([PLAIN], order, {}, repeats=False) as folder, TemporaryDirectory() as staging:
        expected = outcome(dataset(folder, {}, with_sql=True), {}, Path(staging))
    with (
        delivered([PLAIN, PLAIN], order, {}, repeats=False, others=names) as folder,
        TemporaryDirectory() as staging,
    ):
        assert_same(outcome(dataset(folder, {}, with_sql=True), {}, Path(staging)), expected)
