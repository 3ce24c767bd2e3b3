"""Standard error without what native libraries write to it by themselves."""

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def native_stderr_dropped() -> Iterator[None]:
    """Within it Python's own messages alone reach the screen.

    libsndfile's MP3 decoder writes notes on each damaged place, in the middle of whatever line is being written.
    """
    before = sys.stderr
    is_screen = before is sys.__stderr__  # and no test's or notebook's
    screen = os.dup(2)
    try:
        if is_screen:
            before.flush()
            sys.stderr = open(  # noqa: SIM115  # it lives as long as the body
                screen, "w", buffering=1, encoding=before.encoding, errors=before.errors, closefd=False
            )
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, 2)
        os.close(nowhere)
        yield
    finally:
        sys.stderr = before
        os.dup2(screen, 2)
        os.close(screen)


@contextmanager
def native_stderr_kept_back() -> Iterator[None]:
    """Keeps back what native code writes to standard error; if the body fails, it is shown."""
    sys.stderr.flush()
    screen = os.dup(2)
    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), 2)
        try:
            yield
        except Exception:
            held.seek(0)
            os.write(screen, held.read())
            raise
        finally:
            os.dup2(screen, 2)
            os.close(screen)
