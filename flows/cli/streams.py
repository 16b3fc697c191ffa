"""Standard output and standard error as a command may find them: closed, full, without a reader, or in an
encoding that lacks characters.
"""

import io
import os
import sys
from typing import TextIO


class _Stream(io.TextIOWrapper):
    """Writes a replacement for each character that the encoding lacks. What nobody reads any more is dropped:
    a command whose reader has ended still ends with its own status.
    """

    def write(self, text: str) -> int:
        try:
            return super().write(text)
        except OSError as error:
            self._fail(error)
            return len(text)

    def flush(self) -> None:
        try:
            super().flush()
        except OSError as error:
            self._fail(error)

    def _fail(self, error: OSError) -> None:
        """Drops all further output; raises OSError, which names the stream, unless its reader has ended."""
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, self.fileno())
        os.close(nowhere)
        if not isinstance(error, BrokenPipeError) and self is sys.stdout:
            raise OSError(error.errno, error.strerror, "standard output") from error


def open_streams() -> None:
    """Replaces the standard streams by such that take every character and outlive their readers."""
    sys.stdout, sys.stderr = _opened(sys.stdout, 1), _opened(sys.stderr, 2)


def _opened(stream: TextIO | None, number: int) -> TextIO:
    if stream is None:  # it was closed: nothing else may get its number, such as a database
        nowhere = os.open(os.devnull, os.O_WRONLY)
        if nowhere != number:
            os.dup2(nowhere, number)
            os.close(nowhere)
    return _Stream(
        open(number, "wb", closefd=False),
        encoding=stream.encoding if stream else "utf-8",
        errors="replace",
        line_buffering=number == 2 or bool(stream and stream.isatty()),
    )
