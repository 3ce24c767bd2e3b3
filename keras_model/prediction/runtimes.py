"""An exported network in its runtime: a SavedModel in TensorFlow, an ONNX or LiteRT file in one that needs no TensorFlow."""

import io
import os
import tempfile
import unicodedata
import zipfile
from collections.abc import Callable
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray

from keras_model.run_folder import FRONT_END_FILE, FrontEnd
from tfrecords.errors import UsageError, first_line, quoted
from tfrecords.front_end.mel_filter_bank import mel_filter_bank

INPUT, OUTPUT = "log_mel", "probabilities"
FRONT_END_PROPERTY = "front_end"  # of an ONNX file's metadata

_LONGEST_FRAME = 1 << 16  # samples

# Log-mels (n_chunks, n_mels, n_frames) float32 to the softmax of each, (n_chunks, n_genres) float32; from any thread.
Network = Callable[[NDArray[np.float32]], NDArray[np.float32]]


def open_network(path: Path) -> tuple[Network, FrontEnd]:
    """Opens a SavedModel's folder, or a file with one of the endings of `RUNTIMES`, whose front end is in it.

    Raises:
        UsageError: If it is not whole, or nothing that this project exported.
    """
    try:
        if path.is_dir():
            front_end = FrontEnd.from_json((path / "assets" / FRONT_END_FILE).read_text(encoding="utf-8"))
            check_hearable(front_end)
            return saved_network(load_saved_model(path)), front_end
        network, description = RUNTIMES[path.suffix.lower()](path.read_bytes())
        front_end = FrontEnd.from_json(description)
        check_hearable(front_end)
        found, expected = network(np.zeros((1, *front_end.spec.shape), np.float32)).shape, (1, len(front_end.genres))
        if found != expected:
            raise ValueError(f"of one log-mel it makes the shape {found}, expected {expected}")
    except ModuleNotFoundError:
        raise
    except Exception as error:  # runtimes raise errors of every kind
        raise UsageError(f"{path} is no whole model that train.py exported: {first_line(error)}") from error
    return network, front_end


def check_hearable(front_end: FrontEnd) -> None:
    """Refuses a front end of a stranger's that cannot be computed, would take all memory, or would command the terminal.

    Raises:
        ValueError: If its bands are empty, its frames longer than any that sound is looked at in, or a genre has control
            characters, which no dataset of this project has.
    """
    for name in front_end.genres:
        if {unicodedata.category(character) for character in name} & {"Cc", "Cs"}:
            raise ValueError(f"a genre has control characters: {quoted(name)}")
    if front_end.spec.n_fft > _LONGEST_FRAME:
        raise ValueError(f"its frames have {front_end.spec.n_fft} samples, more than {_LONGEST_FRAME}")
    mel_filter_bank(front_end.spec)


def of_tensorflow(function: Callable[[Any], Any]) -> Network:
    """A function of tensors as one of arrays."""
    import tensorflow as tf

    return lambda log_mels: function(tf.constant(log_mels)).numpy()


def saved_network(saved_model: Any) -> Network:
    """A SavedModel that was loaded, by its signature for log-mels."""
    signature = saved_model.signatures["serving_default"]
    return of_tensorflow(lambda log_mels: signature(**{INPUT: log_mels})[OUTPUT])


def load_saved_model(path: Path) -> Any:
    """Loads a SavedModel from a folder of any name: TensorFlow takes some for patterns, with brackets and stars in them."""
    import tensorflow as tf

    with tempfile.TemporaryDirectory() as folder:
        link = Path(folder) / "model"
        link.symlink_to(path.resolve())
        return tf.saved_model.load(str(link))


def open_onnx(data: bytes) -> tuple[Network, str]:
    """An ONNX file in ONNX Runtime, on the CPU, and the text of its front end.

    Each call keeps to one core: a predictor calls it from as many threads as there are.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    description = session.get_modelmeta().custom_metadata_map[FRONT_END_PROPERTY]
    return lambda log_mels: session.run([OUTPUT], {INPUT: log_mels})[0], description


def open_litert(data: bytes) -> tuple[Network, str]:
    """A LiteRT file in LiteRT's interpreter, on the CPU, and the text of its front end."""
    from ai_edge_litert.interpreter import Interpreter

    runner = Interpreter(model_content=data, num_threads=os.cpu_count()).get_signature_runner()
    one_at_a_time = Lock()  # an interpreter has its tensors once

    def network(log_mels: NDArray[np.float32]) -> NDArray[np.float32]:
        with one_at_a_time:
            probabilities: NDArray[np.float32] = runner(**{INPUT: log_mels})[OUTPUT]
        return probabilities

    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return network, archive.read(FRONT_END_FILE).decode("utf-8")


# By the ending of a file.
RUNTIMES: dict[str, Callable[[bytes], tuple[Network, str]]] = {".onnx": open_onnx, ".tflite": open_litert}
