"""Text from elsewhere, such as names of files and answers of servers, made fit for a terminal."""

import re

# What would break a line, colour the terminal or turn the text round, and surrogates, which stand for bytes that are not UTF-8.
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
_SURROGATE = re.compile(r"[\ud800-\udfff]")


def printable(text: str) -> str:
    """A text on one line, whatever a file is called: control characters as Python writes them in a string."""
    return _UNPRINTABLE.sub(_escaped, text)


def encodable(text: str) -> str:
    """A text that UTF-8 can encode: surrogates as Python writes them in a string."""
    return _SURROGATE.sub(_escaped, text)


def _escaped(match: re.Match[str]) -> str:
    return match.group().encode("unicode_escape", "surrogatepass").decode("ascii")
