"""Guesses which column of a source is the label, and which of its values mean fraud."""

import re
from dataclasses import dataclass

from tasks.core.duckdb_types import is_boolean, is_number, is_text
from tasks.operations.column_looks import ColumnLook

# In order of preference: words of a name that is a label's, and of one that may be.
LABELS = (
    "fraud",
    "fraude",
    "betrug",
    "disposition",
    "verdict",
    "laundering",
    "chargeback",
    "label",
    "class",
    "target",
    "anomaly",
    "outlier",
    "attack",
)
PERHAPS = ("status", "outcome", "result", "decision", "review", "investigation")
SECOND_HAND = frozenset({"flagged", "predicted", "prediction", "score", "model", "rule", "alert"})
FRAUD = re.compile(
    r"fraud|betrug|betrüg|illicit|suspicio|anomal|attack|stolen|scam|launder|chargeback|malicious|outlier",
    re.IGNORECASE,
)
NOT = re.compile(r"(non|not|no|un)[\W_]|non|unsus|legit", re.IGNORECASE)
NORMAL = frozenset(
    [
        "normal",
        "normal.",
        "legit",
        "legitimate",
        "genuine",
        "benign",
        "good",
        "clean",
        "clear",
        "cleared",
        "ok",
        "none",
        "-",
        "n",
        "no",
        "nein",
        "non",
        "f",
        "false",
        "0",
    ]
)
YES = {"n": "Y", "no": "yes", "f": "T", "nein": "ja", "non": "oui"}  # of each no, the yes that belongs to it
MORE_YES = frozenset({"j", "s", "si", "sí"})


@dataclass(frozen=True)
class LabelGuess:
    """A column that may be the label.

    positive: the values that mean fraud; none if they are 1 or true. sure: high, medium or low.
    """

    column: ColumnLook
    positive: tuple[str | int | float, ...]
    why: str
    sure: str


def guess_labels(columns: tuple[ColumnLook, ...]) -> list[LabelGuess]:
    """Returns the columns that may be the label, the likeliest first."""
    guesses = [guess for column in columns if (guess := _guess(column))]
    return sorted(guesses, key=lambda guess: (_second_hand(guess.column), _name_rank(guess.column)))


def _guess(column: ColumnLook) -> LabelGuess | None:
    named = bool(set(LABELS) & set(column.words))
    if not column.present:
        may_be = column.is_of(is_boolean, is_number, is_text) and named
        return LabelGuess(column, (), "its name; it has no value yet", "low") if may_be else None
    if column.is_of(is_boolean) or {value.lower() for value, _ in column.values} <= {
        "0",
        "1",
        "true",
        "false",
    }:
        if not (named and column.values):
            return None
        return LabelGuess(column, (), f"its name and values: {column.counted_values}", "high")
    if column.is_of(is_text) and column.values:
        return _guess_of_texts(column, named)
    if column.is_of(is_number) and named and (rare := column.rare_value):
        number = float(rare[0])
        positive = int(number) if number.is_integer() else number
        return LabelGuess(
            column, (positive,), f"its name, and one of two values is rare: {column.counted_values}", "low"
        )
    return None


def _guess_of_texts(column: ColumnLook, named: bool) -> LabelGuess | None:
    values = [value for value, _ in column.values]
    plain = {value: value.strip().lower() for value in values}
    perhaps = bool(set(PERHAPS) & set(column.words))
    if frauds := tuple(value for value in values if FRAUD.search(value) and not NOT.match(value)):
        if len(frauds) == len(values) or not (named or perhaps or column.distinct == 2):
            return None
        sure = "high" if column.distinct == 2 else "medium"
        return LabelGuess(column, frauds, f"its values: {column.counted_values}", sure)
    if named and set(plain.values()) <= {*YES, *MORE_YES, *(yes.lower() for yes in YES.values())}:
        said = tuple(value for value in values if plain[value] not in YES)
        positive = said or (YES[plain[values[0]]],)
        return LabelGuess(column, positive, f"its name and values: {column.counted_values}", "high")
    normal = [value for value in values if plain[value] in NORMAL]
    if (named or perhaps) and normal and len(normal) < len(values):
        others, sure = tuple(value for value in values if value not in normal), "medium" if named else "low"
        return LabelGuess(column, others, f"its name and values: {column.counted_values}", sure)
    if (named or perhaps) and (rare := column.rare_value):
        why = f"its name, and one of two values is rare: {column.counted_values}"
        return LabelGuess(column, (rare[0],), why, "medium" if named else "low")
    return None


def _name_rank(column: ColumnLook) -> int:
    named = [number for number, word in enumerate((*LABELS, *PERHAPS)) if word in column.words]
    return min(named, default=len(LABELS) + len(PERHAPS))


def _second_hand(column: ColumnLook) -> bool:
    """Whether the name is that of what a rule or a model said of the row."""
    return bool(SECOND_HAND & set(column.words))
