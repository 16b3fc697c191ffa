"""What `nightscore init` offers where there is an entity and a time: the ready statement of an entity against
its own past, with the names of the source's columns.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import sql
from sql import identifier
from tasks.operations.column_looks import ColumnLook
from tasks.operations.source_look import SourceLook

STATEMENT = "features/entity_behaviour"
LOOKBACK_DAYS = 31
OF_AMOUNT = ("amount_over_mean_7d", "amount_over_mean_30d")
OF_TIME = ("rate_over_usual_rate", "hours_since_last", "is_night", "night_share_30d")
OF_COUNTERPART = ("is_new_counterpart",)
# Words of a column's name, in order of preference.
AMOUNTS = ("amount", "amt", "sum", "value", "price", "total")
COUNTERPARTS = (
    *("counterparty", "merchant", "terminal", "payee", "receiver", "beneficiary", "creditor", "dest"),
    *("shop", "device"),
)


@dataclass(frozen=True)
class BehaviourOffer:
    """A statement that may be used as `features.sql`, and the numeric features that it returns besides the
    source's own columns.
    """

    statement: str
    features: tuple[str, ...]


def offer_behaviour(look: SourceLook) -> BehaviourOffer | None:
    """Returns the statement for a source; None without an entity or a time, or where a column of the source
    has the name of a feature.

    Without a column that looks like an amount, or like whom the entity deals with, its features are left out.
    """
    roles, names = look.roles, {sql.folded(column.name) for column in look.columns}
    if not (roles.entity and roles.time) or names & {*OF_AMOUNT, *OF_TIME, *OF_COUNTERPART}:
        return None
    taken = (roles.id, roles.time, roles.entity, roles.label, roles.weight)
    free = [column for column in look.columns if column.name not in taken]
    amount = _first([column for column in free if column.name in look.features.numeric], AMOUNTS)
    others = [column for column in free if column.may_be_key and column.distinct > 1]
    counterpart = _first([each for each in others if each is not amount], COUNTERPARTS)
    named: dict[str, str | None] = {
        "transaction_id": roles.id,
        "customer_id": roles.entity,
        "tx_time": roles.time,
        "amount": amount.name if amount else None,
        "terminal_id": counterpart.name if counterpart else None,
    }
    features = (*(OF_AMOUNT if amount else ()), *OF_TIME, *(OF_COUNTERPART if counterpart else ()))
    return BehaviourOffer(_renamed(sql.read(STATEMENT), named), features)


def _renamed(statement: str, named: dict[str, str | None]) -> str:
    """Returns the statement with other names where it names columns of the source."""
    for name, other in named.items():
        column = "null" if other is None else identifier(other)
        statement = statement.replace(f"        {name} as ", f"        {column} as ")
        statement = statement.replace(f"source_rows.{name} ", f"source_rows.{column} ")
    return statement


def _first(columns: Sequence[ColumnLook], words: tuple[str, ...]) -> ColumnLook | None:
    """Returns the column that has the first of these words in its name."""
    for word in words:
        for column in columns:
            if word in column.words:
                return column
    return None
