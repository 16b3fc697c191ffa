"""The path of dated files: a pattern in which fields such as {date} or {date:%Y/%m/%d} stand for the date.

{date} is YYYY-MM-DD. A format has the codes of strftime in CODES, and what stands between them is part of the
pattern. A month or day that stands alone, such as month={date:%m}, is read with and without its leading zero,
as Hive writes it; beside a digit, a wildcard or another code it has two digits, such as in {date:%Y%m%d}.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from functools import cached_property, lru_cache
from itertools import product

FIELD = re.compile(r"\{date(?::([^{}]*))?\}")
ESCAPED = re.compile(r"\[([\[*?{])\]")  # as exact_pattern and written_out write a character
# Its group is a wildcard, the rest is a character that is written out.
WILDCARD = re.compile(r"\[[\[*?{]\]|(\[!?.[^\]]*\]|[*?])")
DIGITS = {  # of each code, as a regular expression
    "Y": "[0-9]{4}",
    "y": "[0-9]{2}",  # from 2000 on
    "m": "0[1-9]|1[0-2]",
    "d": "0[1-9]|[12][0-9]|3[01]",
    "j": "[0-3][0-9]{2}",
}
WIDTH = {"Y": 4, "y": 2, "m": 2, "d": 2, "j": 3}
CODES = ("%Y", "%y", "%m", "%d", "%j", "%-m", "%-d")


@dataclass(frozen=True)
class Code:
    """A part of a date in a path.

    written: one of CODES. is_loose: whether its leading zero may be missing. is_open: whether it follows a
    wildcard, so that a digit before it would be a part of it.
    """

    written: str
    is_loose: bool = False
    is_open: bool = False

    @property
    def letter(self) -> str:
        return self.written[-1]

    @property
    def glob(self) -> str:
        """A pattern for every value."""
        return "*" if self.is_loose else "[0-9]" * WIDTH[self.letter]

    @property
    def expression(self) -> str:
        """A regular expression for every value, as a group."""
        loose = "|[1-9]" if self.is_loose else ""
        return f"{'(?<![0-9])' if self.is_open else ''}({DIGITS[self.letter]}{loose})"

    def spellings(self, day: date) -> tuple[str, ...]:
        """The ways to write a day: without its leading zero, too, where that may be missing."""
        written = day.strftime(f"%{self.letter}").zfill(WIDTH[self.letter])
        return tuple(dict.fromkeys((written, written.lstrip("0")) if self.is_loose else (written,)))


Token = str | Code


@dataclass(frozen=True)
class DatePath:
    """A path in parts: text, which is a pattern, and codes."""

    tokens: tuple[Token, ...]

    @property
    def any_date(self) -> str:
        """The pattern for the files of every date."""
        return "".join(token if isinstance(token, str) else token.glob for token in self.tokens)

    def patterns(self, day: date) -> list[str]:
        """Returns the patterns for the files of a day, one for each way to write it. A file that they match
        may be of another day: see `date_of`.
        """
        written = [(token,) if isinstance(token, str) else token.spellings(day) for token in self.tokens]
        return ["".join(parts) for parts in product(*written)]

    def shown(self, day: date) -> str:
        """Returns the path of a day as people read it."""
        return unescaped(self.patterns(day)[0])

    def date_of(self, file: str) -> date | None:
        """Returns the date of a file that `any_date` has matched, the last one that may be meant; None if
        what stands there is no date, or two dates.
        """
        match = self._expression.fullmatch(_without_protocol(file))
        return _date(zip(self._letters, match.groups(), strict=True)) if match else None

    @cached_property
    def _letters(self) -> list[str]:
        return [token.letter for token in self.tokens if isinstance(token, Code)]

    @cached_property
    def _expression(self) -> re.Pattern[str]:
        first, *rest = self.tokens
        tokens = (_without_protocol(str(first)), *rest)
        parts = [_expression_of(token) if isinstance(token, str) else token.expression for token in tokens]
        return re.compile("".join(parts), re.DOTALL)


@lru_cache
def date_path(path: str) -> DatePath:
    """Returns the path of a source in its parts.

    Raises ValueError if it has no field, a code is unknown or stands where its end cannot be told, or all
    codes together name no date.
    """
    texts, formats = FIELD.split(path)[::2], FIELD.split(path)[1::2]
    tokens: list[Token] = [texts[0]]
    for text, written in zip(texts[1:], formats, strict=True):
        tokens += [*_parse(written), text] if written is not None else [*_ISO, text]
    letters = {token.letter for token in tokens if isinstance(token, Code)}
    if not FIELD.search(path):
        raise ValueError("path must contain {date}, such as transactions/date={date}/*.parquet")
    if not (letters & {"Y", "y"} and ({"m", "d"} <= letters or "j" in letters)):
        there = ", ".join(f"%{letter}" for letter in DIGITS if letter in letters) or "nothing"
        raise ValueError(
            f"path names no whole date: it has {there}, and needs year, month and day (%Y, %m, %d) or year "
            "and day of the year (%Y, %j)"
        )
    return DatePath(tuple(_placed(_joined(tokens))))


def written_out(folder: str) -> str:
    """Returns a folder, escaped as a pattern, so that {date} in its name is no field."""
    return folder.replace("{", "[{]")


def unescaped(pattern: str) -> str:
    """Returns a pattern as people read it: characters that were escaped stand for themselves."""
    return ESCAPED.sub(r"\1", pattern)


def has_wildcard(pattern: str) -> bool:
    """Whether a pattern has a character that stands for others."""
    return any(match[1] for match in WILDCARD.finditer(pattern))


_ISO: tuple[Token, ...] = (Code("%Y"), "-", Code("%m"), "-", Code("%d"))


def _parse(written: str) -> Iterator[Token]:
    """Yields the parts of a format; a month or day is loose until its place is known, see `_placed`."""
    end = 0
    for match in re.finditer(r"%-?.?", written):
        if match[0] not in CODES:
            raise ValueError(
                f"path has {match[0]} in {{date:{written}}}, which is no part of a date; use "
                f"{', '.join(CODES)}"
            )
        yield written[end : match.start()]
        yield Code(match[0], is_loose=match[0][-1] in "md")
        end = match.end()
    yield written[end:]


def _joined(tokens: Iterable[Token]) -> list[Token]:
    """Returns the parts with texts that follow each other as one, and without empty ones but the first."""
    joined: list[Token] = [""]
    for token in tokens:
        last = joined[-1]
        if isinstance(token, str) and isinstance(last, str):
            joined[-1] = last + token
        elif token:
            joined.append(token)
    return joined


def _placed(tokens: Sequence[Token]) -> Iterator[Token]:
    """Yields the parts, with what their neighbours mean for codes: a month or day is loose only where its
    first and last digit can be told.
    """
    for before, token, after in zip(["", *tokens], tokens, [*tokens[1:], ""], strict=False):
        if isinstance(token, str):
            yield token
            continue
        is_open = isinstance(before, str) and _ends_in_wildcard(before)
        touches = isinstance(before, Code) or before[-1:].isdigit() or is_open
        touches |= isinstance(after, Code) or after[:1].isdigit() or _begins_with_wildcard(after)
        if touches and "-" in token.written:
            raise ValueError(
                f"path has {token.written} beside a digit, a wildcard or another code, so that its end "
                f"cannot be told; write something between them, or %{token.letter} for two digits"
            )
        yield replace(token, is_loose=token.is_loose and not touches, is_open=is_open)


def _ends_in_wildcard(text: str) -> bool:
    return any(match[1] and match.end() == len(text) for match in WILDCARD.finditer(text))


def _begins_with_wildcard(text: str) -> bool:
    return bool((match := WILDCARD.match(text)) and match[1])


def _without_protocol(path: str) -> str:
    return path.split("://", 1)[-1].lstrip("/")


_GLOB = re.compile(r"(\*\*/+)|(\*\*+)|(\*)|(/+)|(\[[\[*?{]\])|(\?|\[!?.[^\]]*\])|(.)", re.DOTALL)
_MEANINGS = ("(?:[^/]*/+)*", ".*", "[^/]*", "/+", None, "[^/]", None)  # of its groups; None: a character


def _expression_of(text: str) -> str:
    """Returns a regular expression that matches at least what a pattern matches."""
    return "".join(
        _MEANINGS[match.lastindex - 1] or re.escape(unescaped(match[0]))
        for match in _GLOB.finditer(text)
        if match.lastindex
    )


def _date(parts: Iterable[tuple[str, str]]) -> date | None:
    """Returns the date that the values of codes name; None if there is none, or they disagree."""
    found: dict[str, set[int]] = {}
    for letter, digits in parts:
        found.setdefault("Y" if letter == "y" else letter, set()).add(int(digits) + 2000 * (letter == "y"))
    if any(len(values) > 1 for values in found.values()):
        return None
    values = {letter: min(each) for letter, each in found.items()}
    try:
        dates = {_of_month(values), _of_year(values)} - {None}
    except (ValueError, OverflowError):
        return None
    return next((day for day in dates if day and day.year == values["Y"]), None) if len(dates) == 1 else None


def _of_month(values: dict[str, int]) -> date | None:
    return date(values["Y"], values["m"], values["d"]) if {"m", "d"} <= values.keys() else None


def _of_year(values: dict[str, int]) -> date | None:
    if "j" not in values:
        return None
    return date(values["Y"], 1, 1) + timedelta(days=values["j"] - 1)
