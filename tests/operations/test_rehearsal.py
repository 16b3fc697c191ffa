"""`nightscore doctor` says of the newest partition what its night would refuse."""

from datetime import date, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from tasks.core.dataset import Dataset
from tasks.operations import rehearsal
from tasks.operations.installation import Check

ROWS, FIRST, DAYS = 40, date(2024, 3, 1), 4
ONE_EACH = "select id, amount, lower(shop) as place from history where _partition_date = $partition_date"


def day_of_rows(day: int) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "id": [f"{day}-{number}" for number in range(ROWS)],
            "amount": [float(number) for number in range(ROWS)],
            "shop": ["A", "B"] * (ROWS // 2),
            "verdict": [
                None if day == DAYS - 1 else "Fraud" if number == 7 else "Legit" for number in range(ROWS)
            ],
        },
        schema_overrides={"verdict": pl.String},
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for day in range(DAYS):
        day_of_rows(day).write_parquet(tmp_path / f"{FIRST + timedelta(days=day)}.parquet")
    return tmp_path


def checked(
    name: str,
    folder: Path,
    newest: pl.DataFrame | None = None,
    *,
    has_champion: bool = False,
    **sections: Any,
) -> Check:
    """One check of a dataset. newest: the rows of its newest partition, if they are others."""
    if newest is not None:
        newest.write_parquet(folder / f"{FIRST + timedelta(days=DAYS - 1)}.parquet")
    content: dict[str, Any] = {
        "name": "shops",
        "source": {"path": f"{folder}/{{date}}.parquet", "lookback_days": 2},
        "columns": {"id": "id", "label": "verdict", "label_positive": ["Fraud"]},
        "features": {"numeric": ["amount"], "categorical": ["shop"]},
        "training": {"window_days": 2, "label_delay_days": 1},
    }
    with rehearsal.rehearse(Dataset.model_validate(content | sections), has_champion) as night:
        check: Check = getattr(rehearsal, f"check_{name}")(night)
        staging = night.staging
    assert not staging.exists()
    assert bool(check.fix) >= (check.ok is False)
    return check


@pytest.mark.parametrize(
    ("columns", "ok", "found"),
    [
        ({}, True, "Legit (normal) in 117 rows, Fraud (fraud) in 3 rows on 4 dates up to 2024-03-04"),
        (
            {"label_positive": []},
            False,
            "no value of verdict is a label on 4 dates up to 2024-03-04: Legit",
        ),
        ({"label_positive": ["fraudulent"]}, None, "no value of columns.label_positive occurs"),
        ({"private": ["verdict"]}, True, "*** (normal) in 117 rows"),
        ({"label": "is_fraud"}, False, "there is no column is_fraud"),
        ({"label": None, "label_positive": []}, None, "no label column"),
    ],
)
def test_the_values_of_the_label_are_listed(
    folder: Path, columns: dict[str, Any], ok: bool | None, found: str
) -> None:
    named = {"id": "id", "label": "verdict", "label_positive": ["Fraud"]} | columns
    check = checked("labels", folder, columns=named)
    assert check.ok is ok
    assert found in check.found


def test_a_torn_date_before_leaves_the_labels_of_the_newest(folder: Path) -> None:
    (folder / f"{FIRST}.parquet").write_bytes(b"PAR1 torn")
    assert checked("labels", folder).found == "no label is known on 1 dates up to 2024-03-04"


def test_the_gate_refuses_what_the_night_would_refuse(folder: Path) -> None:
    rule = {"columns": {"amount": {"max": 38.0}}}
    assert checked("gate", folder).found == "2024-03-04: all 40 rows pass"
    some = checked("gate", folder, quality=rule)
    assert (some.ok, some.found) == (None, "2024-03-04: 1 of 40 rows would be quarantined: amount range 1")
    strict = checked("gate", folder, quality=rule | {"on_bad_rows": "reject"})
    assert strict.ok is False
    assert "1 of 40 rows are bad" in strict.found
    texts = checked("gate", folder, day_of_rows(3).with_columns(pl.col("amount").cast(pl.String)))
    assert texts.ok is False
    assert "column amount is VARCHAR and must be an integer, float, decimal or boolean" in texts.found


@pytest.mark.parametrize(
    ("text", "ok", "found"),
    [
        (ONE_EACH, True, "2 features of 40 rows, the same in two orders"),
        (
            ONE_EACH.replace("amount", "avg(amount) over (partition by shop) as amount"),
            True,
            "the same in two orders",  # but for the last digits of a sum
        ),
        (
            ONE_EACH.replace("amount", "row_number() over () as amount"),
            False,
            "the same rows in another order give other features: amount in ",
        ),
        (
            ONE_EACH.replace("lower(shop)", "first(id) over (order by shop)"),
            False,
            "the same rows in another order give other features: place in ",
        ),
        (ONE_EACH.replace("where", "limit 9 --"), False, "does not return one row per clean row"),
        ("select id, amount from history", False, "does not return place"),
    ],
)
def test_features_are_one_row_each_and_no_matter_of_order(
    folder: Path, text: str, ok: bool, found: str
) -> None:
    (folder / "features.sql").write_text(text)
    features = {"sql": str(folder / "features.sql"), "numeric": ["amount"], "categorical": ["place"]}
    check = checked("features", folder, features=features)
    assert check.ok is ok
    assert found in check.found


def test_features_are_not_built_where_there_are_none_or_the_gate_rejects(folder: Path) -> None:
    assert checked("features", folder).ok is None
    (folder / "features.sql").write_text(ONE_EACH)
    features = {"sql": str(folder / "features.sql"), "numeric": ["amount"]}
    check = checked("features", folder, features=features, quality={"min_rows": ROWS + 1})
    assert (check.ok, "the gate rejects" in check.found) == (None, True)


def test_a_first_version_needs_dates_that_can_be_learnt_from(folder: Path) -> None:
    assert "learns from 2 of 2 dates of 2024-03-01..2024-03-02" in checked("training", folder).found
    late = checked("training", folder, training={"window_days": 2, "label_delay_days": 7})
    assert late.ok is False
    assert "none of these dates has a partition" in late.found
    served = checked(
        "training", folder, has_champion=True, training={"window_days": 2, "label_delay_days": 7}
    )
    assert (served.ok, served.found) == (None, late.found)
    (folder / f"{FIRST}.parquet").write_bytes(b"PAR1 torn")
    assert checked("training", folder).ok is None
    day_of_rows(1).drop("amount").write_parquet(folder / f"{FIRST + timedelta(days=1)}.parquet")
    both = checked("training", folder)
    assert both.ok is False
    assert "2 of 2 dates of the training window" in both.found
    assert "missing columns: amount" in both.found
