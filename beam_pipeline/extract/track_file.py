"""A track's file, opened on this machine, wherever it lies."""

import shutil
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import BinaryIO, NamedTuple

from blake3 import blake3

from beam_pipeline import storage
from beam_pipeline.storage_errors import persistently
from tfrecords.audio import open_audio_file

_BLOCK_BYTES = 1 << 20


class TrackFile(NamedTuple):
    """A track's file, open for reading, with a descriptor; what it holds has been read once.

    Attributes:
        file: On this machine: a copy, if it is an object's.
        path: That it was opened by.
        n_bytes: Its length.
        blake3: Digest of its bytes.
    """

    file: BinaryIO
    path: str
    n_bytes: int
    blake3: bytes

    def read_again(self) -> None:
        """Reads it once more: of a disk that fails, decoders speak as of a damaged file.

        Raises:
            StorageError: If the disk fails.
        """
        persistently(lambda: _digest(self.file), self.path)


def open_track(path: str) -> TrackFile:
    """Opens a track's file and reads it, so that it is here, and not while it is decoded, that a disk or a store fails.

    Raises:
        UnusableAudioError: If it is no regular file.
        OSError: If it is not there or may not be read.
        StorageError: If the disk or the object store fails.
    """

    def open_and_read() -> TrackFile:
        with ExitStack() as stack:
            file = stack.enter_context(_copy(path) if storage.is_remote(path) else open_audio_file(Path(path)))
            digest = _digest(file)
            stack.pop_all()
            return TrackFile(file, path, file.tell(), digest)

    return persistently(open_and_read, path)


def _digest(file: BinaryIO) -> bytes:
    digest = blake3()
    file.seek(0)
    while block := file.read(_BLOCK_BYTES):
        digest.update(block)
    return digest.digest()


def _copy(path: str) -> BinaryIO:
    """An object as a file without a name."""
    copy = tempfile.TemporaryFile()  # noqa: SIM115  # the caller's
    with storage.open_file(path) as file:
        shutil.copyfileobj(file, copy)
    return copy
