"""The section [challenger]: the rule by which a challenger becomes champion."""

from typing import Literal

from pydantic import Field

from models.settings import Section


class ChallengerSettings(Section):
    """A challenger is decided on once, when `window_days` dates whose labels are known were scored by it and
    by the champion.

    A fresh version is wanted unless it is worse: it becomes champion where the lower bound of the interval of
    challenger minus champion, on the same rows, is not below -tolerance. Where fewer than `least_frauds` are
    known, where alerts and scores of both agree.
    """

    metric: Literal["average_precision", "auc_roc", "precision", "recall", "f1"] = "average_precision"
    """What is compared."""
    tolerance: float = Field(0.01, ge=0)
    """How much worse a fresh version may be."""
    confidence: float = Field(0.95, gt=0, lt=1)
    """Of the paired bootstrap interval."""
    window_days: int = Field(7, ge=1)
    """Dates that both have scored and whose labels are known."""
    least_frauds: int = Field(20, ge=1)
    """Fewer known frauds decide nothing: alerts and scores are compared instead."""
    least_overlap: float = Field(0.5, ge=0, le=1)
    """Alerts of both, as a share of the alerts of either."""
    most_shift: float = Field(0.1, ge=0, le=1)
    """Kolmogorov-Smirnov distance of the p-values."""
