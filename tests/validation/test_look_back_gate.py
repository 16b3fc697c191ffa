"""The count of bad rows by which look-backs leave out dates agrees with the gate of the night."""

from datetime import date, datetime, timedelta
from pathlib import Path
from re import sub
from tempfile import TemporaryDirectory
from typing import Any

import polars as pl
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tasks.core.dataset import Dataset
from tasks.core.errors import NightError, PartitionRejected, SourceError
from tasks.core.references import Partition, Validated
from tasks.features.build import build_features
from tasks.source.connection import connect
from tasks.source.ingest import read_partition
from tasks.source.look_back import check_date
from tasks.validation.counts import Counts
from tasks.validation.validate import validate_partition
from tasks.validation.validate_again import validate_again

DAY = date(2024, 3, 10)
TYPES = st.sampled_from([pl.Int64, pl.Float64, pl.Float32, pl.Decimal(12, 2), pl.String])
QUALITY: list[dict[str, Any]] = [
    {},
    {"on_bad_rows": "reject"},
    {"max_bad_share": 0.3},
    {"min_rows": 6},
    {"max_bad_share": 1.0, "columns": {"amount": {"min": 0.5, "max": 5, "nullable": False}}},
    {"max_bad_share": 0.2, "columns": {"code": {"allowed": [1, "2", 3.0]}, "amount": {"nullable": False}}},
    {"max_bad_share": 0.5, "columns": {"card": {"nullable": False}, "code": {"nullable": False}}},
    {"max_bad_share": 0.5, "columns": {"label": {"nullable": False}, "code": {"allowed": [True, False]}}},
]


def dataset(folder: Path, quality: dict[str, Any]) -> Dataset:
    return Dataset.model_validate(
        {
            "name": "checked",
            "source": {"path": f"{folder}/{{date}}/*.parquet"},
            "columns": {"id": "id", "time": "at", "entity": "card", "label": "label"},
            "features": {"numeric": ["amount"], "categorical": ["code"]},
            "quality": quality,
        }
    )


@st.composite
def days(draw: st.DrawFn) -> pl.DataFrame:
    """Some payments, often with null, fractional or repeated ids, times of other days, and odd values."""
    rows = draw(st.integers(1, 12))

    def column(values: st.SearchStrategy[Any]) -> list[Any]:
        return draw(st.lists(values, min_size=rows, max_size=rows))

    noon = datetime(2024, 3, 10, 12)
    ids = draw(
        st.sampled_from([st.integers(1, 9), st.sampled_from([1, 2.5, 3, None]), st.integers(1, 10**6)])
    )
    numbers = st.sampled_from([0.0, 1.0, 2.0, 3.0, -1.0, 0.75, None, 1.0, 2.0])
    frame = pl.DataFrame(
        {
            "id": pl.Series(column(ids), dtype=pl.Float64),
            "card": pl.Series(column(st.sampled_from([1.0, 2.0, 2.5, None])), dtype=pl.Float64),
            "amount": pl.Series(column(numbers), dtype=pl.Float64),
            "code": pl.Series(column(st.sampled_from([1.0, 2.0, 3.0, 4.0, None])), dtype=pl.Float64),
            "at": column(st.sampled_from([noon, noon, noon, noon + timedelta(days=1), None])),
            "label": column(st.sampled_from([0, 1, None])),
        },
        schema_overrides={"at": pl.Datetime("us"), "label": pl.Int8},
    )
    frame = frame.with_columns(pl.col(name).cast(draw(TYPES)) for name in ("card", "amount", "code"))
    odd = draw(st.sampled_from(["", "", "", "drop", "inf", "text"]))
    if odd == "drop":
        return frame.drop(draw(st.sampled_from(frame.columns)))
    if odd == "inf" and frame["amount"].dtype.is_float():
        return frame.with_columns(amount=pl.lit(float("inf"), frame["amount"].dtype))
    return frame.with_columns(pl.col("at").cast(pl.String)) if odd == "text" else frame


def outcome(validated: Validated) -> tuple[Any, ...]:
    """What came of a validation, but for where its files are; the page without its time, and without
    how it was judged.
    """
    page = sub(r'\d{4}-\d\d-\d\dT[\d:.+]+Z?|<p class="judged">.*?</p>', "", validated.data_docs.read_text())
    lines = [pl.read_parquet(path).to_dicts() for path in (validated.refused, validated.quarantine)]
    return lines, validated.found, validated.clean, validated.notes, page


