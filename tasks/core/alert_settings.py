"""The section [alerts]: what an analyst need not see again."""

from pydantic import Field

from models.settings import Section


class AlertSettings(Section):
    """Which open alerts the view `alerts` shows. Flags, figures and identities do not depend on it; a change
    counts from the next commit or answer.
    """

    quiet_days: int = Field(0, ge=0)
    """For so many dates after a dismissed alert its entity is not shown again, unless it was confirmed since
    or is much stranger. 0: it is shown again at once.
    """
    quiet_factor: float = Field(2.0, ge=1)
    """Much stranger is a score above that of the dismissed alert times this (of another version, a p-value
    below that one's divided by this), and always the lowest p-value that the version gives, unless the
    dismissed alert had it too.
    """
