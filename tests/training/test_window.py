"""The days of a training window are prepared once for versions with and without label-derived features."""

from pathlib import Path

import polars as pl
import pytest
from banks import NIGHT, Bank
from polars.testing import assert_frame_equal

from flows.settings import Settings, load_settings
from tasks.training import window
from tasks.training.window import KEYS, prepare, read_window, training_rows

SQL = """
select id, amount, distance, distance / 2 as half, channel
from history where _partition_date = $partition_date
"""


def test_a_prepared_day_is_used_without_the_label_derived_features(
    bank: Bank, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (bank.folder / "features.sql").write_text(SQL)
    bank.configure(
        '[features]\nnumeric = ["amount", "distance"]',
        '[features]\nsql = "features.sql"\nlabel_derived=["half"]\nnumeric = ["half", "amount", "distance"]',
    )
    settings = load_settings(bank.config)
    reduced = settings.without_label_derived()
    normals(settings, tmp_path / "shared")
    alone = normals(reduced, tmp_path / "alone")
    monkeypatch.setattr(window, "build_features", None)  # else it would be called
    assert_frame_equal(normals(reduced, tmp_path / "shared"), alone)
    assert alone.columns == ["amount", "distance", "channel"]


def normals(dataset: Settings, folder: Path) -> pl.DataFrame:
    first, last = dataset.training_window(NIGHT)
    partitions, _ = read_window(dataset, first, last, folder)
    days, left_out = prepare(dataset, partitions, folder)
    assert left_out == []
    unknown = pl.DataFrame(
        schema={"partition_date": pl.Date, "id": pl.String, "label": pl.Boolean, "is_strange": pl.Boolean}
    )
    return training_rows(dataset, days, unknown, unknown.select(KEYS), unknown.select(KEYS)).normals
