"""Writes the network alone as ONNX or as LiteRT (TensorFlow Lite), checked in the format's own runtime before it gets its name.

Such a file takes log-mels: what turns audio into them travels in it as a description, `front_end.json`, not as a computation.
"""

import importlib
import logging
import os
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from keras_model.front_end import FrontEnd
from keras_model.native_stderr import native_stderr_kept_back
from keras_model.run_folder import ExportError, write_whole
from keras_model.serving.check_signals import check_signals
from keras_model.serving.portable_conversion import Classify, run_litert, run_onnx, to_litert, to_onnx
from tfrecords.errors import UsageError
from tfrecords.log_mel import log_mel
from tfrecords.log_mel_spec import LogMelSpec

# Between the probabilities of Keras and those of the file. Seen in right files, of trained networks and of random ones: 7e-6 in
# ONNX Runtime, 2e-5 in LiteRT, where Keras itself is up to 6e-6 from the same network in float64: sums in other orders.
ONNX_TOLERANCE = 1e-5
LITERT_TOLERANCE = 1e-4
_INSTALL = "install it with: .venv/bin/pip install -e '.[formats]'"


def export_onnx(model: keras.Model, front_end: FrontEnd, *, folder: Path, name: str) -> Path:
    """Writes a network as an ONNX file: input `log_mel` (batch, n_mels, n_frames), output `probabilities` (batch, n_genres).

    Its metadata has the front end as JSON under "front_end" and the list of genres as JSON under "genres".

    Args:
        model: From (batch, n_mels, n_frames, 1) to probabilities.
        front_end: Of the dataset that the network was trained on.
        folder: Where the file is written; made where it is missing.
        name: The file's, without the `.onnx` that is added. No file is ever overwritten.

    Returns:
        The file's path.

    Raises:
        UsageError: If the file exists, or tf2onnx, onnx or onnxruntime is not installed.
        ExportError: If ONNX Runtime does not compute with the file what Keras computes, or it cannot be written.
    """
    path = folder / f"{name}.onnx"
    packages = ("tf2onnx", "onnx", "onnxruntime")
    return _export(model, front_end, path, packages=packages, convert=to_onnx, run=run_onnx, tolerance=ONNX_TOLERANCE)


def export_litert(model: keras.Model, front_end: FrontEnd, *, folder: Path, name: str) -> Path:
    """Writes a network as a LiteRT file: input `log_mel` (batch, n_mels, n_frames), output `probabilities` (batch, n_genres).

    They are the names of its one signature. `front_end.json` and `genres.txt` lie in a ZIP archive at the file's end.

    Args:
        model: From (batch, n_mels, n_frames, 1) to probabilities.
        front_end: Of the dataset that the network was trained on.
        folder: Where the file is written; made where it is missing.
        name: The file's, without the `.tflite` that is added. No file is ever overwritten.

    Returns:
        The file's path.

    Raises:
        UsageError: If the file exists, or ai-edge-litert is not installed.
        ExportError: If LiteRT does not compute with the file what Keras computes, or it cannot be written.
    """
    path = folder / f"{name}.tflite"
    packages = ("ai_edge_litert.interpreter",)
    return _export(model, front_end, path, packages=packages, convert=to_litert, run=run_litert, tolerance=LITERT_TOLERANCE)


def _export(
    model: keras.Model,
    front_end: FrontEnd,
    path: Path,
    *,
    packages: tuple[str, ...],
    convert: Callable[[keras.Model, FrontEnd], bytes],
    run: Callable[[bytes], Classify],
    tolerance: float,
) -> Path:
    _refuse_existing(path)
    shapes = (*model.input_shape[1:3], model.output_shape[-1])
    if shapes != (*front_end.spec.shape, len(front_end.genres)):
        raise ExportError(
            f"{path.name}: the network's log-mels and genres are {shapes}, "
            f"those of its front end {(*front_end.spec.shape, len(front_end.genres))}"
        )
    try:
        with _quietly():
            for package in packages:
                _import(package, path)
            data = convert(model, front_end)
            answers = _answers(model, run(data), front_end.spec)
    except UsageError:
        raise
    except Exception as error:  # converters and runtimes raise errors of every kind
        reason = (str(error).strip() or repr(error)).splitlines()[0]
        raise ExportError(f"{path.name} cannot be made of this network: {reason}") from error
    for expected, actual in answers:
        problem = _problem(expected, actual, tolerance)
        if problem is not None:
            raise ExportError(f"{path.name} is not written: for a batch of {len(expected)}, {problem}")
    _refuse_existing(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, data)
    except OSError as error:
        raise ExportError(f"{path} cannot be written: {error.strerror}") from error
    return path


