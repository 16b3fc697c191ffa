"""Reasons and p-values in words."""

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from tasks.core.evaluation_result import Reason
from tasks.pages.reasons import p_value_text, reason_text


def test_a_reason_says_what_is_usual_and_its_share() -> None:
    reason = Reason("amount", "571.38", "522.2", 0.6213, "usually 1.5 to 180")
    assert reason_text(reason, {}) == "amount 571.38 (usually 1.5 to 180; 0.62 of the score)"
    assert reason_text(reason, {"amount": "Amount"}).startswith("Amount 571.38 (")
    assert (
        reason_text(Reason("amount", "571.38", "522.2", None, None), {}) == "amount 571.38 (expected 522.2)"
    )
    assert reason_text(Reason("type", "DEBIT", "DEBIT", None, None), {}) == "type DEBIT"
    tiny = reason_text(Reason("type", "DEBIT", "DEBIT", 0.0004, "in 0.9 of the training rows"), {})
    assert tiny == "type DEBIT (in 0.9 of the training rows; < 0.001 of the score)"


@pytest.mark.parametrize(
    ("value", "held_out", "text"),
    [
        (1 / 2001, 2000, "< 0.0005"),
        (1 / 2000, 1999, "< 0.00051"),
        (2 / 2001, 2000, "0.001"),
        (0.05, 2000, "0.05"),
        (1.0, 2000, "1"),
        (1 / 301, 300, "< 0.0034"),
        (1 / 2001, None, "0.0005"),
    ],
)
def test_a_p_value_at_the_resolution_limit_is_below_a_number(
    value: float, held_out: int | None, text: str
) -> None:
    assert p_value_text(value, held_out) == text


@settings(phases=(Phase.explicit, Phase.reuse, Phase.generate), max_examples=300)
@given(st.integers(1, 10**7))
def test_the_limit_is_below_what_is_shown_by_less_than_a_tenth(held_out: int) -> None:
    limit = 1 / (held_out + 1)
    shown = p_value_text(limit, held_out)
    assert shown.startswith("< ")
    assert limit < float(shown[2:]) <= limit * 1.1001
    assert not p_value_text(min(1.0, 2 * limit), held_out).startswith("<")
