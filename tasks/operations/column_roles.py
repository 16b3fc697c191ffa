"""Guesses the role of each column of a source from its name, its type and how its values repeat, each with
the reason, how sure it is, and what else it may be.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from tasks.core.column_settings import ColumnSettings
from tasks.core.duckdb_types import is_integer, is_number, is_text, is_timestamp
from tasks.core.errors import SourceError
from tasks.operations.column_labels import LabelGuess, guess_labels
from tasks.operations.column_looks import ColumnLook

# In order of preference.
TIMES = ("time", "timestamp", "datetime", "ts", "at")
ENTITIES = (
    *("customer", "card", "cc", "account", "client", "user", "debtor", "payer", "sender", "orig"),
    *("kunde", "kunden", "kundennummer", "karte", "karten", "kartennummer", "konto", "kontonummer"),
    *("cliente", "tarjeta", "cuenta", "carte", "compte"),
    *("iban", "pan", "terminal", "merchant", "device", "host", "ip", "creditor", "payee", "receiver", "dest"),
)
ATTRIBUTES = frozenset(  # repeated texts that are no entities
    [
        "first",
        "last",
        "name",
        "city",
        "street",
        "address",
        "state",
        "country",
        "job",
        "email",
        "domain",
        "mail",
        "currency",
        "comment",
        "purpose",
    ]
)
ID = re.compile(
    rf"((transaction|tx|payment|order|event|{'|'.join(ENTITIES)})?id|uuid|guid|key|number|num|nr|no|row|iban|pan"
    r"|\w*nummer)"
)
MOSTLY = 0.95  # the share of the times that lie on the date of their partition, so that one can be the time
MOST_REPEATS = 0.05  # of the rows, as max_bad_share: with more, every night would be refused
ROWS_EACH = 2  # of an entity, on average
MANY_VALUES = 100  # texts that an entity has at least if its name is not an entity's


@dataclass(frozen=True)
class Guess:
    """What a column is taken for.

    role: id, time, entity, label, weight, numeric, categorical or left out. sure: high, medium or low.
    alternatives: what else it may be, or which columns may have its role instead.
    """

    column: str
    role: str
    why: str
    sure: str
    alternatives: tuple[str, ...] = ()


def is_identifier(column: ColumnLook) -> bool:
    """Whether it is a column of whole numbers or text with the name of an identifier."""
    return column.may_be_key and ID.fullmatch(column.words[-1]) is not None


def guess_roles(columns: tuple[ColumnLook, ...]) -> tuple[ColumnSettings, list[Guess], frozenset[str]]:
    """Returns the guessed roles, a guess for each, and the columns that look like the label too.

    Raises SourceError if no column of integers or text can identify the rows.
    """
    labels = guess_labels(columns)
    likely = {label.column.name for label in labels if label.sure != "low"}
    key = _guess_id([column for column in columns if column.name not in likely])
    labels = [label for label in labels if label.column.name != key.column]
    taken = {key.column, *(label.column.name for label in labels[:1])}
    free = [column for column in columns if column.name not in taken]
    guesses = [key, *_guess_time(free), *_guess_entity(free), *_label(labels), *_guess_weight(free)]
    roles = {guess.role: guess.column for guess in guesses}
    settings = ColumnSettings(
        id=roles["id"],
        time=roles.get("time"),
        entity=roles.get("entity"),
        label=roles.get("label"),
        label_positive=labels[0].positive if labels else (),
        weight=roles.get("weight"),
    )
    return settings, guesses, frozenset(each.column.name for each in labels[1:] if each.sure != "low")


def _guess_id(columns: Sequence[ColumnLook]) -> Guess:
    keys = [column for column in columns if column.is_of(is_integer, is_text) or is_identifier(column)]
    if not keys:
        raise SourceError(
            "no column of integers or text can identify the rows; add one that is different in every row"
        )
    ranked = sorted(
        keys,
        key=lambda each: (
            each.unique,
            each.unique_by_day and not each.nulls,
            is_identifier(each),
            -each.repeats - each.nulls,
        ),
        reverse=True,
    )
    key, others = ranked[0], tuple(each.name for each in ranked[1:] if each.unique)
    if key.unique:
        named = "high" if is_identifier(key) else "medium"
        return Guess(key.name, "id", "different in every row", named, others)
    if key.unique_by_day and not key.nulls:
        return Guess(key.name, "id", "different in every row of a date", "medium")
    repeats = key.repeats + key.nulls
    if repeats > MOST_REPEATS * key.rows and not is_identifier(key):
        raise SourceError(
            f"no column can identify the rows: {key.name} comes nearest, and {repeats:,} of {key.rows:,} "
            "rows have no value of their own in it; add a column that is different in every row, such as the "
            "number of the row in its export"
        )
    why = f"none is different in every row; {repeats:,} of {key.rows:,} rows have no value of their own"
    return Guess(key.name, "id", why, "low")


def _guess_time(columns: Sequence[ColumnLook]) -> list[Guess]:
    times = [column for column in columns if column.is_of(is_timestamp) and column.on_day >= MOSTLY]
    if not times:
        return []
    chosen = min(times, key=lambda each: (-each.on_day, _rank(each, TIMES)))
    share = "every value" if chosen.on_day == 1 else f"{chosen.on_day:.4g} of its values"
    why = f"{share} on the date of its partition"
    sure = "high" if chosen.on_day == 1 and not chosen.nulls else "medium"
    return [Guess(chosen.name, "time", why, sure, tuple(each.name for each in times if each is not chosen))]


def _guess_entity(columns: Sequence[ColumnLook]) -> list[Guess]:
    repeating = [
        column
        for column in columns
        if column.may_be_key
        and 2 < column.distinct < column.rows
        and column.rows_each >= ROWS_EACH
        and not column.moves
    ]
    named = [
        column
        for column in repeating
        if is_identifier(column) or (column.words[-1] in ENTITIES and column.distinct > 5)
    ]
    unnamed = [column for column in repeating if column not in named and _may_be_entity(column)]
    ranked = sorted(named, key=lambda each: (_rank(each, ENTITIES), each.nulls > 0, -each.distinct))
    ranked += sorted(unnamed, key=lambda each: -each.distinct)
    if not ranked:
        return []
    chosen = ranked[0]
    why = f"{chosen.distinct:,} values, {chosen.rows_each:,.3g} rows each"
    is_named = chosen in named and _rank(chosen, ENTITIES) < len(ENTITIES)
    sure = "low" if chosen in unnamed else "high" if is_named and chosen.rows_each >= 3 else "medium"
    return [Guess(chosen.name, "entity", why, sure, tuple(each.name for each in ranked[1:4]))]


def _may_be_entity(column: ColumnLook) -> bool:
    """Whether a repeated text may be one, though its name does not say so."""
    is_attribute = bool(ATTRIBUTES & set(column.words)) or column.spaced > 0.5 or column.timelike > 0.5
    return column.is_of(is_text) and column.distinct > MANY_VALUES and not is_attribute


def _label(labels: Sequence[LabelGuess]) -> list[Guess]:
    if not labels:
        return []
    chosen, *others = labels
    said = len(chosen.positive)
    meaning = f"; {said} of its values mean fraud" if said else ""
    if said == 1:
        meaning = f"; {chosen.positive[0]} means fraud"
    alternatives = tuple(each.column.name for each in others[:3])
    return [Guess(chosen.column.name, "label", chosen.why + meaning, chosen.sure, alternatives)]


def _guess_weight(columns: Sequence[ColumnLook]) -> list[Guess]:
    weights = [column for column in columns if column.is_of(is_number) and column.words[-1] == "weight"]
    return [Guess(column.name, "weight", "its name", "medium") for column in weights[:1]]


def _rank(column: ColumnLook, names: tuple[str, ...]) -> int:
    """Returns the place of the first of these words that is in its name."""
    return next((number for number, name in enumerate(names) if name in column.words), len(names))
