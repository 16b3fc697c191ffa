"""The section [report]: how reports and explanations are shown. None of it changes a score."""

from pydantic import Field

from models.settings import Section


class ReportSettings(Section):
    """How reports and explanations are shown. None of it changes a score."""

    names: dict[str, str] = Field(default_factory=dict)
    """What a feature is called on pages and by `nightscore explain`, such as `amount = "Amount in EUR"`."""
