"""Whether it is a file that cannot be read, or the disk or the object store that fails: the one costs a track, the other the run.

What fails may be well again soon, so it is asked again, as Beam's runners do with a whole bundle.
"""

import errno
import os
import time
from collections.abc import Callable, Iterator
from http import HTTPStatus
from typing import TypeVar

from tfrecords.audio import UnusableAudioError

_T = TypeVar("_T")
_PAUSES = (0.5, 1.0, 2.0)  # seconds before each further attempt
# It is not there, may not be read, or has a name that leads nowhere. All else says nothing about the file.
_OF_A_FILE = {
    *(errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.EACCES, errno.EPERM, errno.ELOOP, errno.ENAMETOOLONG, errno.ENXIO),
}
_STATUSES_OF_A_FILE = {HTTPStatus.NOT_FOUND: errno.ENOENT, HTTPStatus.GONE: errno.ENOENT, HTTPStatus.FORBIDDEN: errno.EACCES}


class StorageError(RuntimeError):
    """A disk or an object store that fails.

    Attributes:
        path: Of the file or folder.
        reason: Why, in one line.
    """

    def __init__(self, path: str, error: BaseException | str) -> None:
        """Takes a path and what went wrong there."""
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        self.path, self.reason = path, str(reason).strip().splitlines()[0]
        super().__init__(f"{path}: {self.reason}")

    def __reduce__(self) -> tuple[type["StorageError"], tuple[str, str]]:
        """So that it crosses from a process to another."""
        return StorageError, (self.path, self.reason)


def of_a_file(error: BaseException) -> OSError | None:
    """The error as one of this file alone; None where it is one of the machine, the network or the store.

    Google's and Amazon's clients, and Beam's wrappers of them, have exceptions of their own with HTTP's status in them.
    """
    for one in _chain(error):
        if isinstance(one, OSError) and one.errno is not None:
            return one if one.errno in _OF_A_FILE else None
        for name in ("code", "status_code"):
            status = getattr(one, name, None)
            if isinstance(status, int):
                number = _STATUSES_OF_A_FILE.get(HTTPStatus(status)) if status in HTTPStatus._value2member_map_ else None
                return None if number is None else OSError(number, os.strerror(number))
    return None


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        yield from getattr(error, "exception_details", {}).values() if hasattr(error, "exception_details") else ()
        error = error.__cause__


def persistently(call: Callable[[], _T], path: str) -> _T:
    """What a call gives, made again after a pause where the machine fails.

    Args:
        call: Reads something.
        path: What it reads.

    Raises:
        OSError: If the file is not there or may not be read.
        StorageError: If the machine fails in every attempt.
        UnusableAudioError: From the call.
    """
    for pause in (*_PAUSES, None):
        try:
            return call()
        except UnusableAudioError:
            raise
        except Exception as error:  # clients of object stores raise what they like
            if (own := of_a_file(error)) is not None:
                raise own from error
            if pause is None:
                raise StorageError(path, error) from error
            time.sleep(pause)
    raise AssertionError("the last attempt returns or raises")
