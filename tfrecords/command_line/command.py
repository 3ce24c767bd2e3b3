"""How command lines are read, and how what they ask for ends."""

import argparse
import difflib
import io
import os
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

from tfrecords.command_line.extras import extras_named
from tfrecords.command_line.programs import speaker
from tfrecords.errors import FailedError, UsageError, printable
from tfrecords.places import Place, place_of

_INTERRUPTED = 130  # what a shell reports of a program that Ctrl-C ended
_CLOSED_PIPE = 141  # likewise, that had no reader any more


class CommandParser(argparse.ArgumentParser):
    """A parser of command lines whose errors are one line, which says what may have been meant."""

    def error(self, message: str) -> NoReturn:
        """Ends the program with status 2."""
        self.exit(2, f"{speaker(self.prog)}: {message}{self._meant(message)}\n")

    def _meant(self, message: str) -> str:
        """The options and choices that are nearest to those that there are not."""
        options = [option for action in self._actions for option in action.option_strings]
        known = {action.dest: [str(choice) for choice in action.choices or ()] for action in self._actions}
        if message.startswith("unrecognized arguments"):
            words, there_are = re.findall(r"(--[\w-]+)", message), options
        elif invalid := re.match(r"argument (?:\S+/)*--([\w-]+): invalid choice: '([^']*)'", message):
            words, there_are = [invalid[2]], known.get(invalid[1].replace("-", "_"), [])
        else:
            return ""
        nearest = [match for word in words for match in difflib.get_close_matches(word, there_are, n=1)]
        return f"; did you mean {', '.join(nearest)}?" if nearest else ""


def exit_status(program: str, work: Callable[[], int]) -> int:
    """Does what a command line asks for; how it fails is one line on standard error.

    Returns:
        What `work` returns; 1 for a FailedError, or a disk that cannot be written; 2 for a UsageError; 130 for Ctrl-C; 141 where
        nobody reads the output.
    """
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # closed, as by 2>&-; the next file to be opened would get its number
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115  # lives as long as the program
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # names may have characters that a terminal has not
    try:
        with extras_named():
            return work()
    except UsageError as error:
        reason, status = printable(str(error)), 2
    except FailedError as error:
        reason, status = printable(str(error)), 1
    except KeyboardInterrupt as error:
        reason, status = str(error) or "interrupted", _INTERRUPTED
    except BrokenPipeError:
        # Whoever read the results has what they wanted. Python flushes once more at its end, which must not fail again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _CLOSED_PIPE
    except OSError as error:
        reason, status = ": ".join(str(part) for part in (error.filename, error.strerror or error) if part), 1
    print(f"{program}: {reason}", file=sys.stderr)
    return status


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


def dataset(text: str) -> Place:
    """The argparse type of a dataset's folder, or its URL."""
    try:
        return place_of(text)
    except UsageError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _checked(kind: type[int] | type[float], text: str, fits: Callable[[float], bool], expected: str) -> float:
    try:
        number = kind(text)
    except ValueError:
        number = float("nan")
    if not (fits(number) and number < float("inf")):
        raise argparse.ArgumentTypeError(f"must be {expected}, got {text!r}")
    return number
