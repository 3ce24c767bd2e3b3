"""What `predict` and `client` share: their arguments, predictions as text, failures in a line each, and how they end."""

import argparse
import csv
import json
import sys
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TextIO

from keras_model.prediction.track import Prediction
from tfrecords.command_line.command import whole
from tfrecords.errors import UsageError, encodable, printable

_BAR_CHARACTERS = 40


@dataclass(kw_only=True)
class PredictionWriter(ABC):
    """Prints the predictions of many files; each format is a subclass."""

    stream: TextIO
    program: str  # stands before each failure
    synthetic: bool | None = None  # whether the model was trained on synthetic audio; None where it is not known
    top: int | None = None  # how many of the ranked genres are shown; None for all

    @abstractmethod
    def write(self, name: str, prediction: Prediction) -> None:
        """Prints a file's genre."""

    def fail(self, name: str, reason: str) -> None:
        """Says why a file has no genre."""
        print(f"{self.program}: {printable(name)}: {printable(reason)}", file=sys.stderr, flush=True)

    def close(self) -> None:  # noqa: B027  # most formats hold nothing back
        """Prints what was held back; to be called after the last file."""


class BarWriter(PredictionWriter):
    """Genre and confidence, and a bar for each genre below."""

    def write(self, name: str, prediction: Prediction) -> None:
        """Prints a line, and a line per genre."""
        lines = [f"{printable(name)}: {prediction.genre} {prediction.confidence:.1%}"]
        if prediction.genre_majority != prediction.genre:
            lines[0] += f" (majority vote: {prediction.genre_majority})"
        width = max(map(len, prediction.genres))
        for genre, probability in prediction.ranked[: self.top]:
            bar = self._bar_character * round(probability * _BAR_CHARACTERS)
            lines.append(f"  {genre:{width}} {probability:6.1%} {bar}".rstrip())
        print("\n".join(lines), file=self.stream, flush=True)

    @property
    def _bar_character(self) -> str:
        try:
            "█".encode(self.stream.encoding or "utf-8")
        except UnicodeEncodeError:
            return "#"
        return "█"


class JsonWriter(PredictionWriter):
    """A JSON object per file and line, also for files that failed."""

    def write(self, name: str, prediction: Prediction) -> None:
        """Prints a line."""
        self._print({"file": name, **prediction.to_dict(top=self.top), "synthetic_model": self.synthetic})

    def fail(self, name: str, reason: str) -> None:
        """Prints a line, and one on standard error."""
        super().fail(name, reason)
        self._print({"file": name, "error": reason})

    def _print(self, values: dict[str, object]) -> None:
        print(json.dumps(values), file=self.stream, flush=True)


@dataclass(kw_only=True)
class CsvWriter(PredictionWriter):
    """A table with a header, a column for every genre, and a row per file, also for files that failed.

    Rows of files that failed first are held back until a prediction tells the genres.
    """

    _failed: list[tuple[str, str]] = field(default_factory=list)
    _genres: Sequence[str] | None = None  # of the header, once it is printed

    def write(self, name: str, prediction: Prediction) -> None:
        """Prints a row."""
        self._print_failed(prediction.genres)
        decisions = (prediction.genre, prediction.confidence, prediction.genre_majority, prediction.n_chunks, prediction.seconds)
        self._row(name, *decisions, *prediction.probabilities.tolist(), "")

    def fail(self, name: str, reason: str) -> None:
        """Prints a row, and a line on standard error."""
        super().fail(name, reason)
        self._failed.append((name, reason))
        if self._genres is not None:
            self._print_failed(self._genres)

    def close(self) -> None:
        """Prints the rows of failed files where no genres ever came."""
        if self._failed:
            self._print_failed(())

    def _print_failed(self, genres: Sequence[str]) -> None:
        """The header, once, and the rows that were held back."""
        if self._genres is None:
            self._genres = genres
            self._row("file", "genre", "confidence", "genre_majority", "n_chunks", "seconds", *genres, "error")
        for name, reason in self._failed:
            self._row(name, *[""] * (5 + len(genres)), reason)
        self._failed.clear()

    def _row(self, name: str, *values: object) -> None:
        # Line breaks in a name are quoted; bytes that are not UTF-8 could not be printed at all.
        csv.writer(self.stream, lineterminator="\n").writerow((encodable(name), *values))
        self.stream.flush()


def add_shared_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds what is to be classified, and how it is printed: `paths`, `writer` (None for bars) and `top`."""
    parser.add_argument(
        "paths",
        nargs="+",
        metavar="PATH",
        help="audio file (WAV, AU, FLAC, OGG, Opus, MP3, AIFF, CAF, M4A), folder of such files, or - for standard input",
    )
    form = parser.add_mutually_exclusive_group()
    form.add_argument(
        "--json", dest="writer", action="store_const", const=JsonWriter, help="print a JSON object per file and line"
    )
    form.add_argument("--csv", dest="writer", action="store_const", const=CsvWriter, help="print a table, a row per file")
    parser.add_argument("--top", type=whole(1), metavar="K", help="show the K most probable genres only; not with --csv")


def writer_of(options: argparse.Namespace, program: str) -> PredictionWriter:
    """What prints as the shared arguments say.

    Raises:
        UsageError: If they contradict each other.
    """
    if options.writer is CsvWriter and options.top:
        raise UsageError("--top is not for --csv, whose columns are every file's: one for each genre")
    writer: PredictionWriter = (options.writer or BarWriter)(stream=sys.stdout, program=program, top=options.top)
    return writer


def reason_of(error: Exception) -> str:
    """Why a file has no genre, without its name."""
    return (error.strerror if isinstance(error, OSError) else None) or str(error)
