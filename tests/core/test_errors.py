"""A detector knows no date: the message of its error gets the date of the night or training."""

from datetime import date

import pytest

from models.errors import ThresholdError, TrainingError
from tasks.core.errors import dated

DAY = date(2024, 3, 10)


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (TrainingError("10 normal rows"), "2024-03-10: 10 normal rows"),
        (ThresholdError("no frauds"), "2024-03-10: no frauds"),
        (TrainingError("2024-03-03..2024-03-07: no rows"), "2024-03-03..2024-03-07: no rows"),
    ],
)
def test_the_date_is_written_once(error: Exception, message: str) -> None:
    with pytest.raises(type(error)) as caught, dated(DAY), dated(DAY):
        raise error
    assert str(caught.value) == message
