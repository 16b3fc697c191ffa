"""The section [report]: how reports and explanations are shown. None of it changes a score."""

from pydantic import Field

from models.settings import Section


class ReportSettings(Section):
    """names: what a feature is called on pages and in tables, such as `amount = "Amount in EUR"`."""

    names: dict[str, str] = Field(default_factory=dict)
