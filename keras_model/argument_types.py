"""Types of command line arguments, which say what was expected."""

import argparse
from collections.abc import Callable
from pathlib import Path


def positive(kind: type[int] | type[float]) -> Callable[[str], float]:
    """The argparse type of a positive, finite number of a kind."""
    return lambda text: _checked(kind, text, lambda number: number > 0, "positive")


def whole(least: int) -> Callable[[str], int]:
    """The argparse type of an integer of at least `least`."""
    return lambda text: int(_checked(int, text, lambda number: number >= least, f"an integer of at least {least}"))


def at_least_zero(text: str) -> float:
    """The argparse type of a finite number that is not negative."""
    return _checked(float, text, lambda number: number >= 0, "at least 0")


def keras_seed(text: str) -> int:
    """The argparse type of a seed, which Keras takes from 0 to 2³² − 1."""
    return int(_checked(int, text, lambda number: 0 <= number < 2**32, "between 0 and 2**32 - 1"))


def folder(text: str) -> Path:
    """The argparse type of a folder's path. An empty one, as of a shell's unset variable, would be the current folder."""
    if not text:
        raise argparse.ArgumentTypeError("must name a folder, got ''")
    return Path(text)


def _checked(kind: type[int] | type[float], text: str, fits: Callable[[float], bool], expected: str) -> float:
    try:
        number = kind(text)
    except ValueError:
        number = float("nan")
    if not (fits(number) and number < float("inf")):
        raise argparse.ArgumentTypeError(f"must be {expected}, got {text!r}")
    return number
