"""`nightscore init` on the schemas of public fraud data: each column gets the role that its description says.

The rows are drawn here; names, types and how values repeat are those of the published descriptions.
"""

import json
import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from typer.testing import CliRunner

from flows.cli.app import app
from flows.settings import Settings
from tasks.core.column_settings import ColumnSettings
from tasks.core.dataset import FeatureSettings
from tasks.core.source_settings import SourceSettings
from tasks.operations.new_configuration import render_toml
from tasks.operations.source_inspection import look_at
from tasks.operations.source_look import SourceLook

ROWS, FIRST = 600, date(2024, 3, 1)
Draw = np.random.Generator


def fraud_of(draw: Draw) -> np.ndarray:
    return np.arange(ROWS) % 60 == draw.integers(0, 60)


def times(day: int) -> list[datetime]:
    start = datetime(FIRST.year, FIRST.month, FIRST.day) + timedelta(days=day)
    return [start + timedelta(seconds=86_000 * number // ROWS) for number in range(ROWS)]


def paysim(day: int, draw: Draw) -> pl.DataFrame:
    """Mobile money (Lopez-Rojas et al., 2016): `step` is the hour since the start, and there is no id."""
    fraud = fraud_of(draw)
    amount, old = draw.lognormal(9, 2, ROWS), draw.lognormal(10, 2, ROWS)
    return pl.DataFrame(
        {
            "step": day * 24 + 1 + np.sort(draw.integers(0, 24, ROWS)),
            "type": draw.choice(["PAYMENT", "TRANSFER", "CASH_OUT", "DEBIT", "CASH_IN"], ROWS),
            "amount": amount,
            "nameOrig": [f"C{number}" for number in draw.integers(1, 10**9, ROWS)],
            "oldbalanceOrg": old,
            "newbalanceOrig": np.maximum(old - amount, 0),
            "nameDest": [f"M{number}" for number in draw.integers(1, 900, ROWS)],
            "oldbalanceDest": draw.lognormal(10, 2, ROWS),
            "newbalanceDest": draw.lognormal(10, 2, ROWS),
            "isFraud": fraud.astype(int),
            "isFlaggedFraud": (fraud & (np.arange(ROWS) < 60) & (day == 0)).astype(int),
        }
    )


def ieee_cis(day: int, draw: Draw) -> pl.DataFrame:
    """Card payments of Vesta (IEEE-CIS, 2019): `TransactionDT` is seconds since the start."""
    gaps = draw.random(ROWS) < 0.3
    return pl.DataFrame(
        {
            "TransactionID": 2_987_000 + day * ROWS + np.arange(ROWS),
            "isFraud": fraud_of(draw).astype(int),
            "TransactionDT": 86_400 * (day + 1) + np.sort(draw.integers(0, 86_400, ROWS)),
            "TransactionAmt": draw.lognormal(4, 1, ROWS).round(2),
            "ProductCD": draw.choice(["W", "H", "C", "S", "R"], ROWS),
            "card1": draw.integers(1000, 1400, ROWS),
            "card2": np.where(gaps, np.nan, draw.integers(100, 600, ROWS)),
            "card3": np.where(gaps, np.nan, draw.choice([150.0, 185.0, 106.0], ROWS)),
            "card4": draw.choice(["visa", "mastercard", "discover"], ROWS),
            "card5": np.where(gaps, np.nan, draw.integers(100, 137, ROWS)),
            "card6": draw.choice(["debit", "credit"], ROWS),
            "addr1": np.where(gaps, np.nan, draw.integers(100, 540, ROWS)),
            "addr2": np.where(gaps, np.nan, draw.choice([87.0, 60.0, 96.0], ROWS)),
            "P_emaildomain": draw.choice(["gmail.com", "yahoo.com", "anonymous.com"], ROWS),
            "C1": draw.poisson(3, ROWS).astype(float),
            "D1": np.where(gaps, np.nan, draw.integers(0, 640, ROWS)),
            "V1": np.where(gaps, np.nan, draw.integers(0, 2, ROWS)),
            "V126": draw.lognormal(2, 2, ROWS),
            "M1": pl.Series(np.where(draw.random(ROWS) < 0.01, "F", "T")),
            "M4": draw.choice(["M0", "M1", "M2"], ROWS),
        }
    )


def sparkov(day: int, draw: Draw) -> pl.DataFrame:
    """Simulated credit cards (Sparkov): every column of the card holder is the same on each of its rows."""
    people, start = np.random.default_rng(0), 1_325_376_000
    card = draw.integers(0, 150, ROWS)
    homes = people.uniform(-90, 90, (2, 150))
    return pl.DataFrame(
        {
            "Unnamed: 0": day * ROWS + np.arange(ROWS),
            "trans_date_trans_time": times(day),
            "cc_num": 4_000_000_000_000_000 + people.integers(0, 10**14, 150)[card],
            "merchant": [f"fraud_Kirlin and {number}" for number in draw.integers(0, 400, ROWS)],
            "category": draw.choice(["gas_transport", "grocery_pos", "misc_net"], ROWS),
            "amt": draw.lognormal(3, 1, ROWS).round(2),
            "first": [f"First{number % 130}" for number in card],
            "last": [f"Last{number % 140}" for number in card],
            "gender": np.where(card % 2 == 0, "F", "M"),
            "street": [f"{number} Long Street" for number in card],
            "city": [f"City{number % 120}" for number in card],
            "state": [f"S{number % 50}" for number in card],
            "zip": people.integers(1000, 99_999, 150)[card],
            "lat": homes[0][card],
            "long": homes[1][card],
            "city_pop": people.integers(20, 3_000_000, 150)[card],
            "job": [f"Engineer, {number % 110}" for number in card],
            "dob": [date(1950, 1, 1) + timedelta(days=int(number) * 100) for number in card],
            "trans_num": [f"{day:016x}{number:016x}" for number in draw.permutation(ROWS)],
            "unix_time": start + 86_400 * day + np.arange(ROWS) * 140,
            "merch_lat": homes[0][card] + draw.normal(0, 1, ROWS),
            "merch_long": homes[1][card] + draw.normal(0, 1, ROWS),
            "is_fraud": fraud_of(draw).astype(int),
        }
    )


def bank_transfers(day: int, draw: Draw, label: str = "disposition") -> pl.DataFrame:
    """Transfers whose label is text, and not known yet for the newest days."""
    fraud = fraud_of(draw)
    said = np.where(fraud, "Fraud", "Legit")
    return pl.DataFrame(
        {
            "transfer_id": [f"T{day:03d}{number:06d}" for number in range(ROWS)],
            "booked_at": times(day),
            "debtor_iban": [f"DE{number:018d}" for number in draw.integers(0, 200, ROWS)],
            "creditor_iban": [f"FR{number:018d}" for number in draw.integers(0, 300, ROWS)],
            "amount_eur": draw.lognormal(5, 1, ROWS).round(2),
            "channel": draw.choice(["web", "branch", "phone"], ROWS),
            "status": draw.choice(["booked", "pending", "returned"], ROWS),
            "instant": pl.Series(np.where(draw.random(ROWS) < 0.05, "Y", "N")),
            "purpose": [f"invoice {number} of May" for number in draw.integers(0, 10**6, ROWS)],
            "line": np.arange(ROWS),
            "booked_on": [str(FIRST + timedelta(days=day))] * ROWS,
            "batch": [f"batch {day} {number % 3}" for number in range(ROWS)],
            "branch_id": np.where(draw.random(ROWS) < 0.1, np.nan, draw.integers(0, 30, ROWS)),
            "checksum": [f"{number:032x}" for number in draw.integers(0, 2**62, ROWS)],
            "refunded_eur": np.where(fraud, 10.0, 0.0),
            "closed_as": pl.Series(np.where(fraud, draw.choice(["A7", "B2"], ROWS), "-")),
            label: pl.Series([None] * ROWS if day == 6 else said, dtype=pl.String),
        }
    )


def german_transfers(day: int, draw: Draw) -> pl.DataFrame:
    """The same with German names."""
    names = {
        "transfer_id": "BuchungsNr",
        "booked_at": "Zeitpunkt",
        "creditor_iban": "EmpfängerNr",
        "debtor_iban": "KundenNr",
        "amount_eur": "Betrag",
        "closed_as": "Abschluss",
    }
    frame = bank_transfers(0, draw).with_columns(pl.Series(times(day)).alias("booked_at"))
    said = pl.when(pl.col("disposition") == "Fraud").then(pl.lit("ja")).otherwise(pl.lit("nein"))
    return frame.select(*names, said.alias("Betrug")).rename(names)


@dataclass(frozen=True)
class Expected:
    """The roles, and for each column that is left out a part of the reason."""

    rows: Callable[[int, Draw], pl.DataFrame]
    roles: dict[str, str]
    numeric: str
    categorical: str
    left_out: dict[str, str]


SCHEMAS = {
    "PaySim": Expected(
        paysim,
        {"id": "nameOrig", "entity": "nameDest", "label": "isFraud"},
        "amount oldbalanceOrg newbalanceOrig oldbalanceDest newbalanceDest",
        "type",
        {"step": "only move with the date", "isFlaggedFraud": "looks like a label, too"},
    ),
    "IEEE-CIS": Expected(
        ieee_cis,
        {"id": "TransactionID", "entity": "card1", "label": "isFraud"},
        "TransactionAmt card2 card3 card5 addr1 addr2 C1 D1 V1 V126",
        "ProductCD card4 card6 P_emaildomain M1 M4",
        {"TransactionDT": "only move with the date"},
    ),
    "Sparkov": Expected(
        sparkov,
        {"id": "trans_num", "time": "trans_date_trans_time", "entity": "cc_num", "label": "is_fraud"},
        "amt lat long city_pop merch_lat merch_long",
        "category gender state",
        {
            "Unnamed: 0": "only move with the date",
            "merchant": "free text",
            "first": "130 different texts",
            "last": "140 different texts",
            "street": "free text",
            "city": "120 different texts",
            "zip": "a code",
            "job": "free text",
            "dob": "neither a number nor a category",
            "unix_time": "only move with the date",
        },
    ),
    "bank transfers": Expected(
        bank_transfers,
        {"id": "transfer_id", "time": "booked_at", "entity": "debtor_iban", "label": "disposition"},
        "amount_eur",
        "channel status instant",
        {
            "creditor_iban": "identifier",
            "purpose": "free text",
            "line": "numbers the rows",
            "booked_on": "times as text",
            "batch": "none of its texts occurs on two dates",
            "branch_id": "identifier",
            "checksum": "hashes",
            "refunded_eur": "predicts the label",
            "closed_as": "predicts the label",
        },
    ),
    "German names": Expected(
        german_transfers,
        {"id": "BuchungsNr", "time": "Zeitpunkt", "entity": "KundenNr", "label": "Betrug"},
        "Betrag",
        "",
        {"EmpfängerNr": "identifier", "Abschluss": "predicts the label"},
    ),
}
POSITIVE = {"bank transfers": ("Fraud",), "German names": ("ja",)}


def write(folder: Path, rows: Callable[[int, Draw], pl.DataFrame], days: int = 7) -> Path:
    folder.mkdir()
    for day in range(days):
        frame = rows(day, np.random.default_rng(day))
        frame.write_parquet(folder / f"{FIRST + timedelta(days=day)}.parquet")
    return folder


@pytest.mark.parametrize("name", SCHEMAS)
def test_the_columns_of_public_data_get_their_roles(tmp_path: Path, name: str) -> None:
    expected = SCHEMAS[name]
    look = look_at(str(write(tmp_path / name, expected.rows)), None, None)
    roles = look.roles.model_dump(exclude={"private", "details", "label_positive"}, exclude_none=True)
    assert roles == expected.roles
    assert look.features.numeric == tuple(expected.numeric.split())
    assert look.features.categorical == tuple(expected.categorical.split())
    assert look.left_out.keys() == expected.left_out.keys()
    for column, part in expected.left_out.items():
        assert part in look.left_out[column], column
    assert {guess.column for guess in look.guesses} == {column.name for column in look.columns}
    assert look.roles.label_positive == POSITIVE.get(name, ())
    rare = {"IEEE-CIS": {"M1"}, "bank transfers": {"instant", "status"}}
    assert look.warnings.keys() == rare.get(name, set())
    settings = Settings.model_validate(tomllib.loads(render_toml(look, look.name)))
    assert (settings.name, settings.columns) == (name.replace(" ", "-"), look.roles)


@pytest.mark.parametrize(
    ("name", "fraud", "normal", "positive", "sure"),
    [
        ("is_fraud", 1, 0, (), "high"),
        ("is_fraud", True, False, (), "high"),
        ("fraud", "1", "0", (), "high"),
        ("fraudulent_label", "Y", "N", ("Y",), "high"),
        ("attack", "True", "False", (), "high"),
        ("disposition", "FRAUD", "genuine", ("FRAUD",), "high"),
        ("label", "neptune", "normal", ("neptune",), "medium"),
        ("status", "confirmed fraud", "not fraud", ("confirmed fraud",), "high"),
        ("status", "R", "B", ("R",), "low"),
        ("status", "neptune", "normal", ("neptune",), "low"),
        ("class", 2, 1, (2,), "low"),
        ("card_present", 1, 0, None, ""),
        ("international", "Y", "N", None, ""),
    ],
)
def test_labels_are_found_by_name_and_by_values(
    tmp_path: Path, name: str, fraud: object, normal: object, positive: tuple[object, ...] | None, sure: str
) -> None:
    def rows(day: int, draw: Draw) -> pl.DataFrame:
        values = pl.Series([fraud if is_fraud else normal for is_fraud in fraud_of(draw)])
        frame = bank_transfers(day, draw).select("transfer_id", "amount_eur", "channel")
        return frame.with_columns(values.alias(name))

    look = look_at(str(write(tmp_path / "bank", rows, days=2)), None, None)
    if positive is None:
        assert look.roles.label is None
        assert not isinstance(fraud, str) or "label" in look.guess(name).alternatives
        return
    assert (look.roles.label, look.roles.label_positive) == (name, positive)
    assert look.guess(name).sure == sure


def test_a_label_that_is_not_recognised_teaches_no_other_column(tmp_path: Path) -> None:
    def rows(day: int, draw: Draw) -> pl.DataFrame:
        kept = bank_transfers(day, draw, "remark").drop("status", "instant", "refunded_eur")
        return kept.with_columns(pl.col("remark").replace({"Fraud": "R2", "Legit": "R1"}))

    look = look_at(str(write(tmp_path / "bank", rows, days=3)), None, None)
    assert look.roles.label is None
    assert "label" in look.guess("remark").alternatives
    assert "predicts remark, which may be the label, almost perfectly" in look.left_out["closed_as"]


def test_few_frauds_prove_no_second_label_but_warn(tmp_path: Path) -> None:
    folder = write(tmp_path / "bank", bank_transfers, days=1)  # ten frauds on one date
    look = look_at(str(folder), None, None)
    assert "refunded_eur" in look.features.numeric
    assert "of 10 frauds on 1 dates" in look.warnings["refunded_eur"]
    assert "# Warning: it tells all known frauds" in render_toml(look, "bank")


def test_a_stray_or_torn_file_does_not_stop_it(tmp_path: Path) -> None:
    folder = write(tmp_path / "my bank", bank_transfers, days=12)
    frame = bank_transfers(0, np.random.default_rng(0))
    frame.write_parquet(folder / "all.parquet")
    frame.write_parquet(folder / f"backup_{FIRST}.parquet")
    (folder / f"{FIRST}.parquet").write_bytes(b"PAR1 torn")
    look = look_at(str(folder), None, None)
    assert (len(look.dates), len(look.read), look.read[-1]) == (12, 6, FIRST + timedelta(days=11))
    assert look.name == "my-bank"
    parts = ("such as", "such as backup_{date}.parquet", f"{FIRST} was not looked at")
    assert [part in sentence for part, sentence in zip(parts, look.ignored, strict=True)] == [True] * 3


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ({"path": "/data/PaySim/date={date}/*.parquet"}, "PaySim"),
        ({"path": "s3://bank/my payments/tx_{date}_*.parquet"}, "my-payments"),
        ({"path": "/data/bank[[]1]/{date}.parquet"}, "bank-1"),
        ({"path": "/data/main/*/{date}.parquet"}, "main-data"),
        ({"database": "x.duckdb", "table": "core.Überweisungen", "date_column": "d"}, "Uberweisungen"),
    ],
)
def test_the_name_is_that_of_the_folder_or_table(source: dict[str, str], name: str) -> None:
    columns, features = ColumnSettings(id="id"), FeatureSettings(numeric=("x",))
    look = SourceLook(SourceSettings(**source), (), (), (), columns, features, (), {}, ())
    assert look.name == name


