"""TensorFlow without its start-up messages."""

import logging
import os
import warnings
from typing import Any

from keras_model.native_stderr import native_stderr_kept_back


def load_tensorflow(*, verbose: bool = False, joins_cluster: bool = False) -> None:
    """Imports TensorFlow and starts its devices; call it before anything else imports TensorFlow.

    TensorFlow's libraries write to standard error while they are loaded, before any log level is read.

    Args:
        verbose: Whether all of its messages are shown, at load and later.
        joins_cluster: Whether the process takes part in a training on several machines, where TF_CONFIG tells of one. Else that
            is not looked at: TensorFlow would wait for the other workers.
    """
    os.environ["KERAS_BACKEND"] = "tensorflow"  # whatever the user's other projects use
    if not joins_cluster:
        os.environ.pop("TF_CONFIG", None)
    if verbose:
        _start()
        return
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "2"
    with native_stderr_kept_back():
        _start()
    logging.getLogger("tensorflow").setLevel(logging.ERROR)
    logging.getLogger("absl").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module=r"(keras|tensorflow)(\.|$)")


def load_tensorflow_io() -> Any:
    """Imports tensorflow-io, without the warning that its native library does not load: what is used of it here needs none."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module=r"tensorflow_io(\.|$)")
        import tensorflow_io

    return tensorflow_io


def _start() -> None:
    import tensorflow

    from keras_model.training.devices import make_strategy

    make_strategy()  # on several machines it must come before the first operation, and waits for the other workers
    tensorflow.zeros(())  # the first operation starts the devices, which are announced too
