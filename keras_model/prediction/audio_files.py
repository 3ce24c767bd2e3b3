"""What a user names for classification, to audio files: files, folders, and `-` for standard input."""

import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from tfrecords.audio import UnusableAudioError, open_audio_file
from tfrecords.audio_formats import AUDIO_SUFFIXES
from tfrecords.errors import UsageError

_STANDARD_INPUT = "-"
_COPY_BYTES = 1 << 20
_STANDARD_INPUT_FILE = 0


@dataclass(frozen=True, kw_only=True)
class AudioFile:
    """A file to be classified.

    Attributes:
        name: As it is shown: the path as the user gave it, or as it lies in the folder that the user gave.
        is_standard_input: Whether it is standard input, and not a file, however that is called.
        problem: Why it is not one, raised when it is opened; None if nothing is known yet.
    """

    name: str
    is_standard_input: bool = False
    problem: OSError | UnusableAudioError | None = None

    @contextmanager
    def opened(self) -> Iterator[BinaryIO]:
        """Opens it for reading; standard input is copied to a temporary file first.

        Raises:
            UnusableAudioError: If it is a pipe, a device or a folder.
            OSError: If it cannot be read.
        """
        if self.problem:
            raise self.problem
        if self.is_standard_input:
            with tempfile.TemporaryFile() as file:
                # Not through sys.stdin: a thread that waits there keeps Python from ending on Ctrl-C.
                while data := os.read(_STANDARD_INPUT_FILE, _COPY_BYTES):
                    file.write(data)
                file.flush()
                yield file
        else:
            with open_audio_file(Path(self.name)) as file:
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
    if argument == _STANDARD_INPUT:
        return [AudioFile(name=argument, is_standard_input=True)]
    if not os.path.isdir(argument):  # Path.is_dir raises for what cannot be looked at; that is told when the file's turn comes
        return [AudioFile(name=argument)]
    path = Path(argument)
    files = sorted(_below(path), key=lambda file: Path(file.name).parts)
    if not files:
        files = [AudioFile(name=str(path), problem=UnusableAudioError("no audio", "holds no audio files"))]
    return files


def _below(folder: Path) -> Iterator[AudioFile]:
    """Audio files below a folder, and folders below it that cannot be listed.

    Links are followed, but no folder is entered twice, nor one that the folder lies in: links may form a loop.
    """
    unlisted: list[OSError] = []
    top = Path(os.path.realpath(folder))
    entered = set()
    for parent, folders, names in os.walk(folder, followlinks=True, onerror=unlisted.append):
        real = os.path.realpath(parent)
        if real in entered or (Path(real) != top and top.is_relative_to(real)):
            folders.clear()
            continue
        entered.add(real)
        # In an order that does not depend on the disk: of two links to one folder, the first by name is entered.
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in names:
            if not name.startswith(".") and Path(name).suffix.lower() in AUDIO_SUFFIXES:
                yield AudioFile(name=str(Path(parent, name)))
    for error in unlisted:
        yield AudioFile(name=str(error.filename), problem=error)