def judged_whole(data: Dataset, partition: Partition) -> tuple[Any, ...] | str:
    """What comes of a day whose every row Great Expectations judges by every rule."""
    nothing = Counts(0, {}, {}, frozenset())
    with TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patched:
        patched.setattr("tasks.validation.judge.count_suspects", lambda *_: nothing)
        try:
            return outcome(validate_partition(data, partition, Path(folder)))
        except PartitionRejected as error:
            return str(error)


@pytest.mark.slow
@settings(
    max_examples=40,
    suppress_health_check=list(HealthCheck),
    phases=(Phase.explicit, Phase.reuse, Phase.generate),
)
@given(frame=days(), quality=st.sampled_from(QUALITY), kind=TYPES)
def test_a_date_passes_one_where_it_passes_the_other(
    frame: pl.DataFrame, quality: dict[str, Any], kind: pl.DataType
) -> None:
    with TemporaryDirectory() as name:
        folder = Path(name)
        (folder / str(DAY)).mkdir()
        frame[::2].write_parquet(folder / str(DAY) / "part-0.parquet")
        others = [name for name in ("card", "code") if name in frame.columns]
        rest = frame[1::2].with_columns(pl.col(others).cast(kind, strict=False))
        rest.write_parquet(folder / str(DAY) / "part-1.parquet")
        data = dataset(folder, quality)
        with connect(data.source) as con:
            check = check_date(con, data, DAY, frame.height)
        reason, partition, rejected = check.reason, read_partition(data, DAY), None
        try:
            validated = validate_partition(data, partition, folder)
            again = validate_again(data, partition, folder)
            assert (check.bad, again.found, again.clean) == (
                validated.rows_quarantined,
                validated.found,
                validated.clean,
            )
            assert pl.read_parquet(again.refused).equals(pl.read_parquet(validated.refused))
            assert outcome(validated) == judged_whole(data, partition)
        except PartitionRejected as error:
            rejected = str(error)
            with pytest.raises(PartitionRejected):
                validate_again(data, partition, folder)
            assert judged_whole(data, partition) == rejected
    assert (reason is None) == (rejected is None), (reason, rejected)
    if reason and rejected and "rows are bad" in rejected:
        assert reason.split(",")[0] in rejected  # the same count


def test_the_result_is_kept_until_the_rows_change(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "features.sql").write_text(
        "select id, amount, code from history where _partition_date = $partition_date"
    )
    source = {"path": f"{tmp_path}/{{date}}/*.parquet", "lookback_days": 2}
    features = {"sql": str(tmp_path / "features.sql"), "numeric": ["amount"], "categorical": ["code"]}
    base = dataset(tmp_path, {}).model_dump(exclude={"source", "features"})
    data = Dataset.model_validate({**base, "source": source, "features": features})
    counted: list[date] = []

    def counting(con: Any, dataset: Dataset, day: date, rows: int) -> Any:
        counted.append(day)
        return check_date(con, dataset, day, rows)

    monkeypatch.setattr("tasks.source.look_back.check_date", counting)

    def deliver(day: date, *, good: bool) -> None:
        frame = pl.DataFrame({
            "id": [1, 2], "card": [1, 1], "amount": [1.0, 2.0], "code": [1, 1], "label": [0, 1],
            "at": [datetime(2024, 3, day.day, 12)] * 2,
        })  # fmt: skip
        (tmp_path / str(day)).mkdir(exist_ok=True)
        (frame if good else frame.drop("code", "card")).write_parquet(tmp_path / str(day) / "part.parquet")

    before = DAY - timedelta(days=1)
    for day in (before, DAY):
        deliver(day, good=True)
    first = read_partition(data, DAY, tmp_path / "files")
    again = read_partition(data, DAY, tmp_path / "files")
    assert (first, counted) == (again, [before])
    assert (first.look_back, first.left_out) == ((before,), ())
    model = data.model.model_copy(update={"hidden": (8, 2, 8)})
    fewer = data.features.model_copy(update={"categorical": ()})
    for other in ({"model": model}, {"features": fewer}):  # what the gate does not look at
        read_partition(data.model_copy(update=other), DAY, tmp_path / "files")
    assert counted == [before]
    deliver(before, good=False)
    spoiled = read_partition(data, DAY, tmp_path / "files")
    assert counted == [before, before]
    assert (spoiled.look_back, [each.reason for each in spoiled.left_out]) == ((), ["missing columns: card"])
    assert spoiled.fingerprint != first.fingerprint
    (tmp_path / str(before) / "part.parquet").write_bytes(b"PAR1 half a file")
    cut = read_partition(data, DAY, tmp_path / "files")
    assert [each.date for each in cut.left_out] == [before]
    assert "part.parquet cannot be read" in cut.left_out[0].reason
    deliver(before, good=True)
    assert read_partition(data, DAY, tmp_path / "files") == first
    counted.clear()
    strict = {"quality": data.quality.model_copy(update={"min_rows": 2})}
    read_partition(data.model_copy(update=strict), DAY, tmp_path / "files")
    assert counted == [before]
    (tmp_path / str(DAY) / "part.parquet").write_bytes(b"PAR1 half a file")
    with pytest.raises(NightError, match=f"{DAY}: .*cannot be read"):
        read_partition(data, DAY, tmp_path / "files")


