"""Predictions as text: bars for a person, JSON or CSV for a program; failures as one line each on standard error."""

import csv
import json
import sys
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, TextIO

from keras_model.printable_text import encodable, printable
from keras_model.track_prediction import Prediction

_BAR_CHARACTERS = 40


class PredictionWriter(ABC):
    """Prints the predictions of many files; each format is a subclass.

    Attributes:
        program: Stands before each failure.
        genres: Of the model; None where only the first prediction tells them.
        synthetic: Whether the model was trained on synthetic audio; None where it is not known.
        top: How many of the ranked genres a person is shown; None for all.
    """

    def __init__(
        self,
        stream: TextIO,
        *,
        program: str,
        genres: Sequence[str] | None = None,
        synthetic: bool | None = None,
        top: int | None = None,
        errors: TextIO | None = None,
    ) -> None:
        """Prints to `stream`, and failures to `errors`, which is standard error by default."""
        self._stream = stream
        self._errors = errors
        self.program = program
        self.genres = None if genres is None else tuple(genres)
        self.synthetic = synthetic
        self.top = top

    @abstractmethod
    def write(self, name: str, prediction: Prediction) -> None:
        """Prints a file's genre."""

    def fail(self, name: str, reason: str) -> None:
        """Says why a file has no genre."""
        print(f"{self.program}: {printable(name)}: {printable(reason)}", file=self._errors or sys.stderr, flush=True)

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
        print("\n".join(lines), file=self._stream, flush=True)

    @property
    def _bar_character(self) -> str:
        try:
            "█".encode(self._stream.encoding or "utf-8")
        except UnicodeEncodeError:
            return "#"
        return "█"


class JsonWriter(PredictionWriter):
    """A JSON object per file and line, also for files that failed."""

    def write(self, name: str, prediction: Prediction) -> None:
        """Prints a line."""
        self._print({"file": name, **prediction.to_dict(), "synthetic_model": self.synthetic})

    def fail(self, name: str, reason: str) -> None:
        """Prints a line, and one on standard error."""
        super().fail(name, reason)
        self._print({"file": name, "error": reason})

    def _print(self, values: dict[str, object]) -> None:
        print(json.dumps(values), file=self._stream, flush=True)


class CsvWriter(PredictionWriter):
    """A table with a header, a column per genre, and a row per file, also for files that failed.

    Where the genres are not known yet, rows of failed files are held back until the first prediction tells them.
    """

    def __init__(self, stream: TextIO, **options: Any) -> None:
        super().__init__(stream, **options)
        self._rows = csv.writer(stream, lineterminator="\n")
        self._has_header = False
        self._held_back: list[tuple[str, str]] = []

    def write(self, name: str, prediction: Prediction) -> None:
        """Prints a row."""
        if self.genres is None:
            self.genres = prediction.genres
        self._begin()
        seconds = "" if prediction.seconds is None else prediction.seconds
        decisions = (prediction.genre, prediction.confidence, prediction.genre_majority, prediction.n_chunks, seconds)
        self._row(name, *decisions, *prediction.probabilities.tolist(), "")

    def fail(self, name: str, reason: str) -> None:
        """Prints a row, and a line on standard error."""
        super().fail(name, reason)
        if self.genres is None:
            self._held_back.append((name, reason))
            return
        self._begin()
        self._row(name, *[""] * (5 + len(self.genres)), reason)

    def close(self) -> None:
        """Prints the rows of failed files where no genres ever came."""
        if self._held_back:
            self.genres = ()
            self._begin()

    def _begin(self) -> None:
        """The header and the rows that were held back, once."""
        genres = self.genres or ()
        if not self._has_header:
            self._has_header = True
            self._row("file", "genre", "confidence", "genre_majority", "n_chunks", "seconds", *genres, "error")
        for name, reason in self._held_back:
            self._row(name, *[""] * (5 + len(genres)), reason)
        self._held_back.clear()

    def _row(self, name: str, *values: object) -> None:
        # Line breaks in a name are quoted; bytes that are not UTF-8 could not be printed at all.
        self._rows.writerow((encodable(name), *values))
        self._stream.flush()
