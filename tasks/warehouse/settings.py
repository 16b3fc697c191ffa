"""The section [warehouse]: where results go."""

from pathlib import Path

from pydantic import Field, field_validator

from models.settings import Section
from tasks.warehouse.ducklake import Lake, parse_lake


class WarehouseSettings(Section):
    """Where results go: a DuckDB file or a DuckLake, and a folder for models, reports, staging and a lake's
    data.
    """

    # A URI may hold a password: say `place` wherever a person reads it.
    uri: str = Field("nightscore.duckdb", repr=False)
    """A DuckDB file, or any string that DuckDB can attach, such as `ducklake:postgres:...`."""
    files: str = "nightscore-files"
    """The folder of models, reports, staging and a lake's data."""
    artifacts: str | None = None
    """Folder or fsspec URL of the versions' artifacts, such as `s3://bucket/models`. Unset: below `files`."""
    wait_seconds: float = Field(60, ge=0)
    """How long to wait while another process holds the warehouse."""

    @field_validator("uri")
    @classmethod
    def _known_kind(cls, uri: str) -> str:
        lake = parse_lake(uri)
        file = lake.file if lake else Path(uri)
        if file is not None and "?" in str(file):
            raise ValueError(
                f"DuckDB cannot write below {file}, since it reads options after a ?; set warehouse.uri to a "
                "path without one"
            )
        return uri

    @property
    def lake(self) -> Lake | None:
        return parse_lake(self.uri)

    @property
    def place(self) -> str:
        """The URI without a password."""
        return self.lake.uri if self.lake else self.uri

    @property
    def file(self) -> Path | None:
        """The DuckDB file or the file of a lake's catalog; None where a server holds it."""
        return self.lake.file if self.lake else Path(self.uri)

    @property
    def data(self) -> Path:
        """The folder of a lake's Parquet files."""
        return Path(self.files) / "lake"