def test_a_column_of_another_kind_leaves_its_date_out(tmp_path: Path) -> None:
    (tmp_path / "features.sql").write_text(
        "select id, amount, code from history where _partition_date = $partition_date"
    )
    features = {"sql": str(tmp_path / "features.sql"), "numeric": ["amount"], "categorical": ["code"]}
    source = {"path": f"{tmp_path}/{{date}}/*.parquet", "lookback_days": 5}
    base = dataset(tmp_path, {}).model_dump(exclude={"source", "features"})
    data = Dataset.model_validate({**base, "source": source, "features": features})
    frame = pl.DataFrame({
        "id": [1, 2], "card": [1, 1], "amount": [1.0, 2.0], "code": [1, 1], "label": [0, 1], "extra": [1, 2],
    })  # fmt: skip
    forms = {
        1: frame.with_columns(extra=pl.lit("many")),
        2: frame.with_columns(extra=[[1], [2]]),
        3: frame.with_columns(pl.col("extra").cast(pl.Float32), id=pl.lit("t1"), label=pl.lit("fraud")).head(
            1
        ),
        4: frame.drop("extra").with_columns(_Partition_Date=1),
        5: frame.drop("extra"),
        0: frame,
    }
    for ago, form in forms.items():
        day = DAY - timedelta(days=ago)
        (tmp_path / str(day)).mkdir()
        noon = datetime(day.year, day.month, day.day, 12)
        form.with_columns(at=pl.lit(noon)).write_parquet(tmp_path / str(day) / "part.parquet")
    found = read_partition(data, DAY)
    assert found.look_back == (DAY - timedelta(days=5), DAY - timedelta(days=3))
    assert [str(each) for each in found.left_out] == [
        "2024-03-06 (a column is named _Partition_Date)",
        "2024-03-08 (column extra holds BIGINT[][], on the night number)",
        "2024-03-09 (column extra holds text, on the night number)",
    ]


def test_only_feature_sql_refuses_a_column_by_its_name(tmp_path: Path) -> None:
    base = dataset(tmp_path, {})
    (tmp_path / "features.sql").write_text("select id, amount, code from history")
    features = {"sql": str(tmp_path / "features.sql"), "numeric": ["amount"], "categorical": ["code"]}
    with_sql = Dataset.model_validate({**base.model_dump(exclude={"features"}), "features": features})
    frame = pl.DataFrame({
        "id": [1, 2], "card": [1, 1], "amount": [1.0, 2.0], "code": [1, 1], "label": [0, 1],
        "at": [datetime(2024, 3, 10, 12)] * 2, "_partition_date": ["a", "b"],
    })  # fmt: skip
    (tmp_path / str(DAY)).mkdir()
    frame.write_parquet(tmp_path / str(DAY) / "part.parquet")
    validated = validate_partition(base, read_partition(base, DAY), tmp_path)
    assert build_features(base, validated, 0, tmp_path).rows == 2
    with pytest.raises(SourceError, match=f"{DAY}: the source has a column _partition_date, .*rename"):
        build_features(with_sql, validated, 0, tmp_path)
