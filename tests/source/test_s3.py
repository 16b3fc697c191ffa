"""The source on S3: the same dates, references and features as from a local folder, and a one-line error if
it cannot be read.
"""

import faulthandler
import gzip
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import fsspec
import polars as pl
import pytest
import s3fs
from buckets import SECRET, s3_server
from polars.testing import assert_frame_equal

from tasks.core.dataset import Dataset
from tasks.core.errors import SourceError
from tasks.core.filesystem import filesystem_of
from tasks.core.source_settings import SourceSettings
from tasks.features.build import build_features, feature_batches
from tasks.labels.source_labels import read_labels
from tasks.operations.source_inspection import look_at
from tasks.source.connection import list_dates
from tasks.source.ingest import read_partition
from tasks.source.simulation import simulate, write_partitions
from tasks.validation.validate import validate_partition

pytestmark = pytest.mark.slow
FIRST, DAYS = date(2024, 3, 1), 12
DAY = FIRST + timedelta(days=DAYS - 1)
FEATURES: dict[str, Any] = {
    "its own columns": {"numeric": ["amount"]},
    "feature SQL": {
        "numeric": ["amount", "customer_nb_tx_7d", "terminal_risk_1d"],
        "sql": "features/card_transactions.sql",
    },
}


@pytest.fixture(autouse=True)
def no_endless_wait() -> Iterator[None]:
    """Ends the process if DuckDB and fsspec wait for each other: they hold Python's global lock, so no other
    timeout can.
    """
    faulthandler.dump_traceback_later(240, exit=True)
    yield
    faulthandler.cancel_dump_traceback_later()


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("transactions")
    write_partitions(simulate(FIRST, DAYS, customers=40, terminals=60, seed=3, radius=30), folder)
    return folder


@pytest.fixture(scope="module")
def bucket(local: Path) -> Iterator[str]:
    """The same partitions in a bucket."""
    with s3_server() as files:
        files.mkdir("bank")
        files.put(str(local), "bank/transactions", recursive=True)
        files.pipe(f"bank/torn/date={DAY}/part-0.parquet", b"PAR1 and no more")
        yield "s3://bank"


def dataset(folder: str | Path, features: dict[str, Any] | None = None) -> Dataset:
    return Dataset.model_validate(
        {
            "name": "cards",
            "source": {"path": f"{folder}/date={{date}}/*.parquet", "lookback_days": DAYS - 1},
            "columns": {
                "id": "transaction_id",
                "time": "tx_time",
                "entity": "customer_id",
                "label": "is_fraud",
            },
            "features": features or FEATURES["its own columns"],
        }
    )


def features_of(data: Dataset, staging: Path) -> pl.DataFrame:
    """The night up to its features."""
    staging.mkdir()
    validated = validate_partition(data, read_partition(data, DAY), staging)
    batches = feature_batches(data, build_features(data, validated, 7, staging), 1000)
    parts = [pl.concat([batch.keys, batch.features], how="horizontal") for batch in batches]
    return pl.concat(parts).sort("id")


@pytest.mark.parametrize("features", FEATURES.values(), ids=FEATURES)
def test_a_bucket_is_read_like_a_folder(
    local: Path, bucket: str, features: dict[str, Any], tmp_path: Path
) -> None:
    here, there = dataset(local, features), dataset(f"{bucket}/transactions", features)
    assert (
        list_dates(there.source)
        == list_dates(here.source)
        == [FIRST + timedelta(days=offset) for offset in range(DAYS)]
    )
    assert read_partition(there, DAY) == read_partition(here, DAY)
    assert_frame_equal(features_of(there, tmp_path / "there"), features_of(here, tmp_path / "here"))
    assert_frame_equal(read_labels(there, FIRST, DAY), read_labels(here, FIRST, DAY), check_row_order=False)


def test_a_bucket_can_be_inspected(local: Path, bucket: str) -> None:
    there, here = look_at(f"{bucket}/transactions", None, None), look_at(str(local), None, None)
    assert there.source.path == f"{bucket}/transactions/date={{date}}/*.parquet"
    assert (there.dates, there.columns, there.roles) == (here.dates, here.columns, here.roles)


