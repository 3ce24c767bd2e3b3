"""Writes the network alone as ONNX or as LiteRT (TensorFlow Lite), checked in the format's own runtime before it gets its name.

Such a file takes log-mels: what turns audio into them travels in it as a description, `front_end.json`, not as a computation.
"""

import importlib
import io
import json
import logging
import os
import tempfile
import warnings
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from keras_model.prediction.runtimes import FRONT_END_PROPERTY, INPUT, OUTPUT, Network, open_litert, open_onnx
from keras_model.quiet import native_stderr_kept_back
from keras_model.run_folder import FRONT_END_FILE, ExportError, FrontEnd
from keras_model.serving.export_check import check_signals
from tfrecords.command_line.extras import installation
from tfrecords.errors import UsageError, first_line
from tfrecords.front_end.log_mel import log_mel
from tfrecords.front_end.log_mel_spec import LogMelSpec
from tfrecords.whole_file import write_whole

# Between the probabilities of Keras and those of the file. Seen in right files: 2e-5, where Keras itself is up to 6e-6 from the
# same network in float64: sums in other orders.
TOLERANCE = 1e-4
GENRES_FILE = "genres.txt"
_ONNX_OPSET = 18  # of 2022: in every runtime of the last years, and more than the networks need


def export_portable(model: keras.Model, front_end: FrontEnd, form: str, *, folder: Path, name: str) -> Path:
    """Writes a network as a file: input `log_mel` (batch, n_mels, n_frames), output `probabilities` (batch, n_genres).

    Args:
        model: From (batch, n_mels, n_frames, 1) to probabilities.
        front_end: Of the dataset that the network was trained on.
        form: One of FORMATS.
        folder: Where the file is written; made where it is missing.
        name: The file's, without the ending that is added. No file is ever overwritten.

    Returns:
        The file's path.

    Raises:
        UsageError: If the file exists, or a package that the format needs is not installed.
        ExportError: If the format's runtime does not compute with the file what Keras computes, or it cannot be written.
    """
    path = check_possible(form, folder=folder, name=name)
    try:
        with _quietly():
            data = FORMATS[form].convert(model, front_end)
            network, _ = FORMATS[form].opened(data)
            _check(network, model, front_end.spec, path.name)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, data)
    except ExportError:
        raise
    except OSError as error:
        raise ExportError(f"{path} cannot be written: {error.strerror}") from error
    except Exception as error:  # converters and runtimes raise errors of every kind
        raise ExportError(f"{path.name} cannot be made of this network: {first_line(error)}") from error
    return path


def check_possible(form: str, *, folder: Path, name: str) -> Path:
    """Refuses a file that is there, or that cannot be made here; before a network is loaded for it.

    Returns:
        The path that it is to have.

    Raises:
        UsageError: If the file exists, or a package that the format needs is not installed.
    """
    path = folder / f"{name}{FORMATS[form].suffix}"
    if os.path.lexists(path):
        raise UsageError(f"{path} exists; choose another name")
    with _quietly():
        for package in FORMATS[form].packages:
            _import(package, path)
    return path


def to_onnx(model: keras.Model, front_end: FrontEnd) -> bytes:
    """The network as an ONNX file, whose metadata has the front end and the list of genres as JSON.

    Keras' own export makes inputs of what is no variable, such as a standardisation's mean: here all are constants.
    """
    import onnx
    import tf2onnx
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

    signature = [tf.TensorSpec((None, *front_end.spec.shape), tf.float32, name=INPUT)]
    with tf.device("CPU:0"):  # on a GPU the constants would be placed there, whatever the file is run on
        network = _graph_of(model, signature).get_concrete_function()
        constant = convert_variables_to_constants_v2(network, lower_control_flow=False, aggressive_inlining=True)
    classify = tf.function(lambda log_mel: {OUTPUT: constant(log_mel)[0]}, input_signature=signature)
    proto, _ = tf2onnx.convert.from_function(classify, input_signature=signature, opset=_ONNX_OPSET)
    proto.graph.name = model.name  # otherwise that of a function, with its number in this process
    for value in (*proto.graph.input, *proto.graph.output):
        value.type.tensor_type.shape.dim[0].dim_param = "batch"  # a number of tf2onnx's otherwise, and not the same one
    onnx.helper.set_model_props(proto, {FRONT_END_PROPERTY: front_end.to_json(), "genres": json.dumps(front_end.genres)})
    return proto.SerializeToString(deterministic=True)


