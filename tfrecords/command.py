"""Commands as the user can type them."""

import shlex
import sys
from pathlib import Path


def python_command(*words: str | Path) -> str:
    """A command line for this interpreter, quoted for a shell: `.venv/bin/python train.py`, or `python train.py`."""
    interpreter = Path(sys.executable)
    name = str(interpreter.relative_to(Path.cwd())) if interpreter.is_relative_to(Path.cwd()) else "python"
    return shlex.join([name, *map(str, words)])
