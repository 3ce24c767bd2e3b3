"""The errors that command lines turn into one line, and how texts from elsewhere are shown."""

import re
import reprlib

_REPR = reprlib.Repr()
_REPR.maxstring = _REPR.maxother = 120
# What would break a line, colour the terminal or turn the text round.
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")


class UsageError(ValueError):
    """What was asked for cannot be done as asked: exit status 2. The message is one line, meant for the user."""


class FailedError(RuntimeError):
    """What was begun did not end with all of its results: exit status 1. The message is one line, meant for the user."""


def quoted(value: object) -> str:
    """What was found in a file, for a message: on one line and not too long, whatever it is."""
    return _REPR.repr(value)


def first_line(error: BaseException) -> str:
    """What a library says of an error, or else what kind it is, on one line."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def printable(text: str) -> str:
    """A text from elsewhere, such as a file's name, on one line: control characters as Python writes them in a string."""
    return _CONTROL.sub(lambda match: match.group().encode("unicode_escape").decode("ascii"), encodable(text))


def encodable(text: str) -> str:
    """A text that UTF-8 can encode: surrogates, which stand for bytes that are not, as Python writes them in a string."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")