def to_litert(model: keras.Model, front_end: FrontEnd) -> bytes:
    """The network as a LiteRT file, with `front_end.json` and `genres.txt` in a ZIP archive at its end.

    There TensorFlow Lite's metadata is: interpreters pass over it, and `unzip` and Python's zipfile read it without the schema.
    """
    log_mels = keras.Input(front_end.spec.shape, name=INPUT)
    image = keras.layers.Reshape((*front_end.spec.shape, 1), name="image")(log_mels)
    network = keras.Model(log_mels, {OUTPUT: model(image)}, name=f"{model.name}_of_log_mels")
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "network.tflite"
        network.export(file, format="litert", verbose=False)
        converted = io.BytesIO(file.read_bytes())
    with zipfile.ZipFile(converted, "a") as archive:
        for name, text in ((FRONT_END_FILE, front_end.to_json()), (GENRES_FILE, "\n".join(front_end.genres) + "\n")):
            archive.writestr(zipfile.ZipInfo(name), text)  # with a fixed date: the same model is the same bytes
    return converted.getvalue()


def _graph_of(model: keras.Model, signature: list[tf.TensorSpec]) -> tf.types.experimental.PolymorphicFunction:
    return tf.function(lambda log_mel: model(log_mel[..., tf.newaxis], training=False), input_signature=signature)


def _import(package: str, path: Path) -> None:
    try:
        importlib.import_module(package)
    except ImportError as error:
        missing = package.split(".")[0].replace("_", "-")
        raise UsageError(
            f"a {path.suffix} file needs {missing}, which cannot be imported ({error}): {installation('formats')}"
        ) from error


@contextmanager
def _quietly() -> Iterator[None]:
    """Keeps what converters and runtimes say from the screen; if the body fails, native code's messages are shown."""
    with native_stderr_kept_back(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        logging.disable(logging.WARNING)
        try:
            yield
        finally:
            logging.disable(logging.NOTSET)


def _check(network: Network, model: keras.Model, spec: LogMelSpec, name: str) -> None:
    """Refuses a file whose probabilities are not the network's; as a graph on the CPU, as a GPU may round to TensorFloat-32."""
    graph = _graph_of(model, [tf.TensorSpec((None, *spec.shape), tf.float32)])
    for batch in check_batches(spec):
        with tf.device("CPU:0"):
            expected = graph(tf.constant(batch)).numpy()
        actual = network(batch)
        if actual.shape != expected.shape:
            problem = f"have the shape {actual.shape}, the network's {expected.shape}"
        elif not (difference := float(np.abs(actual - expected).max())) <= TOLERANCE:  # nor is NaN
            problem = f"differ from the network's by {difference:.2g}, more than {TOLERANCE:.0e}"
        else:
            continue
        raise ExportError(f"{name} is not written: for a batch of {len(batch)}, its probabilities {problem}")


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


class _Format(NamedTuple):
    """A kind of file: its ending, the packages that it needs, what makes its bytes and what opens them."""

    suffix: str
    packages: tuple[str, ...]
    convert: Callable[[keras.Model, FrontEnd], bytes]
    opened: Callable[[bytes], tuple[Network, str]]


FORMATS = {
    "onnx": _Format(".onnx", ("tf2onnx", "onnx", "onnxruntime"), to_onnx, open_onnx),
    "litert": _Format(".tflite", ("ai_edge_litert.interpreter",), to_litert, open_litert),
}
