"""What there is to run, and how a user types it: `python train.py` in a checkout, `gtzan-genres train` where it is installed."""

import re
import shlex
import sys
from pathlib import Path
from typing import NamedTuple

from tfrecords.command_line.versions import PACKAGE


class Command(NamedTuple):
    """A command of the console script, which `python -m MODULE` runs too."""

    module: str
    summary: str


# By name, not by import: this package knows neither of the others.
COMMANDS = {
    "download": Command("beam_pipeline.download", "fetch GTZAN"),
    "download-tagger": Command("keras_model.download", "fetch the pre-trained network"),
    "pipeline": Command("beam_pipeline.run_pipeline", "make a dataset, TFRecords of log-mels, of a folder of tracks"),
    "verify": Command("tfrecords.verify", "recompute all that a dataset claims of itself"),
    "show": Command("tfrecords.show", "print what a dataset holds, and draw some of it"),
    "train": Command("keras_model.train", "train a network on a dataset"),
    "evaluate": Command("keras_model.evaluate", "recompute a run's accuracies, on any dataset"),
    "summary": Command("keras_model.summary", "sum up several runs in one report"),
    "predict": Command("keras_model.predict", "print the genres of audio files"),
    "app": Command("keras_model.app", "open a page that tells the genres of songs"),
    "export": Command("keras_model.export", "export a run for TF Serving, to ONNX and to LiteRT"),
    "client": Command("keras_model.client", "print the genres of audio files that a TF Serving finds"),
}
_SCRIPTS = ("run_pipeline.py", "train.py")  # at the top of a checkout, named like the modules that they run
_ROOT = Path(__file__).parents[2]


def in_checkout() -> bool:
    """Whether the user works in a checkout; not where they called the console script of one."""
    return Path(sys.argv[0]).name != PACKAGE and (_ROOT / _SCRIPTS[0]).is_file()


def program(command: str) -> str:
    """A command as its own help calls it: `train.py`, `python -m keras_model.predict` or `gtzan-genres predict`."""
    words = _words(command)
    return " ".join(["python", *words] if words[0] == "-m" else words)


def speaker(name: str) -> str:
    """What stands before the messages of a program, by what `program` calls it: `train.py` or `predict`."""
    return re.sub(rf"^(python -m (\w+\.)*|{PACKAGE} )", "", name)


def shell_command(command: str, *arguments: str | Path) -> str:
    """A command quoted for a shell, in a checkout for this interpreter: `.venv/bin/python train.py`, or `python train.py`."""
    words = [*_words(command), *map(str, arguments)]
    if in_checkout():
        interpreter = Path(sys.executable)
        words.insert(0, str(interpreter.relative_to(Path.cwd())) if interpreter.is_relative_to(Path.cwd()) else "python")
    return shlex.join(words)


def _words(command: str) -> list[str]:
    if not in_checkout():
        return [PACKAGE, command]
    module = COMMANDS[command].module
    script = f"{module.rpartition('.')[2]}.py"
    return [script] if script in _SCRIPTS else ["-m", module]
