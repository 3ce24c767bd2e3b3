"""Standard error without what TensorFlow and other native libraries write to it by themselves."""

import logging
import os
import sys
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext


def load_tensorflow(*, verbose: bool = False) -> None:
    """Imports TensorFlow and starts its devices; call it before anything else imports TensorFlow.

    TensorFlow's libraries write to standard error while they are loaded, before any log level is read.

    Args:
        verbose: Whether all of its messages are shown, at load and later.
    """
    os.environ["KERAS_BACKEND"] = "tensorflow"  # whatever the user's other projects use
    os.environ.pop("TF_CONFIG", None)  # TensorFlow would wait for the machines that it names
    if not verbose:
        os.environ["TF_CPP_MIN_LOG_LEVEL"] = "2"
        logging.getLogger("tensorflow").setLevel(logging.ERROR)
        logging.getLogger("absl").setLevel(logging.ERROR)
        warnings.filterwarnings("ignore", module=r"(keras|tensorflow)(\.|$)")
    with nullcontext() if verbose else native_stderr_kept_back():
        import tensorflow

        tensorflow.zeros(())  # the first operation starts the devices, which are announced too


def spare_gpu_memory() -> None:
    """Has TensorFlow take of a GPU what it needs, and not all of its memory; to be called before its devices start."""
    os.environ.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")


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
