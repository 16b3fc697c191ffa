"""Guesses which columns of a source are features, and leaves out, with the reason, those that would teach a
detector the answer, the date or nothing.
"""

from tasks.core.column_settings import ColumnSettings
from tasks.core.dataset import FeatureSettings
from tasks.core.duckdb_types import (
    is_boolean,
    is_bytes,
    is_integer,
    is_list_of,
    is_number,
    is_text,
    is_timestamp,
)
from tasks.core.errors import SourceError
from tasks.operations.column_labels import PERHAPS
from tasks.operations.column_looks import ColumnLook
from tasks.operations.column_roles import ENTITIES, Guess, is_identifier
from tasks.operations.second_labels import Separation

MAX_CATEGORIES = 100  # distinct texts that a categorical feature may have
MAX_CODES = 10  # an integer column with more distinct values is numeric, not categorical
AFTERWARDS = "its name suggests an outcome"
LARGE = 1e12  # integers that are all at least so large are codes
OUTCOMES = frozenset(
    {"fraud", "label", "anomaly", "outlier", "attack", "chargeback", "disposition", "verdict", "dispute"}
)
CODES = frozenset({"zip", "zipcode", "postcode", "postal", "mcc"})


def guess_features(
    columns: tuple[ColumnLook, ...],
    roles: ColumnSettings,
    separations: dict[str, Separation],
    rivals: frozenset[str],
    date_column: str | None = None,
) -> tuple[FeatureSettings, list[Guess]]:
    """Returns the guessed features, and a guess for each column that has no other role.

    separations: the columns that tell known frauds from the other rows. rivals: those that look like the
    label too. date_column: by which a table's rows are assigned to dates. Raises SourceError if no feature is
    left.
    """
    taken = {roles.id, roles.time, roles.entity, roles.label, roles.weight}
    guesses = [
        _guess(column, roles, separations.get(column.name), rivals, date_column)
        for column in columns
        if column.name not in taken
    ]
    numeric, categorical = (
        tuple(guess.column for guess in guesses if guess.role == role) for role in ("numeric", "categorical")
    )
    if not numeric + categorical:
        found = "; ".join(f"{guess.column}: {guess.why}" for guess in guesses) or "there are no other columns"
        raise SourceError(
            f"no column looks like a feature ({found}); add numbers or categories to the source"
        )
    return FeatureSettings(numeric=numeric, categorical=categorical), guesses


def _guess(
    column: ColumnLook,
    roles: ColumnSettings,
    separation: Separation | None,
    rivals: frozenset[str],
    date_column: str | None,
) -> Guess:
    if column.name == date_column:
        return Guess(column.name, "left out", "it is the date of the row", "high")
    if column.name in rivals and not (separation and separation.is_proof):
        return Guess(column.name, "left out", "it looks like a label, too", "medium", ("label",))
    if found := _why_no_feature(column, roles, separation):
        reason, sure, *alternatives = found
        return Guess(column.name, "left out", reason, sure, tuple(alternatives))
    if not column.is_of(is_number):
        return Guess(column.name, "categorical", f"{column.distinct} values", "high")
    if column.is_of(is_integer) and column.distinct <= MAX_CODES:
        return Guess(column.name, "categorical", f"{column.distinct} integers", "medium", ("numeric",))
    may_be_code = column.is_of(is_integer) and bool(set(ENTITIES) & set(column.words))
    why = f"{column.distinct:,} numbers"
    if may_be_code:
        return Guess(column.name, "numeric", why, "medium", ("categorical",))
    return Guess(column.name, "numeric", why, "high")


def _why_no_feature(
    column: ColumnLook, roles: ColumnSettings, separation: Separation | None
) -> tuple[str, ...] | None:
    """Returns why a column is no feature, how sure that is, and what else it may be."""
    if separation and separation.is_proof:
        return separation.why, "low" if separation.possible else "high"
    if OUTCOMES & set(column.words):
        return "its name suggests an outcome, known only when the label is", "high", "label"
    if is_bytes(column.type) or is_list_of(column.type, is_number):
        return f"{column.type}, perhaps images: then set features.image instead", "medium", "image"
    if column.is_of(is_timestamp) and roles.time is None:
        share = f"only {column.on_day:.3g} of its values lie on the date of their partition"
        return f"{share}: to use it as the time, see source.timezone", "medium", "time"
    if column.distinct <= 1:
        return "it is the same in every row" if column.present else "it is null in every row", "high"
    if column.moves and not column.is_of(is_text):
        return "its values only move with the date, as those of a clock or a counter do", "high"
    if column.counts_rows:
        return "it numbers the rows", "high"
    if is_identifier(column):
        return ("it is an identifier", "high", *["entity"] * (column.rows_each >= 2))
    if column.is_of(is_integer) and (column.smallest or 0) >= LARGE:
        return "its integers are so large that they are codes", "medium", "numeric"
    if column.is_of(is_integer) and CODES & set(column.words) and column.distinct > MAX_CATEGORIES:
        return "it is a code, not a quantity", "medium", "numeric"
    if column.is_of(is_text):
        return _why_no_category(column, roles)
    if not column.is_of(is_number, is_boolean):
        return f"{column.type} is neither a number nor a category", "high"
    return None


def _why_no_category(column: ColumnLook, roles: ColumnSettings) -> tuple[str, ...] | None:
    if roles.label is None and is_afterwards(column):
        return f"{AFTERWARDS}; nothing could be checked without a label", "low", "label", "categorical"
    if roles.label is None and column.rare_value:
        return (
            f"{rare_warning(column)}; nothing could be checked without a label",
            "low",
            "label",
            "categorical",
        )
    if column.timelike == 1:
        return "it holds times as text: deliver timestamps to use it as the time", "high", "time"
    if column.distinct <= MAX_CATEGORIES and not (column.hashlike and column.rows_each < 2):
        return ("none of its texts occurs on two dates", "high") if column.moves else None
    if column.numberlike == 1:
        return "it holds numbers as text: deliver numbers to use it", "high", "numeric"
    if column.hashlike:
        return f"{column.distinct:,} different texts, which look like hashes", "high"
    if column.spaced > 0.5:
        return f"{column.distinct:,} different texts, which look like free text", "high"
    return f"{column.distinct:,} different texts", "high", *["entity"] * (column.rows_each >= 2)


def is_afterwards(column: ColumnLook) -> bool:
    """Whether a text column has the name of what is known after the row, such as a status."""
    return column.is_of(is_text) and bool(set(PERHAPS) & set(column.words))


def rare_warning(column: ColumnLook) -> str:
    """Returns the warning about a column of two values, of which one is rare, as a label has them."""
    assert column.rare_value
    value, share = column.rare_value
    return f"two values, and {value} is rare ({share:.2g} of the rows), as in a label"


def warnings_of(
    columns: tuple[ColumnLook, ...], features: FeatureSettings, separations: dict[str, Separation]
) -> dict[str, str]:
    """Returns a warning for each feature that may be known only when the label is."""
    found = {}
    for column in columns:
        if column.name not in features.names:
            continue
        if separation := separations.get(column.name):
            found[column.name] = (
                f"it tells all known frauds from the other rows, but they are few: {separation.found}"
            )
        elif is_afterwards(column):
            found[column.name] = AFTERWARDS
        elif column.rare_value and column.is_of(is_text):
            found[column.name] = rare_warning(column)
    return {name: f"{why}; remove it if it is known only after the row" for name, why in found.items()}
