"""Processes that tests start, wait for and end."""

import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

from tests.conftest import REPOSITORY

T = TypeVar("T")

_POLL_SECONDS = 0.05
_STOP_SECONDS = 15


def free_port() -> int:
    """A TCP port of the loopback interface that nothing listens on at this moment."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port


def listens(port: int, *, address: str = "127.0.0.1") -> bool:
    """Whether something accepts connections at a port."""
    with socket.socket() as one:
        return one.connect_ex((address, port)) == 0


def wait_until(condition: Callable[[], T | None], what: str, *, seconds: float) -> T:
    """Polls until a condition holds.

    Returns:
        The condition's first value that is true.

    Raises:
        TimeoutError: Naming what did not come.
    """
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        if time.monotonic() > deadline:
            raise TimeoutError(f"not within {seconds:g} s: {what}")
        time.sleep(_POLL_SECONDS)
    return value


class Process:
    """A process in a group of its own that writes to a log, and that the kernel ends should this process die."""

    def __init__(
        self, command: Sequence[str | Path], *, output: Path, error: Path | None = None, env: Mapping[str, str] | None = None
    ) -> None:
        """Starts it, in the repository's folder.

        Args:
            command: Program and arguments.
            output: Log of what it prints, appended to.
            error: Log of its standard error; None for the same one.
            env: Variables to add to the environment.
        """
        self.output = output
        self._name = output.stem
        with output.open("ab") as out, (error or output).open("ab") as err:
            self._process = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", "--", *command],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                cwd=REPOSITORY,
                env=os.environ | dict(env or {}),
                start_new_session=True,
            )

    @property
    def status(self) -> int | None:
        """Exit status; None while it runs."""
        return self._process.poll()

    def check(self) -> None:
        """Raises RuntimeError if it has ended."""
        if self.status is not None:
            raise RuntimeError(f"{self._name} ended with status {self.status}; see {self.output}")

    def wait(self, *, seconds: float) -> int:
        """Waits for its end, and returns its exit status."""
        return self._process.wait(timeout=seconds)

    def is_gone(self) -> bool:
        """Whether it and all that it started in its group have ended."""
        try:
            os.killpg(self._process.pid, 0)
        except ProcessLookupError:
            return True
        return False

    def kill(self) -> None:
        """Kills it, and with it all that it started, at once."""
        self._signal(signal.SIGKILL)
        self._process.wait()

    def stop(self) -> None:
        """Asks it to end, and kills what is left of its group."""
        self._signal(signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout=_STOP_SECONDS)
        self.kill()

    def _signal(self, number: signal.Signals) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, number)
