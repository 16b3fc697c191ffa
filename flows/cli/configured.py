"""The configuration of a command. Its sections are imported when a command runs: `--help` needs none of
them.
"""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from flows.settings import Settings


def is_configured() -> bool:
    """See flows.settings.is_configured."""
    from flows import settings

    return settings.is_configured()


def find_config(config: Path | None) -> Path:
    """See flows.settings.find_config."""
    from flows import settings

    return settings.find_config(config)


def load_settings(config: Path | None) -> "Settings":
    """See flows.settings.load_settings."""
    from flows import settings

    return settings.load_settings(config)
