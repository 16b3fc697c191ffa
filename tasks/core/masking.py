"""Masking of private values in messages, pages and tables."""

import re

MASK = "***"


def mask_quoted(message: str) -> str:
    """Returns an error message of DuckDB with everything between its first and last single quote masked."""
    return re.sub(r"'.*'", f"'{MASK}'", message)


def mask_unconverted(message: str) -> str:
    """Returns an error message of DuckDB with the value masked that DuckDB could not convert."""
    return re.sub(r"(string|format:) (['\"]).*\2", rf"\1 {MASK}", message)
