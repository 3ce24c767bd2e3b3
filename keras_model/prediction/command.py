"""What the command lines that print genres share: `predict`, of a model at hand, and `client`, of a served one."""

import argparse
import io
import os
import sys
from collections.abc import Callable

from keras_model.argument_types import whole
from keras_model.prediction.output import CsvWriter, JsonWriter, printable
from tfrecords.errors import UsageError

_INTERRUPTED = 130  # what a shell reports of a program that Ctrl-C ended
_CLOSED_PIPE = 141  # likewise, that had no reader any more


def add_shared_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds what is to be classified, and how it is printed: `paths`, `writer` (None for bars) and `top`."""
    parser.add_argument(
        "paths",
        nargs="+",
        metavar="PATH",
        help="audio file (WAV, AU, FLAC, OGG, Opus, MP3, AIFF, CAF), folder of such files, or - for standard input",
    )
    form = parser.add_mutually_exclusive_group()
    form.add_argument(
        "--json", dest="writer", action="store_const", const=JsonWriter, help="print a JSON object per file and line"
    )
    form.add_argument("--csv", dest="writer", action="store_const", const=CsvWriter, help="print a table, a row per file")
    parser.add_argument("--top", type=whole(1), metavar="K", help="show the bars of the K most probable genres only")


def exit_status(program: str, classify: Callable[[], int]) -> int:
    """Runs a command line whose options are read; how it fails is one line on standard error.

    Returns:
        What `classify` returns; 2 for a UsageError, 130 for Ctrl-C, 141 where nobody reads the output.
    """
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # closed, as by 2>&-; the next file to be opened would get its number
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115  # lives as long as the program
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # names may have characters that a terminal has not
    try:
        return classify()
    except UsageError as error:
        print(f"{program}: {printable(str(error))}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"{program}: interrupted", file=sys.stderr)
        return _INTERRUPTED
    except BrokenPipeError:
        # Whoever read the results has what they wanted. Python flushes once more at its end, which must not fail again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _CLOSED_PIPE


def reason_of(error: Exception) -> str:
    """Why a file has no genre, without its name."""
    return (error.strerror if isinstance(error, OSError) else None) or str(error)