def test_a_bucket_of_hive_s_folders_is_read_like_a_folder(local: Path, bucket: str) -> None:
    source = {"path": f"{bucket}/hive/y={{date:%Y}}/m={{date:%m}}/d={{date:%d}}/*.parquet"}
    data = Dataset.model_validate({**dataset(local).model_dump(), "source": source})
    files = fsspec.filesystem("s3")
    for day, name in ((FIRST, "y=2024/m=3/d=1"), (DAY, "y=2024/m=3/d=12")):
        files.put(f"{local}/date={day}", f"bank/hive/{name}", recursive=True)
    assert list_dates(data.source) == [FIRST, DAY]
    assert read_partition(data, FIRST).rows == read_partition(dataset(local), FIRST).rows
    assert look_at(f"{bucket}/hive", None, None).source == data.source


def test_packed_csv_and_files_dated_by_a_column_are_read_from_a_bucket(local: Path, bucket: str) -> None:
    files, rows = fsspec.filesystem("s3"), pl.read_parquet(f"{local}/date={DAY}/part-0.parquet")
    files.pipe(f"bank/csv/x_{DAY:%Y%m%d}.csv.gz", gzip.compress(rows.write_csv().encode()))
    found = look_at(f"{bucket}/csv", None, None).source
    assert found.path == f"{bucket}/csv/x_{{date:%Y%m%d}}.csv.gz"
    for source in (found, SourceSettings(path=f"{bucket}/transactions/*/*.parquet", date_column="tx_time")):
        data = Dataset.model_validate({**dataset(local).model_dump(), "source": source})
        assert list_dates(source)[-1] == DAY
        assert read_partition(data, DAY).rows == rows.height


def test_a_partition_that_arrives_later_is_found(local: Path, bucket: str) -> None:
    data, late = dataset(f"{bucket}/late"), FIRST + timedelta(days=1)
    files = fsspec.filesystem("s3")
    files.put(f"{local}/date={FIRST}", f"bank/late/date={FIRST}", recursive=True)
    assert list_dates(data.source) == [FIRST]
    files.put(f"{local}/date={late}", f"bank/late/date={late}", recursive=True)
    assert list_dates(data.source) == [FIRST, late]
    assert read_partition(data, late) == read_partition(dataset(local), late)


@pytest.mark.parametrize(
    ("folder", "day", "message"),
    [
        (
            "bank/transactions",
            date(2031, 1, 1),
            f"no partition at s3://bank/transactions/date=2031-01-01/*.parquet; the source has {DAYS}",
        ),
        ("nobodys/transactions", DAY, "bucket does not exist"),
        ("bank/torn", DAY, f"s3://bank/torn/date={DAY}/part-0.parquet cannot be read"),
    ],
)
def test_a_missing_or_truncated_file_is_reported_in_one_line(
    bucket: str, folder: str, day: date, message: str
) -> None:
    with pytest.raises(SourceError, match="s3://") as refusal:
        read_partition(dataset(f"s3://{folder}"), day)
    assert message in str(refusal.value)
    assert_plain(refusal.value)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("AWS_ENDPOINT_URL", "http://127.0.0.1:9", "http://127.0.0.1:9"),
        ("AWS_ENDPOINT_URL", "http://nowhere.invalid", "http://nowhere.invalid"),
        ("AWS_SECRET_ACCESS_KEY", None, "credentials"),
    ],
)
def test_a_wrong_environment_is_reported_without_its_secrets(
    bucket: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    name: str,
    value: str | None,
    message: str,
) -> None:
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
    monkeypatch.delenv(name)
    if value:
        monkeypatch.setenv(name, value)
    s3fs.S3FileSystem.clear_instance_cache()  # a file system remembers the endpoint that it was made with
    try:
        with pytest.raises(SourceError) as refusal:
            list_dates(dataset(f"{bucket}/transactions").source)
    finally:
        s3fs.S3FileSystem.clear_instance_cache()
    assert message in str(refusal.value)
    assert_plain(refusal.value)
    assert SECRET not in caplog.text


def assert_plain(error: Exception) -> None:
    assert "\n" not in str(error)
    assert SECRET not in str(error)


def test_an_endpoint_that_does_not_answer_fails_within_half_a_minute(bucket: str) -> None:
    """Seconds times attempts of the client as configured; the defaults of the libraries give many minutes."""
    client = filesystem_of(f"{bucket}/transactions").connect().meta.config
    assert client.connect_timeout * client.retries["total_max_attempts"] * s3fs.S3FileSystem.retries <= 30
