"""Where labels come from: how many by flags alone, and how many overrule another source."""

from datetime import date

from tasks.core.dataset import Dataset
from tasks.warehouse.connection import Warehouse
from tasks.warehouse.statements import Row

NONE = {"selected": 0, "conflicts": 0, "example": None}


def count_selected(warehouse: Warehouse, first: date, last: date, as_of: date) -> int:
    """Returns how many labels of first..last, known at the end of `as_of`, are answers to flagged rows for
    which nobody else had a label.
    """
    return int(_origins(warehouse, first, last, as_of)["selected"])


def origin_notes(
    dataset: Dataset, warehouse: Warehouse, dates: tuple[date, date, date], labels: int
) -> list[str]:
    """Returns sentences on labels that come from flags alone, and on those that overrule another source; none
    where there are none of either.

    dates: the first and the last date of the rows, and that at whose end the labels were known. labels: so
    many rows have a label.
    """
    found = _origins(warehouse, *dates)
    notes = []
    if selected := found["selected"]:
        notes.append(
            f"{selected:,} of the {labels:,} labels come from flags alone: they are answers to flagged rows, "
            f"and nobody else has a label for these. {labels - selected:,} come from the source, label files "
            "and answers to other rows. A fraud that was not flagged can only be among the latter, so recall "
            "is too high by the former."
        )
    if conflicts := found["conflicts"]:
        one = found["example"]
        row = (
            ""
            if dataset.columns.id in dataset.columns.private
            else f"{one['id']} of {one['partition_date']}: "
        )
        notes.append(
            f"{conflicts:,} labels disagree with another source's ({row}{one['source']} against "
            f"{one['other_source']}); the view label_conflicts has both, and which one counts."
        )
    return notes


def _origins(warehouse: Warehouse, first: date, last: date, as_of: date) -> Row:
    dates = {"first_date": first, "last_date": last, "as_of": as_of}
    return warehouse.row("labels/count_label_origins", **dates) or NONE
