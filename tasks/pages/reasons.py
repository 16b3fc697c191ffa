"""Reasons and p-values in words."""

import math
from collections.abc import Mapping

from tasks.core.evaluation_result import Reason
from tasks.pages.charts import share_text


def reason_text(reason: Reason, names: Mapping[str, str]) -> str:
    """Returns a reason such as "Amount 571.38 (usually 1.5 to 180; 0.62 of the score)".

    names: display names by feature.
    """
    expected = f"expected {reason.expected}" if reason.expected != reason.observed else None
    share = None if reason.share is None else f"{share_text(reason.share)} of the score"
    about = "; ".join(filter(None, [reason.usual or expected, share]))
    value = f"{names.get(reason.feature, reason.feature)} {reason.observed}"
    return f"{value} ({about})" if about else value


def p_value_text(value: float, held_out: int | None) -> str:
    """Returns a p-value; one at the resolution limit 1 / (held_out + 1) as "< " and the next larger number of
    two digits.
    """
    unit = 10.0 ** (math.floor(math.log10(value)) - 1)
    decimals = max(0, round(-math.log10(unit)))
    if held_out is None or value * (held_out + 1) > 1 + 1e-9:
        return f"{value:.{decimals}f}".rstrip("0").rstrip(".")
    above = (math.floor(value / unit * (1 + 1e-12)) + 1) * unit
    return f"< {above:.{decimals}f}".rstrip("0")
