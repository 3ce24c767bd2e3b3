"""TensorFlow without its start-up messages."""

import logging
import os
import warnings

from keras_model.native_stderr import native_stderr_kept_back


def load_tensorflow(*, verbose: bool = False) -> None:
    """Imports TensorFlow and starts its devices; call it before anything else imports TensorFlow.

    TensorFlow's libraries write to standard error while they are loaded, before any log level is read.

    Args:
        verbose: Whether all of its messages are shown, at load and later.
    """
    os.environ["KERAS_BACKEND"] = "tensorflow"  # whatever the user's other projects use
    os.environ.pop("TF_CONFIG", None)  # TensorFlow would wait for the machines that it names
    if verbose:
        _start()
        return
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "2"
    with native_stderr_kept_back():
        _start()
    logging.getLogger("tensorflow").setLevel(logging.ERROR)
    logging.getLogger("absl").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module=r"(keras|tensorflow)(\.|$)")


def _start() -> None:
    import tensorflow

    tensorflow.zeros(())  # the first operation starts the devices, which are announced too
