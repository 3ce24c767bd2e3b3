"""Waiting for another process: for as long as a busy machine may need, and yet not for ever for one that hangs."""

import subprocess
import time
from collections.abc import Callable

# Sets nothing but how late a hang is noticed: on an idle machine, what is waited for takes seconds.
HANG_SECONDS = 600.0


def wait_until(happened: Callable[[], bool], *processes: "subprocess.Popen[str]") -> None:
    """Returns as soon as something has happened that these processes are to do, all of them still running."""
    deadline = time.monotonic() + HANG_SECONDS
    while not happened():
        for process in processes:
            assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.005)


def end_of(process: "subprocess.Popen[str]") -> tuple[str, str]:
    """Waits for a process to end, and returns what it wrote to standard output and to standard error where these are pipes."""
    return process.communicate(timeout=HANG_SECONDS)
