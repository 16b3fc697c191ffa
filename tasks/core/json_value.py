"""A value of the source as JSON may hold it."""

import re

NUMBERS_WITHOUT_JSON = ("FLOAT", "DOUBLE")
BYTES = "BLOB"


def json_value(column: str, kind: str) -> str:
    """An SQL expression for a column of this DuckDB type, to be packed into JSON.

    JSON has no NaN and no infinity: they become text, and so does whatever could hide one inside. Of bytes
    their number is told.
    """
    if kind in NUMBERS_WITHOUT_JSON:
        return (
            f"case when isfinite({column}) then to_json({column}) else to_json(cast({column} as varchar)) end"
        )
    if kind == BYTES:
        return f"format('<{{:,}} bytes>', octet_length({column}))"
    return f"cast({column} as varchar)" if re.search("FLOAT|DOUBLE", kind) else column
