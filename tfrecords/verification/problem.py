"""One thing that is wrong with a dataset, and the comparison of stated with recomputed numbers."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from tfrecords.errors import quoted

# Sums of floats depend on the order of additions inside NumPy, and so on the CPU; and a standard deviation near 0 loses half of
# its digits. Log-mels lie around 10, where neighbouring float32 numbers are 1e-6 apart.
TOLERANCE = 1e-6

_MOST_CHARACTERS = 1000


@dataclass(frozen=True, kw_only=True)
class Problem:
    """One thing that is wrong.

    Attributes:
        file: Name of the file in the dataset's folder.
        reason: What is wrong.
        place: Where in the file, for instance "record 3 (byte 77304)"; empty where it is the file as a whole.
    """

    file: str
    reason: str
    place: str = ""

    def __str__(self) -> str:
        text = ": ".join(part for part in (self.file, self.place, self.reason) if part)
        return text if len(text) <= _MOST_CHARACTERS else f"{text[:_MOST_CHARACTERS]}…"


def differences(stated: Any, actual: Any, *, name: str) -> str:
    """Compares a value of `dataset.json` with the recomputed one; numbers may differ by TOLERANCE, absolute or relative.

    Args:
        stated: Anything that JSON holds.
        actual: Objects, lists and numbers, or None.
        name: Of the value.

    Returns:
        The first difference, with the number of further ones; empty where there is none.
    """
    found = _differences(stated, actual, name)
    first = next(found, "")
    n_more = sum(1 for _ in found)
    return f"{first} (and {n_more} more of its values differ)" if n_more else first


def _differences(stated: Any, actual: Any, name: str) -> Iterator[str]:
    if isinstance(actual, dict) and isinstance(stated, dict):
        for key in sorted(actual.keys() | stated.keys()):
            inner = f"{name}.{key if key in actual else quoted(key)}"
            if key not in stated:
                yield f"{inner} is missing"
            elif key not in actual:
                yield f"{inner} is unknown"
            else:
                yield from _differences(stated[key], actual[key], inner)
    elif isinstance(actual, list) and isinstance(stated, list) and len(actual) == len(stated):
        for index, (one, other) in enumerate(zip(stated, actual, strict=True)):
            yield from _differences(one, other, f"{name}[{index}]")
    elif not _is_close(stated, actual):
        yield f"{name} is {quoted(stated)}, but the records give {_described(actual)}"


def _is_close(stated: Any, actual: Any) -> bool:
    if not isinstance(actual, float):
        return bool(stated == actual)
    try:
        return type(stated) in (int, float) and math.isclose(stated, actual, rel_tol=TOLERANCE, abs_tol=TOLERANCE)
    except OverflowError:  # an integer beyond all floats
        return False


def _described(actual: Any) -> str:
    if isinstance(actual, dict):
        return f"an object with the keys {', '.join(actual)}"
    return f"a list of {len(actual)}" if isinstance(actual, list) else str(actual)
