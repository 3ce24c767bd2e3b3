"""Commands as the user can type them, and as they are read."""

import argparse
import difflib
import re
import shlex
import sys
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
