"""Ad-hoc SQL over the results: reads the warehouse and nothing else."""

from dataclasses import dataclass
from typing import Any

import duckdb

from tasks.errors import WarehouseError
from tasks.warehouse import WarehouseSettings, reading


@dataclass(frozen=True)
class Answer:
    """The result of a query: column names, and one tuple per row."""

    columns: list[str]
    rows: list[tuple[Any, ...]]


def query(warehouse: WarehouseSettings, dataset: str, text: str) -> Answer:
    """Runs one statement over the dataset's tables and views, with no way to write, attach or read other files.

    Raises WarehouseError with DuckDB's own words where the statement is refused.
    """
    with reading(warehouse, dataset) as con:
        con.execute("set enable_external_access = false; set lock_configuration = true")
        try:
            result = con.execute(text)
            return Answer([column[0] for column in result.description or []], result.fetchall())
        except duckdb.Error as error:
            raise WarehouseError(str(error).strip()) from error
