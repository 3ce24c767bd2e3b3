"""Publishing that is cut off: the calls of a storage at which a process dies, or an error comes."""

import multiprocessing
import os
import pathlib
import signal
from collections.abc import Callable
from typing import Any

from apache_beam.internal import cloudpickle_pickler

# What publishing and cleaning ask of this machine's disk.
DISK_CALLS: tuple[tuple[Any, str], ...] = (
    *((pathlib.Path, name) for name in ("open", "replace", "rename", "unlink", "mkdir")),
    *((os, name) for name in ("open", "fsync", "listdir", "rmdir", "unlink")),
)


class Injector:
    """Counts calls, and has something happen at one of them, before it is made or after."""

    def __init__(self, at: int, *, happening: Callable[[], None], after: bool = False) -> None:
        self.n_calls = 0
        self._at, self._happening, self._after = at, happening, after

    def wrapped(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **options: Any) -> Any:
            self.n_calls += 1
            is_now = self.n_calls == self._at
            if is_now and not self._after:
                self._happening()
            try:
                return function(*arguments, **options)
            finally:
                if is_now and self._after:
                    self._happening()

        return call


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def in_child(work: Callable[[], int]) -> int | None:
    """Calls a function in a copy of this process; what it returns, below 256, or None where it was killed."""
    process = os.fork()
    if not process:
        status = 255
        try:
            status = work()
        finally:
            os._exit(status)
    _, status = os.waitpid(process, 0)
    return None if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)


def in_small_child(work: Callable[[], int]) -> int | None:
    """Likewise in a process that has imported the pipeline and no more: one that holds TensorFlow too takes long to copy."""
    process = _SMALL.Process(target=_exit_with, args=(cloudpickle_pickler.dumps(work),))
    process.start()
    process.join()
    return None if process.exitcode == -signal.SIGKILL else process.exitcode


def _exit_with(work: bytes) -> None:
    status = 255
    try:
        status = cloudpickle_pickler.loads(work)()
    finally:
        os._exit(status)


_SMALL = multiprocessing.get_context("forkserver")
_SMALL.set_forkserver_preload(["tests.test_publish"])
