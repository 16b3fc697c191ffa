"""The features of a day: equal to the published ones, one row per clean row, and computed only from what was
known on the night.
"""

import math
from collections.abc import Callable, Iterable
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from models.encoding.layout import CELLS
from sql import read
from tasks.core.dataset import Dataset
from tasks.core.errors import FeatureError, SourceError
from tasks.core.references import Features, Validated
from tasks.core.row_sums import sum_of_ids
from tasks.features.build import FeatureBatch, build_features, feature_batches, features
from tasks.labels.source_labels import read_labels
from tasks.source.connection import connect
from tasks.source.ingest import read_partition
from tasks.source.simulation import simulate, write_partitions
from tasks.source.view import create_view
from tasks.validation.validate import validate_partition

DELAY = 7
FIRST, DAY = date(2024, 3, 1), date(2024, 4, 9)
FRAME = simulate(
    FIRST, 41, customers=25, terminals=40, seed=3, radius=30, terminals_per_day=0.3, leaks_per_day=0.2
)
TODAY = pl.col("tx_time").dt.date() == DAY
WINDOWS = (1, 7, 30)
CARD_FEATURES = (
    "amount",
    "tx_during_weekend",
    "tx_during_night",
    *(
        f"{prefix}_{days}d"
        for prefix in ("customer_nb_tx", "customer_avg_amount", "terminal_nb_tx", "terminal_risk")
        for days in WINDOWS
    ),
)
CARDS_SQL = "features/card_transactions.sql"


def dataset(folder: Path, **settings: Any) -> Dataset:
    sections: dict[str, Any] = {
        "name": "cards",
        "source": {"path": f"{folder}/date={{date}}/*.parquet", "lookback_days": 38},
        "columns": {"id": "transaction_id", "time": "tx_time", "entity": "customer_id", "label": "is_fraud"},
        "features": {"sql": CARDS_SQL, "numeric": CARD_FEATURES},
    }
    return Dataset.model_validate(sections | settings)


def validated(data: Dataset, staging: Path, bad: tuple[str, ...] = (), day: date = DAY) -> Validated:
    """The result of a validation that refuses the rows of some ids, each of which occurs once."""
    staging.mkdir(parents=True, exist_ok=True)
    refused = pl.DataFrame({"id": pl.Series(bad, dtype=pl.String)})
    refused = refused.unique().with_columns(copy=pl.lit(0, pl.Int64), is_repeated=False)
    refused.write_parquet(staging / "refused.parquet")
    partition = read_partition(data, day)
    with connect(data.source) as con:
        view = create_view(con, data, "day", [day])
        ids = con.sql(f"select {view.id} as id from day").pl()["id"]
    return Validated(
        partition,
        staging / "refused.parquet",
        staging / "quarantine.parquet",
        refused.height,
        found=sum_of_ids(ids),
        clean=sum_of_ids(ids.filter(~ids.is_in(list(bad)))),
        data_docs=staging / "page.html",
    )


def frame_of(batches: Iterable[FeatureBatch]) -> pl.DataFrame:
    """The keys and features of some batches, ordered by id as a number."""
    parts = [pl.concat([batch.keys, batch.features], how="horizontal") for batch in batches]
    return pl.concat(parts).sort(pl.col("id").cast(pl.Int64))


def built(data: Dataset, staging: Path, bad: tuple[str, ...] = (), day: date = DAY) -> pl.DataFrame:
    made = build_features(data, validated(data, staging, bad, day), DELAY, staging)
    return frame_of(feature_batches(data, made, 100))


