"""What a user names for classification, to audio files and to the pictures of their timelines."""

import os
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from tfrecords.audio import UnusableAudioError, open_audio_file
from tfrecords.audio.formats import AUDIO_SUFFIXES
from tfrecords.errors import UsageError, printable, quoted

_STANDARD_INPUT = "-"
_STANDARD_INPUT_FILE = 0
_COPY_BYTES = 1 << 20
TIMELINES = (".png", ".svg", ".html")
_LONGEST_NAME_BYTES = 200  # most file systems allow 255, and `write_whole` adds some while it writes


@dataclass(frozen=True, kw_only=True)
class AudioFile:
    """A file to be classified."""

    name: str  # as it is shown: the path as the user gave it, or as it lies in the folder that the user gave
    is_standard_input: bool = False  # and not a file, however that is called
    problem: OSError | UnusableAudioError | None = None  # why it is not one, raised when it is opened

    @property
    def title(self) -> str:
        """What a picture calls it."""
        return "standard input" if self.is_standard_input else printable(Path(self.name).name)

    @contextmanager
    def opened(self) -> Iterator[BinaryIO]:
        """Opens it for reading; standard input is copied to a temporary file first.

        Raises:
            UnusableAudioError: If it is a pipe, a device or a folder.
            OSError: If it cannot be read.
        """
        if self.problem:
            raise self.problem
        if not self.is_standard_input:
            with open_audio_file(Path(self.name)) as file:
                yield file
            return
        with tempfile.TemporaryFile() as file:
            # Not through sys.stdin: a thread that waits there keeps Python from ending on Ctrl-C.
            while data := os.read(_STANDARD_INPUT_FILE, _COPY_BYTES):
                file.write(data)
            file.flush()
            yield file


def find_audio_files(arguments: Sequence[str]) -> list[AudioFile]:
    """All files that the arguments name, in their order; those in folders sorted by name, hidden ones passed over.

    Raises:
        UsageError: If a name is empty, or standard input is named twice, or is a terminal.
    """
    if "" in arguments:  # which Path takes for the current folder
        raise UsageError("the name of an audio file or folder must not be empty")
    if arguments.count(_STANDARD_INPUT) > 1:
        raise UsageError("standard input, -, can be read once only")
    if _STANDARD_INPUT in arguments and os.isatty(_STANDARD_INPUT_FILE):
        raise UsageError("standard input, -, is a terminal: send audio to it, or name files")
    return [file for argument in arguments for file in _files_of(argument)]


def _files_of(argument: str) -> list[AudioFile]:
    if not os.path.isdir(argument):  # Path.is_dir raises for what cannot be looked at; that is told when the file's turn comes
        return [AudioFile(name=argument, is_standard_input=argument == _STANDARD_INPUT)]
    files = sorted(_below(argument), key=lambda file: Path(file.name).parts)
    return files or [AudioFile(name=str(Path(argument)), problem=UnusableAudioError("no audio", "holds no audio files"))]


def _below(folder: str) -> Iterator[AudioFile]:
    """Audio files below a folder, and folders below it that cannot be listed; links are followed, to no folder twice."""
    unlisted: list[OSError] = []
    entered = set()
    for parent, folders, names in os.walk(folder, followlinks=True, onerror=unlisted.append):
        real = os.path.realpath(parent)
        # In an order that does not depend on the disk: of two links to one folder, the first by name is entered.
        folders[:] = [] if real in entered else sorted(name for name in folders if not name.startswith("."))
        for name in () if real in entered else names:
            if not name.startswith(".") and Path(name).suffix.lower() in AUDIO_SUFFIXES:
                yield AudioFile(name=str(Path(parent, name)))
        entered.add(real)
    yield from (AudioFile(name=str(error.filename), problem=error) for error in unlisted)


def timeline_paths(out: str, files: Sequence[AudioFile]) -> list[Path]:
    """Where the picture of each audio file is written, all different.

    Args:
        out: A file with an ending of `TIMELINES`, or a folder for .png files: one that exists, or whose name ends with a slash,
            which is made.
        files: The audio files.

    Raises:
        UsageError: If the pictures cannot lie there.
    """
    if not out:
        raise UsageError("--timeline must not be empty")
    path = Path(out)
    if out.endswith("/") or os.path.isdir(path):
        try:
            path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UsageError(f"the folder of --timeline, {quoted(out)}, cannot be made: {error.strerror}") from error
        return [path / f"{name}.png" for name in _different([file.title for file in files])]
    if len(files) != 1:
        raise UsageError(f"--timeline must be a folder for {len(files)} files: one that exists, or {quoted(out + '/')}")
    if path.suffix.lower() not in TIMELINES:
        raise UsageError(f"--timeline must end in {', '.join(TIMELINES)}, or be a folder, got {quoted(out)}")
    if not os.path.isdir(path.parent):
        raise UsageError(f"--timeline {quoted(out)}: there is no folder {path.parent}")
    return [path]


def _different(titles: Sequence[str]) -> Iterator[str]:
    """Names with a number where there are several alike, also for file systems that take capitals for small letters."""
    taken: set[str] = set()
    numbers: Counter[str] = Counter()  # by which the names alike have come
    for title in titles:
        name = candidate = Path(title).stem.encode()[:_LONGEST_NAME_BYTES].decode(errors="ignore")
        while candidate.casefold() in taken:
            numbers[name.casefold()] += 1
            candidate = f"{name}-{1 + numbers[name.casefold()]}"
        taken.add(candidate.casefold())
        yield candidate
