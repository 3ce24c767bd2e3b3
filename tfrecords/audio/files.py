"""Files that audio is decoded from. All of them have a descriptor, which is what the decoders read.

Of bytes in memory, which it reads through Python's functions, libsndfile takes another length where a tag stands before a header.
"""

import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from tfrecords.audio.errors import UnusableAudioError


def open_audio_file(path: Path) -> BinaryIO:
    """Opens a file.

    Raises:
        UnusableAudioError: If it is a pipe, a device or a folder, which could hold a run up for ever.
        OSError: If it cannot be read.
    """
    if not stat.S_ISREG(path.stat().st_mode):
        raise UnusableAudioError("not a regular file", "is not a regular file")
    return path.open("rb", buffering=0)


@contextmanager
def as_file(source: bytes | BinaryIO) -> Iterator[BinaryIO]:
    """A file as it is, or bytes as a temporary file."""
    if not isinstance(source, bytes):
        yield source
        return
    with tempfile.TemporaryFile() as file:
        file.write(source)
        file.flush()
        yield file