def with_sql(folder: Path, text: str, **settings: Any) -> Dataset:
    """A dataset whose feature SQL returns one feature, x."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "own.sql").write_text(text, encoding="utf-8")
    return dataset(folder / "data", features={"sql": str(folder / "own.sql"), "numeric": ["x"]}, **settings)


@pytest.fixture(scope="module")
def simulated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("simulated")
    write_partitions(FRAME, folder / "data")
    return folder


@pytest.fixture(scope="module")
def card_features(simulated: Path) -> pl.DataFrame:
    return built(dataset(simulated / "data"), simulated / "staging")


def oracle(frame: pl.DataFrame, day: date) -> pl.DataFrame:
    """The published features by counting: every row of the day against every row before it."""
    past = list(frame.select("tx_time", "customer_id", "terminal_id", "amount", "is_fraud").iter_rows())
    rows = []
    for key, time, customer, terminal, amount in (
        frame.filter(pl.col("tx_time").dt.date() == day)
        .select("transaction_id", "tx_time", "customer_id", "terminal_id", "amount")
        .iter_rows()
    ):
        row = {
            "id": str(key),
            "amount": amount,
            "tx_during_weekend": time.weekday() >= 5,
            "tx_during_night": time.hour <= 6,
        }
        for days in WINDOWS:
            window, delay = timedelta(days=days), timedelta(days=DELAY)
            paid = [a for t, c, _, a, _ in past if c == customer and time - window < t <= time]
            known = [f for t, _, m, _, f in past if m == terminal and time - window < t + delay <= time]
            row[f"customer_nb_tx_{days}d"] = len(paid)
            row[f"customer_avg_amount_{days}d"] = math.fsum(paid) / len(paid)
            row[f"terminal_nb_tx_{days}d"] = len(known)
            row[f"terminal_risk_{days}d"] = sum(known) / len(known) if known else 0.0
        rows.append(row)
    in_order = pl.DataFrame(rows).sort(pl.col("id").cast(pl.Int64))
    return in_order.select("id", pl.col(CARD_FEATURES).cast(pl.Float64))


def test_the_card_features_are_what_counting_gives(card_features: pl.DataFrame) -> None:
    assert_frame_equal(
        card_features.select("id", *CARD_FEATURES), oracle(FRAME, DAY), abs_tol=1e-9, rel_tol=0
    )
    assert card_features["terminal_risk_30d"].max() > 0  # the comparison is not one of zeros
    assert card_features["terminal_nb_tx_30d"].max() > 20


def test_transactions_of_one_second_count_in_each_other_s_window(tmp_path: Path) -> None:
    frame = pl.concat(
        [FRAME, FRAME.filter(TODAY).head(20).with_columns(pl.col("transaction_id") + 1_000_000)]
    ).sort("tx_time", "transaction_id")
    write_partitions(frame, tmp_path / "data")
    found = built(dataset(tmp_path / "data"), tmp_path)
    assert_frame_equal(found.select("id", *CARD_FEATURES), oracle(frame, DAY), abs_tol=1e-9, rel_tol=0)


def test_the_windows_are_open_on_the_left(tmp_path: Path) -> None:
    noon = datetime(2024, 4, 9, 12)
    second = timedelta(seconds=1)
    times = [
        noon - timedelta(days=8) + second,
        noon - timedelta(days=8),
        noon - timedelta(days=7),
        noon - timedelta(days=7) + second,
    ]
    times = sorted([*times, noon - timedelta(days=1), noon - timedelta(days=1) + second, noon])
    frame = pl.DataFrame({"transaction_id": range(len(times)), "tx_time": times}).with_columns(
        customer_id=1, terminal_id=1, amount=1.0, is_fraud=1
    )
    write_partitions(frame, tmp_path / "data")
    found = built(dataset(tmp_path / "data"), tmp_path).row(0, named=True)
    assert (found["customer_nb_tx_1d"], found["customer_nb_tx_7d"], found["customer_nb_tx_30d"]) == (2, 4, 7)
    assert (found["terminal_nb_tx_1d"], found["terminal_nb_tx_7d"], found["terminal_nb_tx_30d"]) == (2, 3, 3)


def test_a_row_without_customer_terminal_or_time_keeps_its_place(tmp_path: Path) -> None:
    null = [
        pl.when(pl.col("transaction_id") % 3 == 0, TODAY).then(None).otherwise(pl.col(name)).alias(name)
        for name in ("customer_id", "terminal_id")
    ]
    frame = FRAME.with_columns(null)
    write_partitions(frame, tmp_path / "data")
    found = built(dataset(tmp_path / "data"), tmp_path)
    unknown = found.filter(pl.col("entity").is_null())
    assert unknown.height > 5
    assert (unknown["customer_nb_tx_30d"].max(), unknown["terminal_nb_tx_30d"].max()) == (0, 0)
    assert unknown["customer_avg_amount_30d"].null_count() == unknown.height


@pytest.mark.parametrize("day", [date(2018, 6, 10), date(2018, 6, 11)])
def test_the_card_features_are_the_published_ones(shared_data: Path, tmp_path: Path, day: date) -> None:
    published = (
        pl.read_parquet(shared_data / "card_features_reference" / "*.parquet")
        .filter(date=day)
        .sort("transaction_id")
    )
    names = {
        name: name.replace("_id_", "_").replace("day_window", "d")
        for name in published.columns
        if name.endswith("window")
    }
    published = published.rename(names).with_columns(
        pl.col("transaction_id").cast(pl.String).alias("id"), pl.col("^tx_during.*$").cast(pl.Float64)
    )
    found = built(dataset(shared_data / "card_transactions"), tmp_path, day=day)
    together = published.select("id", *CARD_FEATURES[1:]).sort("id")
    assert_frame_equal(found.select(together.columns).sort("id"), together, abs_tol=1e-9, rel_tol=0)


def test_the_file_has_the_keys_and_the_features(simulated: Path, card_features: pl.DataFrame) -> None:
    keys = {"id": pl.String, "entity": pl.String, "event_time": pl.Datetime("us")}
    assert card_features.schema == keys | dict.fromkeys(CARD_FEATURES, pl.Float64)
    source = FRAME.filter(TODAY).sort("transaction_id")
    assert card_features["id"].to_list() == [str(key) for key in source["transaction_id"]]
    assert card_features["entity"].to_list() == [str(key) for key in source["customer_id"]]
    assert card_features["event_time"].to_list() == source["tx_time"].to_list()
    assert not (simulated / "staging" / "features.parquet.tmp").exists()


def test_building_again_gives_the_same_bytes(simulated: Path, tmp_path: Path) -> None:
    data = dataset(simulated / "data")
    files = [
        features.plain(data, validated(data, tmp_path / name), DELAY, tmp_path / name).path
        for name in ("a", "b")
    ]
    assert files[0] is not None
    assert files[1] is not None
    assert files[0].read_bytes() == files[1].read_bytes()


def test_a_table_gives_the_features_of_the_files(
    simulated: Path, tmp_path: Path, card_features: pl.DataFrame
) -> None:
    with duckdb.connect(str(tmp_path / "bank.duckdb")) as con:
        con.register("frame", FRAME.to_arrow())
        con.execute("create table transactions as from frame")
    source = {
        "database": str(tmp_path / "bank.duckdb"),
        "table": "transactions",
        "date_column": "tx_time",
        "lookback_days": 38,
    }
    data = dataset(simulated, source=source)
    assert built(data, tmp_path / "staging").equals(card_features)
    plain = data.model_copy(
        update={"features": data.features.model_copy(update={"sql": None, "numeric": ("amount",)})}
    )
    assert built(plain, tmp_path / "plain").equals(
        card_features.select("id", "entity", "event_time", "amount")
    )


def test_quarantined_rows_are_neither_scored_nor_counted(simulated: Path, tmp_path: Path) -> None:
    keys = FRAME.filter(TODAY)["transaction_id"].gather([0, 3, 4]).to_list()
    found = built(dataset(simulated / "data"), tmp_path, tuple(map(str, keys)))
    kept = FRAME.filter(~pl.col("transaction_id").is_in(keys))
    assert_frame_equal(found.select("id", *CARD_FEATURES), oracle(kept, DAY), abs_tol=1e-9, rel_tol=0)


def test_labels_that_are_not_known_yet_are_not_visible(simulated: Path, tmp_path: Path) -> None:
    text = """
        with seen as (
            select max(_partition_date) filter (is_fraud is not null) as last, count(is_fraud) as labels
            from history
        )
        select transaction_id, date_diff('day', last, $partition_date) * 1000000 + labels as x
        from history, seen
        where _partition_date = $partition_date
    """
    known = FRAME.filter(
        pl.col("tx_time").dt.date() <= DAY - timedelta(days=DELAY),
        pl.col("tx_time").dt.date() >= DAY - timedelta(days=38),
    )
    write_partitions(FRAME, tmp_path / "data")
    assert built(with_sql(tmp_path, text), tmp_path)["x"].unique().to_list() == [
        DELAY * 1_000_000 + known.height
    ]


@pytest.mark.parametrize("early", [1, None])
def test_early_labels_change_nothing(tmp_path: Path, card_features: pl.DataFrame, early: int | None) -> None:
    young = pl.col("tx_time").dt.date() > DAY - timedelta(days=DELAY)
    write_partitions(
        FRAME.with_columns(pl.when(young).then(early).otherwise("is_fraud").alias("is_fraud")),
        tmp_path / "data",
    )
    assert built(dataset(tmp_path / "data"), tmp_path).equals(card_features)


def test_only_the_look_back_is_read(simulated: Path, tmp_path: Path, card_features: pl.DataFrame) -> None:
    write_partitions(FRAME.filter(pl.col("tx_time") >= datetime(2024, 3, 2)), tmp_path / "data")
    (tmp_path / "data" / "date=2024-02-28").mkdir()
    (tmp_path / "data" / "date=2024-02-28" / "part-0.parquet").write_text("not to be opened")
    assert built(dataset(tmp_path / "data"), tmp_path).equals(card_features)


def test_bad_rows_of_the_look_back_are_left_out(tmp_path: Path) -> None:
    """The rules of [quality] exclude them, as they did on their own night."""
    amounts = pl.Series([1e12, -5.0, math.inf, -math.inf, None, math.nan])
    rows = (pl.col("transaction_id") % 50 == 1) & ~TODAY
    bad = pl.lit(amounts).gather(pl.col("transaction_id") // 50 % len(amounts))
    write_partitions(
        FRAME.with_columns(pl.when(rows).then(bad).otherwise("amount").alias("amount")), tmp_path / "data"
    )
    quality = {"columns": {"amount": {"nullable": False, "min": 0, "max": 100_000}}}
    found = built(dataset(tmp_path / "data", quality=quality), tmp_path)
    assert_frame_equal(
        found.select("id", *CARD_FEATURES), oracle(FRAME.filter(~rows), DAY), abs_tol=1e-9, rel_tol=0
    )


@pytest.mark.parametrize("null", [None, math.nan])
def test_a_null_that_may_be_null_stays_in_the_look_back(
    tmp_path: Path, card_features: pl.DataFrame, null: float | None
) -> None:
    rows = (pl.col("transaction_id") % 50 == 1) & ~TODAY
    write_partitions(
        FRAME.with_columns(pl.when(rows).then(null).otherwise("amount").alias("amount")), tmp_path / "data"
    )
    found = built(dataset(tmp_path / "data", quality={"columns": {"amount": {"min": 0}}}), tmp_path)
    assert found["customer_nb_tx_30d"].equals(card_features["customer_nb_tx_30d"])
    assert not found["customer_avg_amount_30d"].equals(card_features["customer_avg_amount_30d"])
    assert found["customer_avg_amount_30d"].is_finite().all()


def test_the_dates_without_a_required_column_are_left_out_of_the_look_back(tmp_path: Path) -> None:
    """They fail the gate themselves, so that none of their rows counts."""
    write_partitions(FRAME, tmp_path / "data")
    days = (DAY, DAY - timedelta(days=1))
    for day in days:
        file = tmp_path / "data" / f"date={day}" / "part-0.parquet"
        pl.read_parquet(file).with_columns(channel=pl.lit("web")).write_parquet(file)
    found = built(dataset(tmp_path / "data", quality={"columns": {"channel": {"nullable": False}}}), tmp_path)
    kept = FRAME.filter(pl.col("tx_time").dt.date().is_in(days))
    assert_frame_equal(found.select("id", *CARD_FEATURES), oracle(kept, DAY), abs_tol=1e-9, rel_tol=0)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("select transaction_id, 1 as y from history", "does not return x"),
        ("select 1 as x", "does not return transaction_id"),
        ("select * from nowhere", "failed: Catalog Error"),
        ("selekt 1", "failed: Parser Error"),
        (
            "select transaction_id, 'many' as x from history where _partition_date = $partition_date",
            "failed: Conversion Error",
        ),
        ("select transaction_id, $unknown as x from history", "failed: Invalid Input Error"),
        ("select 1; select 2", "has 2 statements"),
        ("-- nothing", "has 0 statements"),
        ("create table x (a integer)", "failed: "),
        (
            "select transaction_id, 1 as x from history where _partition_date = $partition_date offset 3",
            "3 ids lost, such as ",
        ),
        ("select null as transaction_id, 1 as x", "ids lost, such as "),
        ("select transaction_id, 1 as x from history", "ids returned that are not clean rows, such as "),
        (
            (
                "select transaction_id, n as x from history, range(2) t(n) where _partition_date = "
                "$partition_date and n <= transaction_id % 2"
            ),
            "ids returned more than once, such as ",
        ),
    ],
)
def test_sql_that_does_not_give_one_row_per_row_is_refused(
    simulated: Path, tmp_path: Path, text: str, message: str
) -> None:
    data = with_sql(
        tmp_path, text, source={"path": f"{simulated}/data/date={{date}}/*.parquet", "lookback_days": 3}
    )
    with pytest.raises(FeatureError) as caught:
        built(data, tmp_path)
    raised = str(caught.value)
    assert raised.startswith(f"{DAY}: {tmp_path / 'own.sql'} ")
    assert message in raised
    assert "\n" not in raised
    assert not (tmp_path / "features.parquet").exists()


def test_a_missing_sql_file_is_reported(simulated: Path, tmp_path: Path) -> None:
    data = dataset(
        simulated,
        source={"path": f"{simulated}/data/date={{date}}/*.parquet", "lookback_days": 3},
        features={"sql": f"{tmp_path}/no.sql", "numeric": ["x"]},
    )
    with pytest.raises(FeatureError, match=r"there is no feature SQL .*no\.sql; fix features\.sql"):
        built(data, tmp_path)


def test_private_values_are_in_no_message(simulated: Path, tmp_path: Path) -> None:
    source = {"path": f"{simulated}/data/date={{date}}/*.parquet", "lookback_days": 3}
    columns = {"id": "transaction_id", "private": ["transaction_id", "customer_id"]}
    for text in (
        "select transaction_id, 1 as x from history where _partition_date = $partition_date offset 3",
        "select transaction_id, 'secret ''card''' as x from history where _partition_date = $partition_date",
    ):
        with pytest.raises(FeatureError) as caught:
            built(with_sql(tmp_path, text, columns=columns, source=source), tmp_path)
        assert "such as" not in str(caught.value)
        assert "card'" not in str(caught.value)


def test_sql_without_parameters_comments_and_semicolons(simulated: Path, tmp_path: Path) -> None:
    text = """
        -- $unknown; in a comment (é)
        select transaction_id, '$label_delay_days;é' = '' as x
        from history where _partition_date = date '2024-04-09'; -- the end;
    """
    data = with_sql(
        tmp_path, text, source={"path": f"{simulated}/data/date={{date}}/*.parquet", "lookback_days": 3}
    )
    assert built(data, tmp_path)["x"].unique().to_list() == [0.0]


def test_types_are_numbers_and_texts(simulated: Path, tmp_path: Path) -> None:
    (tmp_path / "own.sql").write_text(
        "select transaction_id, true as flag, cast(1.5 as decimal(9, 2)) as cents, 7::hugeint as big, "
        "12 as channel, null as nothing,"
        " 'a' as \"odd ' name\" from history where _partition_date = $partition_date"
    )
    sections = {
        "sql": str(tmp_path / "own.sql"),
        "numeric": ["flag", "cents", "big", "nothing"],
        "categorical": ["odd ' name", "channel"],
    }
    row = built(dataset(simulated / "data", features=sections), tmp_path).row(0, named=True)
    assert {name: row[name] for name in ("flag", "cents", "big", "nothing", "channel", "odd ' name")} == {
        "flag": 1.0,
        "cents": 1.5,
        "big": 7.0,
        "nothing": None,
        "channel": "12",
        "odd ' name": "a",
    }


def test_without_sql_the_source_s_own_columns_are_the_features(simulated: Path, tmp_path: Path) -> None:
    data = dataset(simulated / "data", features={"numeric": ["amount"], "categorical": ["terminal_id"]})
    refused = FRAME.filter(TODAY)["transaction_id"][1:3]
    checked = validated(data, tmp_path, tuple(map(str, refused)))
    made = build_features(data, checked, DELAY, tmp_path)
    assert made == Features(checked, None)
    assert not (tmp_path / "features.parquet").exists()
    found = frame_of(feature_batches(data, made, 7))
    source = FRAME.filter(TODAY, ~pl.col("transaction_id").is_in(refused.implode())).sort("transaction_id")
    expected = source.select(
        pl.col("transaction_id").cast(pl.String).alias("id"),
        pl.col("customer_id").cast(pl.String).alias("entity"),
        pl.col("tx_time").alias("event_time"),
        "amount",
        pl.col("terminal_id").cast(pl.String),
    )
    assert_frame_equal(found, expected)


def test_a_dataset_without_time_and_entity(simulated: Path, tmp_path: Path) -> None:
    data = dataset(simulated / "data", columns={"id": "transaction_id"}, features={"numeric": ["amount"]})
    found = built(data, tmp_path)
    assert (found["entity"].dtype, found["event_time"].dtype) == (pl.String, pl.Datetime("us"))
    assert found["entity"].null_count() == found["event_time"].null_count() == found.height > 0


@pytest.mark.parametrize("of_source", [True, False])
@pytest.mark.parametrize("batch_rows", [1_000, 4_096, 50_000])
def test_batches_are_no_larger_than_asked_and_lose_nothing(
    tmp_path: Path, of_source: bool, batch_rows: int
) -> None:
    frame = pl.DataFrame({"transaction_id": range(20_000)}).with_columns(
        x=pl.col("transaction_id") * 0.5, tx_time=datetime(2024, 4, 9), customer_id=1, is_fraud=0
    )
    write_partitions(frame, tmp_path / "data")
    data = with_sql(tmp_path, "select transaction_id, x from history where _partition_date = $partition_date")
    if of_source:
        data = dataset(tmp_path / "data", features={"numeric": ["x"]})
    made = build_features(data, validated(data, tmp_path, ("5",)), DELAY, tmp_path)
    batches = list(feature_batches(data, made, batch_rows))
    assert max(batch.features.height for batch in batches) <= batch_rows
    found = frame_of(batches)
    assert found["id"].to_list() == [str(key) for key in range(20_000) if key != 5]
    assert found["x"].to_list() == [key * 0.5 for key in range(20_000) if key != 5]


@pytest.mark.parametrize("of_source", [True, False])
@pytest.mark.parametrize(
    "images",
    [pl.Series([b"image %d" % k for k in range(5_000)]), pl.Series([[float(k), 0.5] for k in range(5_000)])],
)
def test_images_are_unchanged_and_large_ones_come_in_small_batches(
    tmp_path: Path, of_source: bool, images: pl.Series
) -> None:
    frame = pl.DataFrame({"transaction_id": range(5_000), "scan": images}).with_columns(
        tx_time=datetime(2024, 4, 9), customer_id=1, is_fraud=0
    )
    write_partitions(frame, tmp_path / "data")
    text = "select transaction_id, scan from history where _partition_date = $partition_date"
    (tmp_path / "own.sql").write_text(text, encoding="utf-8")
    large = {"column": "scan", "height": 512, "width": 512, "channels": 3}
    data = dataset(
        tmp_path / "data",
        features={"image": large} if of_source else {"image": large, "sql": str(tmp_path / "own.sql")},
    )
    made = build_features(data, validated(data, tmp_path, ("5",)), DELAY, tmp_path)
    batches = list(feature_batches(data, made, 1_000))
    assert max(batch.features.height for batch in batches) * 512 * 512 * 3 <= CELLS
    assert_frame_equal(
        frame_of(batches).select("id", "scan"),
        frame.select(pl.col("transaction_id").cast(pl.String).alias("id"), "scan")[
            [*range(5), *range(6, 5_000)]
        ],
    )


@pytest.mark.parametrize(
    "damage", [lambda file: file.unlink(), lambda file: file.write_bytes(file.read_bytes()[:-30])]
)
def test_a_source_that_is_gone_at_scoring_is_reported(tmp_path: Path, damage: Callable[[Path], Any]) -> None:
    write_partitions(FRAME, tmp_path / "data")
    data = dataset(tmp_path / "data", features={"numeric": ["amount"]})
    made = build_features(data, validated(data, tmp_path), DELAY, tmp_path)
    damage(tmp_path / "data" / f"date={DAY}" / "part-0.parquet")
    with pytest.raises(SourceError, match=str(DAY)):
        list(feature_batches(data, made, 100))


def test_a_value_that_is_not_a_number_is_reported(tmp_path: Path) -> None:
    write_partitions(FRAME.with_columns(amount=pl.lit("much")), tmp_path / "data")
    data = dataset(tmp_path / "data", features={"numeric": ["amount"]})
    with pytest.raises(SourceError, match=f"{DAY}: .*cannot be read"):
        built(data, tmp_path)


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        (pl.Series([0, 1, None], dtype=pl.Int8), [False, True, None]),
        (pl.Series([0.0, 1.0, math.nan]), [False, True, None]),
        (pl.Series([False, True, None]), [False, True, None]),
        (pl.Series(["0", "TRUE", None]), [False, True, None]),
        (pl.Series(["false", "1", "1.0"]), [False, True, True]),
        (pl.Series([None, None, None], dtype=pl.Null), [None, None, None]),
    ],
)
def test_labels_are_true_false_or_unknown(
    tmp_path: Path, written: pl.Series, expected: list[bool | None]
) -> None:
    frame = pl.DataFrame(
        {
            "transaction_id": [5, 6, 7],
            "tx_time": [datetime(2024, 4, 9)] * 3,
            "label": written,
            "w": [1.0, 8.5, None],
            "k": ["leaked", " ", None],
        }
    )
    write_partitions(frame, tmp_path / "data")
    roles = {"id": "transaction_id", "label": "label", "weight": "w", "label_kind": "k"}
    data = dataset(tmp_path / "data", columns=roles)
    labels = read_labels(data, DAY, DAY)
    assert labels.schema == {
        "id": pl.String,
        "entity": pl.String,
        "partition_date": pl.Date,
        "label": pl.Boolean,
        "weight": pl.Float64,
        "kind": pl.String,
        "is_strange": pl.Boolean,
    }
    assert labels.drop("entity").sort("id").rows() == [
        (key, DAY, label, weight, kind, False)
        for key, label, weight, kind in zip(
            "567", expected, (1.0, 8.5, None), ("leaked", None, None), strict=True
        )
    ]


@pytest.mark.parametrize("label", [2, -1, 0.5, "fraud", ""])
def test_other_labels_are_strange_and_unknown(tmp_path: Path, label: Any) -> None:
    frame = FRAME.with_columns(
        pl.when(TODAY).then(pl.lit(label)).otherwise(pl.lit(type(label)(0))).alias("is_fraud")
    )
    write_partitions(frame, tmp_path / "data")
    labels = read_labels(dataset(tmp_path / "data"), FIRST, DAY)
    strange = labels.filter("is_strange")
    assert strange["id"].sort().to_list() == sorted(map(str, frame.filter(TODAY)["transaction_id"]))
    assert strange["label"].null_count() == strange.height
    others = labels.filter(~pl.col("is_strange"))
    assert others.height == frame.filter(pl.col("tx_time").dt.date() < DAY).height
    assert (others["label"].null_count(), others["label"].any()) == (0, False)


def test_labels_of_dates_that_are_there(simulated: Path, tmp_path: Path) -> None:
    write_partitions(FRAME.filter(~TODAY, pl.col("tx_time").dt.day() != 5), tmp_path / "data")
    labels = read_labels(dataset(tmp_path / "data"), DAY - timedelta(days=6), DAY)
    assert labels["partition_date"].unique().sort().to_list() == [
        DAY - timedelta(days=n) for n in (6, 5, 3, 2, 1)
    ]
    assert read_labels(dataset(tmp_path / "data"), date(2025, 1, 1), date(2025, 2, 1)).schema == labels.schema
    assert read_labels(dataset(tmp_path / "data", columns={"id": "transaction_id"}), FIRST, DAY).is_empty()


def test_the_label_of_a_repeated_id_is_that_of_the_row_that_is_scored(tmp_path: Path) -> None:
    frame = FRAME.filter(TODAY).with_columns(is_fraud=1)
    both = pl.concat([frame, frame.with_columns(is_fraud=0, amount=pl.col("amount") + 1)])
    write_partitions(both, tmp_path / "data")
    data = dataset(tmp_path / "data", features={"numeric": ["amount"]}, quality={"max_bad_share": 1})
    labels = read_labels(data, DAY, DAY).sort(pl.col("id").cast(pl.Int64))
    frame = frame.sort("transaction_id")
    assert labels["id"].to_list() == [str(key) for key in frame["transaction_id"]]
    assert labels["entity"].to_list() == [str(key) for key in frame["customer_id"]]
    gate = validate_partition(data, read_partition(data, DAY), tmp_path)
    scored = frame_of(feature_batches(data, Features(gate, None), 100))
    assert labels["label"].to_list() == (scored["amount"] == frame["amount"]).to_list()


def test_a_missing_label_column_means_that_no_label_is_known(simulated: Path) -> None:
    columns = {"id": "transaction_id", "label": "fraudulent"}
    labels = read_labels(dataset(simulated / "data", columns=columns), FIRST, DAY)
    assert labels.height == FRAME.filter(pl.col("tx_time").dt.date() <= DAY).height
    assert labels["label"].null_count() == labels.height
    assert not labels["is_strange"].any()


def test_the_sql_reads_only_history() -> None:
    assert "from history" in read(CARDS_SQL)
    assert "read_parquet" not in read(CARDS_SQL)
