"""Commands as the user can type them, and as they are read."""

import argparse
import difflib
import re
import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn


def python_command(*words: str | Path) -> str:
    """A command line for this interpreter, quoted for a shell: `.venv/bin/python train.py`, or `python train.py`."""
    interpreter = Path(sys.executable)
    name = str(interpreter.relative_to(Path.cwd())) if interpreter.is_relative_to(Path.cwd()) else "python"
    return shlex.join([name, *map(str, words)])


class CommandParser(argparse.ArgumentParser):
    """A parser of command lines whose errors are one line, which says what may have been meant."""

    def error(self, message: str) -> NoReturn:
        """Ends the program with status 2."""
        program = self.prog.rsplit(".", 1)[-1] if self.prog.startswith("python -m ") else self.prog
        self.exit(2, f"{program}: {message}{self._meant(message)}\n")

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
