"""The errors that command lines turn into one line and exit status 2, and how they quote what stands in files."""

import reprlib

_REPR = reprlib.Repr()
_REPR.maxstring = _REPR.maxother = 120


class UsageError(ValueError):
    """What was asked for cannot be done as asked; the message is one line, meant for the user."""


def quoted(value: object) -> str:
    """What was found in a file, for a message: on one line and not too long, whatever it is."""
    return _REPR.repr(value)
