"""The section [source]: where the daily partitions of a dataset are."""

from datetime import date
from typing import Literal, Self

from pydantic import Field, model_validator

from models.settings import Section
from tasks.core.csv_settings import SUFFIXES, ColumnType, CsvSettings, check_types
from tasks.core.date_path import FIELD, date_path
from tasks.core.dates import TimeZone


class SourceSettings(Section):
    """Daily partitions: Parquet or CSV files with the date in their path or in a column, or a table in a
    DuckDB file. Needed: either `path`, or all of `database`, `table` and `date_column`.

    For `s3://...`, install `nightscore[s3]`. Credentials and endpoint come from the environment
    (`AWS_ACCESS_KEY_ID`, `AWS_ENDPOINT_URL`, ...).
    """

    path: str | None = None
    """Parquet or CSV files, local or `s3://...`, such as `transactions/date={date}/*.parquet`; {date} is
    YYYY-MM-DD, `{date:%Y%m%d}` any other format."""
    database: str | None = None
    """A DuckDB file."""
    table: str | None = None
    """The table or view in the DuckDB file."""
    date_column: str | None = None
    """The column that says which date a row belongs to, of a table or of files whose path has no date."""
    lookback_days: int = Field(0, ge=0)
    """Days of history before the date that the feature SQL may read."""
    timezone: TimeZone = "UTC"
    """Which instant belongs to which date."""
    times: Literal["local", "utc"] = "local"
    """What timestamps without a zone are: local time of `timezone`, or UTC."""
    start: date | None = None
    """First date that catch-up expects. Unset: the first committed one, else the first one found."""
    types: dict[str, ColumnType] = Field(default_factory=dict)
    """The types of the columns of CSV files; a column that is not named is text."""
    csv: CsvSettings | None = None
    """The dialect of CSV files; the files of any path are CSV where it is set."""

    @property
    def is_csv(self) -> bool:
        """Whether the files are CSV: by the ending of the path, or since [source.csv] is there."""
        return self.path is not None and (self.csv is not None or self.path.lower().endswith(SUFFIXES))

    @property
    def dialect(self) -> CsvSettings:
        return self.csv or CsvSettings()

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        table = (self.database, self.table, self.date_column)
        if self.path is None and None in table:
            raise ValueError("give either path, or all of database, table and date_column")
        if self.path is not None and any(table[:2]):
            raise ValueError("give either path or a database table, not both")
        if self.path is not None and self.date_column is None:
            date_path(self.path)
        elif self.path is not None and FIELD.search(self.path):
            raise ValueError(
                "the date of a row is in path or in date_column, not in both; remove date_column, or write * "
                "for the fields of path"
            )
        return self

    @model_validator(mode="after")
    def _types_of_csv(self) -> Self:
        if self.is_csv:
            check_types(self.types)
        elif self.types or self.csv:
            raise ValueError("types and csv are for the path of CSV files; remove them, or add [source.csv]")
        return self