def _refuse_existing(path: Path) -> None:
    if os.path.lexists(path):
        raise UsageError(f"{path} exists; choose another name")


def _import(package: str, path: Path) -> None:
    try:
        importlib.import_module(package)
    except ImportError as error:
        missing = package.split(".")[0].replace("_", "-")
        raise UsageError(f"a {path.suffix} file needs {missing}, which cannot be imported ({error}): {_INSTALL}") from error


@contextmanager
def _quietly() -> Iterator[None]:
    """Keeps what converters and runtimes say from the screen; if the body fails, native code's messages are shown."""
    loggers = [logging.getLogger(name) for name in ("absl", "tensorflow", "tf2onnx")]
    levels = [logger.level for logger in loggers]
    with native_stderr_kept_back(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        try:
            yield
        finally:
            for logger, level in zip(loggers, levels, strict=True):
                logger.setLevel(level)


def _answers(model: keras.Model, classify: Classify, spec: LogMelSpec) -> list[tuple[NDArray[np.float32], NDArray[np.float32]]]:
    """For every batch the probabilities of Keras and those of the file."""
    signature = [tf.TensorSpec((None, *spec.shape), tf.float32)]
    # As a graph, with the fusions of the file's; on the CPU, as a GPU may round to TensorFloat-32.
    keras_graph = tf.function(lambda log_mels: model(log_mels[..., tf.newaxis], training=False), input_signature=signature)
    with tf.device("CPU:0"):
        return [(keras_graph(tf.constant(batch)).numpy(), classify(batch)) for batch in check_batches(spec)]


def _problem(expected: NDArray[np.float32], actual: NDArray[np.float32], tolerance: float) -> str | None:
    """What is wrong with a file's probabilities (batch, n_genres), given the network's; None for nothing."""
    if actual.shape != expected.shape:
        return f"its probabilities have the shape {actual.shape}, the network's {expected.shape}"
    if not (np.isfinite(actual).all() and np.isfinite(expected).all()):
        return "its probabilities or the network's are not all finite"
    difference = float(np.abs(actual - expected).max())
    if not difference <= tolerance:
        return f"its probabilities differ from the network's by {difference:.2g}, more than {tolerance:.0e}"
    decided = np.take_along_axis(expected, actual.argmax(axis=1)[:, np.newaxis], axis=1)[:, 0]
    if (expected.max(axis=1) - decided > tolerance).any():  # which of two equals is named, is rounding
        return "it names another genre than the network"
    return None


def check_batches(spec: LogMelSpec) -> list[NDArray[np.float32]]:
    """Log-mels that show a conversion's differences: batches of 1, 3 and 64, each (batch, n_mels, n_frames).

    A tone, a sweep, noise, silence and mixtures of them, loud and faint; and values drawn at random, each with the mean and the
    standard deviation that its pixel has in these.
    """
    signals = check_signals(spec)  # (5, chunk_samples)
    rng = np.random.default_rng(0)
    shares = rng.dirichlet(np.full(len(signals), 0.5), 49) * 10.0 ** rng.uniform(-3, 0, (49, 1))
    heard = log_mel(np.concatenate([signals, (shares @ signals).astype(np.float32)]), spec=spec)  # (54, n_mels, n_frames)
    drawn = heard.mean(axis=0) + heard.std(axis=0) * rng.standard_normal((10, *spec.shape), dtype=np.float32)
    together = np.concatenate([heard, drawn])
    return [together[:1], together[1:4], together]
