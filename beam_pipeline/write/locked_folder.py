"""A folder that one process works in at a time."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tfrecords.errors import UsageError

LOCK = "lock"


@contextmanager
def locked_folder(output: Path, name: str) -> Iterator[Path]:
    """Makes a folder of a name in an output folder, and holds its lock meanwhile.

    The lock ends with its process, however that ends: a dead run's folder is free, one that a run is at work in is not.

    Yields:
        The folder's absolute path. In it lies the file LOCK, beside whatever an earlier run has left.

    Raises:
        UsageError: If it cannot be made, or another run holds it.
    """
    folder = output.resolve() / name
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / LOCK).open("w")
    except OSError as error:
        raise UsageError(f"the output {output} cannot be written to: {error.strerror}") from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise UsageError(f"another run is writing to {output}") from error
        yield folder
