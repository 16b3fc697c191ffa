"""What the values of a label column mean: 1 and true, or those that the configuration names."""

from pathlib import Path
from typing import Any

import polars as pl
import pytest

from tasks.core.column_settings import ColumnSettings
from tasks.core.dataset import Dataset
from tasks.core.identity import run_identity, training_identity
from tasks.labels.source_labels import read_labels
from tasks.source.connection import connect, list_dates
from tasks.source.label_values import count_labels
from tasks.source.view import create_view


def dataset_of(folder: Path, labels: pl.Series, positive: tuple[Any, ...] = ()) -> Dataset:
    pl.DataFrame({"id": range(len(labels)), "amount": 1.0, "verdict": labels}).write_parquet(
        folder / "2024-03-01.parquet"
    )
    columns = {"id": "id", "label": "verdict", "label_positive": positive}
    source = {"path": f"{folder}/{{date}}.parquet"}
    return Dataset.model_validate(
        {"name": "bank", "source": source, "columns": columns, "features": {"numeric": ["amount"]}}
    )


@pytest.mark.parametrize(
    ("values", "positive", "meant"),
    [
        (["Fraud", "FRAUD", "Legit", None], ("fraud",), [True, True, False, None]),
        (["Y", "N", "X", None], ("Y",), [True, False, False, None]),
        (["stolen", "lost", "-", None], ("lost", "stolen"), [True, True, False, None]),
        ([2, 1, 0, None], (2,), [True, False, False, None]),
        ([2.0, 1.0, 0.5, None], (2,), [True, False, False, None]),
        ([0, 1, None, 0], (False,), [True, False, None, True]),  # 1 is normal, as the configuration says
        ([True, False, None, None], (0,), [False, True, None, None]),
        (["it's", "1", "true", None], ("it's",), [True, False, False, None]),
        ([None, None, None, None], ("Fraud",), [None, None, None, None]),
        (["1", "true", "0", "maybe"], (), [True, True, False, None]),
    ],
)
def test_the_configuration_says_which_values_mean_fraud(
    tmp_path: Path, values: list[Any], positive: tuple[Any, ...], meant: list[bool | None]
) -> None:
    dataset = dataset_of(tmp_path, pl.Series(values), positive)
    (day,) = list_dates(dataset.source)
    found = read_labels(dataset, day, day).sort("id")
    assert found["label"].to_list() == meant
    strange = [value is not None and label is None for value, label in zip(values, meant, strict=True)]
    assert found["is_strange"].to_list() == strange


def test_the_values_are_listed_with_what_they_mean(tmp_path: Path) -> None:
    dataset = dataset_of(tmp_path, pl.Series(["Legit", "Legit", "Open", "Fraud", None]), ("fraud",))
    with connect(dataset.source) as con:
        view = create_view(con, dataset, "day", list_dates(dataset.source))
        assert count_labels(con, dataset, view) == [
            ("Legit", False, 2),
            ("Fraud", True, 1),
            ("Open", False, 1),
        ]


def test_the_meaning_decides_what_is_learnt_and_only_where_it_is_said(tmp_path: Path) -> None:
    labels = pl.Series(["Fraud"])
    unsaid, said = dataset_of(tmp_path, labels), dataset_of(tmp_path, labels, ("Fraud",))
    assert training_identity(said).current != training_identity(unsaid).current
    assert run_identity(said) == run_identity(unsaid)
    former = unsaid.model_copy(update={"columns": ColumnSettings(id="id", label="verdict")})
    assert training_identity(former) == training_identity(unsaid)
    with pytest.raises(ValueError, match="label_positive needs label"):
        ColumnSettings(id="id", label_positive=("Fraud",))
