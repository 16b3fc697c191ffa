"""The forms in which a small bank delivers its days: where, how, and how many rows are of a day."""

import random
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

import duckdb
import polars as pl
from banks import DAYS, FIRST, Bank, found_bank
from csv_mutations import CSV_FILES, csv_file, csv_rows
from mutations import FILES, Write, one_file, several_files

from tasks.core.filesystem import exact_pattern

PATH = 'path = "transactions/date={date}/*.parquet"'
CSV = """path = "transactions/date={date}/part*"

[source.csv]
delimiter = ";"
decimal = ","

[source.types]
at = "TIMESTAMP"
amount = "DOUBLE"
distance = "DOUBLE"
is_fraud = "BOOLEAN\""""


@dataclass(frozen=True)
class Form:
    """source: the section [source]. folder: of a day, below the bank's. plain: writes a day as it should be;
    odd: as it should not. rows: how many rows of a day a folder holds. is_shared: whether every night reads
    the files of all days, so that an odd one must go before the next night.
    """

    source: str
    folder: str
    plain: Write
    odd: list[Write]
    rows: Callable[[Path, date], int]
    is_shared: bool = False

    def day_folder(self, bank: Bank, day: date) -> Path:
        return bank.folder / "transactions" / format(day, self.folder)

    def write(self, bank: Bank, day: date, frame: pl.DataFrame) -> None:
        """Writes a day as it should be, in place of what is there."""
        folder = self.day_folder(bank, day)
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        self.plain(random.Random(0), folder, frame)


def found_bank_in(form: Form, folder: Path) -> Bank:
    """The small bank, with its days in this form."""
    bank = found_bank(folder)
    days = [FIRST + timedelta(days=offset) for offset in range(DAYS)]
    frames = [pl.read_parquet(bank.day_folder(day)) for day in days]
    shutil.rmtree(bank.folder / "transactions")
    bank.configure(PATH, form.source)
    for day, frame in zip(days, frames, strict=True):
        form.write(bank, day, frame)
    return bank


def parquet_rows(folder: Path, day: date) -> int:
    (found,) = duckdb.sql(f"select sum(num_rows) from parquet_file_metadata({_listed(folder)})").fetchall()[0]
    return int(found)


def rows_at(folder: Path, day: date) -> int:
    """The rows whose time is on a day."""
    with duckdb.connect() as con:
        con.execute("set timezone = 'UTC'")
        return sum(
            con.sql(f"from read_parquet([{file!r}]) where try_cast(\"at\" as date) = date '{day}'").shape[0]
            for file in _listed(folder)
        )


def _listed(folder: Path) -> list[str]:
    return [exact_pattern(str(path)) for path in folder.glob("*.parquet") if path.name[0] not in "._"]


FORMS = {
    "parquet": Form(
        PATH, "date=%Y-%m-%d", one_file, [one_file, one_file, several_files, *FILES], parquet_rows
    ),
    "compact dates": Form(
        'path = "transactions/{date:%Y%m%d}/*.parquet"', "%Y%m%d", one_file, [one_file, *FILES], parquet_rows
    ),
    "date_column": Form(
        'path = "transactions/*/*.parquet"\ndate_column = "at"',
        "%Y%m%d",
        one_file,
        [one_file, one_file, several_files, *FILES],
        rows_at,
        is_shared=True,
    ),
    "csv": Form(
        CSV, "date=%Y-%m-%d", csv_file, [csv_file, csv_file, *CSV_FILES], lambda folder, day: csv_rows(folder)
    ),
}