def test_a_time_of_another_zone_is_no_time_and_a_second_label_no_feature(tmp_path: Path) -> None:
    def rows(day: int, draw: Draw) -> pl.DataFrame:
        frame = bank_transfers(day, draw)
        said = np.where(draw.random(ROWS) < 0.02, "suspicious", "cleared")
        late = pl.col("booked_at") - timedelta(hours=3)
        return frame.with_columns(late, pl.Series(said).alias("review_status"))

    look = look_at(str(write(tmp_path / "bank", rows)), None, None)
    assert (look.roles.time, look.roles.label) == (None, "disposition")
    assert "only 0.873 of its values lie on the date of their partition" in look.left_out["booked_at"]
    assert look.left_out["review_status"] == "it looks like a label, too"


def test_the_command_shows_each_column_with_its_reason(tmp_path: Path) -> None:
    folder, out = write(tmp_path / "bank", bank_transfers, days=2), tmp_path / "mine.toml"
    arguments = ["init", "--path", str(folder), "--out", str(out)]
    found = json.loads(CliRunner().invoke(app, [*arguments, "--json"]).stdout)
    assert (found["name"], found["dates_read"]) == ("bank", ["2024-03-01", "2024-03-02"])
    assert found["columns"][0].keys() == {"column", "role", "why", "sure", "alternatives", "warning"}
    out.unlink()
    shown = CliRunner().invoke(app, arguments).stdout
    assert shown.startswith("Looked at 2 of 2 dates: 2024-03-01, 2024-03-02.\n")
    assert all(guess["column"] in shown and guess["why"] in shown for guess in found["columns"])
