"""Texts that come from users, such as names of genres, tracks and corpora, in the Markdown of a card."""

import re

_MEANINGFUL = re.compile(r"[\\`*\[\]<>|~&$@:#]|(?<![0-9A-Za-z])_|_(?![0-9A-Za-z])")


def visible(text: str) -> str:
    """A text of which every character can be seen: the others as Python writes them in a string."""
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in text)


def markdown(text: object) -> str:
    """A text that Markdown shows as it is, with a backslash before each character that has a meaning there."""
    return _MEANINGFUL.sub(r"\\\g<0>", visible(str(text)))
